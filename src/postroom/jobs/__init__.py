"""Jobs: definitions of work with stored credentials and mail, and their executions."""

__all__: list[str] = []
