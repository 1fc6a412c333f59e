"""Checkpoints of a living process: written to the record, and the newest kept outside of it."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from postroom.audit.lineage import covers, newest_head, told_lost
from postroom.audit.outside import Head, Outside
from postroom.audit.record import ACCEPT, Recorder
from postroom.db import Database, Tx
from postroom.errors import RoomError
from postroom.log import logger

__all__ = ["Checkpoints"]

_log: Final = logger("audit")


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
        if head is None or await self._db.read(lambda tx: covers(tx, self._recorder.mac, head)):
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
            lost = told_lost(tx, self._recorder.mac)
            if kept is not None and not covers(tx, self._recorder.mac, kept):
                lost.add(kept[:3])
            self._recorder.state(tx, ACCEPT, why, actor=actor, accepted=sorted(lost))

        await self._db.write(body)
        head = await self._db.read(lambda tx: newest_head(tx, self._recorder.mac))
        if head is not None:
            await asyncio.to_thread(self.outside.keep, head, anew=True)

    async def newest(self) -> Head | None:
        """The newest checkpoint of the database."""
        return await self._db.read(lambda tx: newest_head(tx, self._recorder.mac))

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
        kept = await asyncio.to_thread(self.outside.head)

        def body(tx: Tx) -> Head | None:  # both of one state of the database
            if kept is not None and not covers(tx, self._recorder.mac, kept):
                return None  # it is all that tells of the rows that are gone
            return newest_head(tx, self._recorder.mac)

        head = await self._db.read(body)
        if head is not None:
            await asyncio.to_thread(self.outside.keep, head)

    def _tell(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            _log.warning("%s", sentence)
