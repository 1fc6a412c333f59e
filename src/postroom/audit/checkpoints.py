"""Checkpoints of a living process: written to the record, and the newest kept outside of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from postroom.audit.outside import Head, Outside
from postroom.audit.record import ACCEPT, CHECKPOINT, RETIRE, Recorder, newest
from postroom.db import Database, Tx
from postroom.errors import RoomError
from postroom.log import logger

__all__ = ["Checkpoints"]

_log: Final = logger("audit")
_Claim = tuple[str, int, str]


class Checkpoints:
    """The checkpoints of one process, and the head of the record that is kept outside."""

    def __init__(self, db: Database, recorder: Recorder, outside: Outside) -> None:
        self._db = db
        self._recorder = recorder
        self.outside = outside
        self._told: set[object] = set()

    async def write(self) -> None:
        """Write a checkpoint if anything moved; wanted once a minute.

        A database that was put back to an earlier state is said in the log and in the checkpoint.
        Raises RoomError when the database cannot be written.
        """
        stated = await self._found_lost()
        await self._db.write(lambda tx: self._recorder.checkpoint(tx, **stated))
        try:
            await self.keep()
        except RoomError as error:
            self._tell(str(error))

    async def close(self) -> None:
        """Write the last checkpoint of this process, if it has written anything at all.

        Where that fails it is as after a kill: the next process vouches for what this one wrote.
        """
        if not self._recorder.begun:
            return
        try:
            stated = await self._found_lost()
            await self._db.write(lambda tx: self._recorder.close(tx, **stated))
        except RoomError as error:
            _log.warning("the last checkpoint was not written: %s", error)
            return
        try:
            await self.keep()
        except RoomError as error:  # a verb says no more than what it was asked; verify tells
            _log.debug("%s", error)

    async def lost(self) -> Head | None:
        """The head kept outside, if its row is not in the database: that one was put back.

        Raises RoomError when what is kept is not as it was written.
        """
        head = await asyncio.to_thread(self.outside.head)
        if head is None or await self._db.read(lambda tx: _covered(tx, head)):
            return None
        return head

    async def accept(self, why: str, *, actor: str) -> None:
        """Begin the head kept outside anew, after the database was put back on purpose.

        The record keeps who said so, why, and which heads were lost.
        """
        try:
            kept = await asyncio.to_thread(self.outside.head)
        except RoomError:
            kept = None

        def body(tx: Tx) -> None:
            lost = _told_lost(tx)
            if kept is not None and not _covered(tx, kept):
                lost.add(kept[:3])
            self._recorder.state(tx, ACCEPT, why, actor=actor, accepted=sorted(lost))

        await self._db.write(body)
        head = await self._db.read(_newest_head)
        if head is not None:
            await asyncio.to_thread(self.outside.keep, head, anew=True)

    async def newest(self) -> Head | None:
        """The newest checkpoint of the database."""
        return await self._db.read(_newest_head)

    async def _found_lost(self) -> dict[str, Any]:
        """What the next checkpoint states of it; each lost head once a process."""
        try:
            lost = await self.lost()
        except RoomError as error:
            self._tell(str(error))
            return {}
        if lost is None or lost in self._told:
            return {}
        self._told.add(lost)
        _log.error(
            "the database was put back to an earlier state: row %s of stream %s is not there; see "
            "postroom audit verify",
            lost.seq,
            lost.stream,
        )
        return {"lost": list(lost[:3])}

    async def keep(self) -> None:
        """Keep the newest checkpoint outside, if the database has what is kept there now.

        Raises RoomError when it cannot be written.
        """
        if await self.lost() is not None:
            return  # it is all that tells of the rows that are gone
        head = await self._db.read(_newest_head)
        if head is not None:
            await asyncio.to_thread(self.outside.keep, head)

    def _tell(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            _log.warning("%s", sentence)


def _newest_head(tx: Tx) -> Head | None:
    """The newest checkpoint of the database, as it is kept outside."""
    row = newest(tx)
    return (
        None
        if row is None
        else Head(row["stream"], row["seq"], row["mac"].hex(), row["position"], row["at"])
    )


def _covered(tx: Tx, head: Head) -> bool:
    """Whether the row is in the database as it was, or was retired as it was."""
    code = tx.value(
        "SELECT mac FROM audit WHERE stream = :stream AND seq = :seq",
        stream=head.stream,
        seq=head.seq,
    )
    if code is not None:
        return bool(code.hex() == head.code)
    told = tx.all(
        "SELECT detail FROM audit WHERE noun = 'audit' AND name = :name AND action = :retire "
        "ORDER BY position DESC",
        name=CHECKPOINT,
        retire=RETIRE,
    )
    ends = (json.loads(row["detail"]).get("retired", {}).get(head.stream) for row in told)
    return any(end is not None and end[0] >= head.seq for end in ends)


def _told_lost(tx: Tx) -> set[_Claim]:
    """The heads that checkpoints found missing."""
    rows = tx.all(
        "SELECT detail FROM audit WHERE noun = 'audit' AND name = :name AND detail LIKE :lost",
        name=CHECKPOINT,
        lost='%"lost":%',
    )
    claims = (json.loads(row["detail"]).get("lost") for row in rows)
    return {(claim[0], claim[1], claim[2]) for claim in claims if claim}
