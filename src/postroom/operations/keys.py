"""Operations on the room's keys: what there is, and what would be needed."""

from __future__ import annotations

from typing import Any

from postroom.db import Tx
from postroom.operations.desk import Desk
from postroom.vault import Start

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
