"""Tests that talk to real servers on loopback."""

__all__: list[str] = []
