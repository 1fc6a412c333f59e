"""What some message stores do beside base.MessageStore: list the newest messages alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from postroom.protocols.base import Summary

__all__ = ["Newest"]


class Newest(Protocol):
    """A store whose ``features.newest`` says so: one without numbers that would tell the order."""

    async def newest(self, limit: int, *, headers: Sequence[str] = ()) -> list[Summary]:
        """The newest messages of the open folder, newest first, at most ``limit`` (0: all)."""
