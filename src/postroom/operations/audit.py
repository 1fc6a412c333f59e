"""Operations on the audit record: list it, and verify its chains."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, Final

from postroom import audit
from postroom.clock import rfc3339
from postroom.db import Tx
from postroom.errors import InvalidValue, Locked
from postroom.operations.desk import Desk

__all__ = ["NOUNS", "Audit"]

NOUNS: Final = (
    "audit", "backup", "connection", "credential", "environment", "keys", "outbox", "service", "source",
    "variable",
)  # fmt: skip
"""What rows of the record may be about."""


class Audit:
    """What a person may ask of the audit record."""

    def __init__(self, desk: Desk, mac: Callable[[bytes], bytes] | None) -> None:
        self._desk = desk
        self._mac = mac

    async def list(
        self,
        *,
        noun: str | None = None,
        name: str | None = None,
        limit: int = 50,
        checkpoints: bool = False,
    ) -> builtins.list[dict[str, Any]]:
        """Who did what to which record, newest first; ``checkpoints`` shows the record's own too.

        Raises InvalidValue for a noun that no row can be about.
        """
        if noun is not None and noun not in NOUNS:
            raise InvalidValue("noun", f"there is no noun {noun!r}; choose of {', '.join(NOUNS)}")

        def body(tx: Tx) -> builtins.list[dict[str, Any]]:
            return [
                {**row, "at": rfc3339(row["at"])}
                for row in audit.rows(
                    tx, limit=limit, noun=noun, name=name, checkpoints=checkpoints
                )
            ]

        return await self._desk.db.read(body)

    async def verify(self) -> builtins.list[str]:
        """What is wrong with the record, first things first; empty when it is whole."""
        if self._mac is None:
            raise self._desk.locked or Locked("The room is locked.")
        mac = self._mac
        return await self._desk.db.read(lambda tx: audit.verify(tx, mac))
