"""The command line as it reads and as it writes, without a server."""

__all__: list[str] = []
