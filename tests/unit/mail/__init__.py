"""Tests of the mail room: pure tables and properties."""

__all__: list[str] = []
