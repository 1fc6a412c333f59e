"""POP3 (RFC 1939): a pure core, and the message store on it."""

from postroom.protocols.pop3.store import Pop3Store, open_store

__all__ = ["Pop3Store", "open_store"]
