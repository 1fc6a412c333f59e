"""Postroom's tests; the real servers they talk to live in tests.ground."""

__all__: list[str] = []
