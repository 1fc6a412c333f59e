"""Variables: the room's own values for macros, and which environment variables macros may read."""

__all__: list[str] = []
