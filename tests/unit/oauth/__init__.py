"""OAuth flows as scripts: what they ask for, what they make of answers."""

__all__: list[str] = []
