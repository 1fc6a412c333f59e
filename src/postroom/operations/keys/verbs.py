"""Operations on the room's keys: what there is, what would be needed, and new ones for old."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from postroom.credentials import checking
from postroom.credentials.checking import Damage
from postroom.db import Tx
from postroom.errors import Locked, NotThere
from postroom.operations.desk import Desk
from postroom.operations.keys.rotating import Rotated, Tell, rotate
from postroom.vault import Keyring, Start

__all__ = ["Keys"]


class Keys:
    """What a person may ask about the keys.  Nothing here shows one."""

    def __init__(self, desk: Desk, start: Start) -> None:
        self._desk = desk
        self._start = start

    async def status(self) -> dict[str, Any]:
        """Whether the room is open, where its key comes from, and which key ids wrap it."""

        def body(tx: Tx) -> dict[str, Any]:
            wraps = [
                row["kek"]
                for row in tx.all("SELECT DISTINCT kek FROM vault_key_wraps ORDER BY kek")
            ]
            terms = [
                {"term": row["term"], "state": row["state"]}
                for row in tx.all("SELECT term, state FROM vault_keys ORDER BY term")
            ]
            sealed = tx.value("SELECT count(*) FROM sealed")
            return {"kek_ids": wraps, "vault_keys": terms, "sealed_values": sealed}

        locked = self._start.locked
        return {
            "room": self._start.room_id,
            "state": "locked" if locked else "open",
            "source": self._start.source,
            "why": str(locked) if locked else "",
            "warning": self._start.warning,
            **await self._desk.db.read(body),
        }

    async def rotate(self, *, tell: Tell | None = None) -> Rotated:
        """Put a new vault key in the place of the old one, while everybody goes on working.

        An interrupted rotation is finished instead.  ``tell`` hears how far it is.
        """
        terms = self._keyring().terms
        return await rotate(self._desk, terms, [terms.kek], tell=tell)

    async def damaged(self) -> list[dict[str, Any]]:
        """Every version of every credential that does not open; the check is written down first."""
        keyring = self._keyring()
        await self._desk.write(lambda tx: self._desk.record(tx, "check", "keys", "vault"))
        found: list[dict[str, Any]] = []
        for name in await self._desk.db.read(checking.names):
            with contextlib.suppress(NotThere):  # deleted a moment ago
                found += [one._asdict() for one in await self._desk.db.read(_check(keyring, name))]
        return found

    def _keyring(self) -> Keyring:
        if self._start.keyring is None:
            raise self._desk.locked or Locked("The room is locked.")
        return self._start.keyring


def _check(keyring: Keyring, name: str) -> Callable[[Tx], list[Damage]]:
    return lambda tx: checking.check_record(tx, keyring, name)
