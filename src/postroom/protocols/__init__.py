"""The wires: IMAP, POP3 and SMTP as pure cores on one pump, and their in-memory twin."""

__all__: list[str] = []
