"""The worker: loops that claim due sources, outbox rows and runs, and tidy up now and then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

from postroom.app import Room
from postroom.clock import monotonic
from postroom.db import moved_away
from postroom.errors import PostroomError, RoomError
from postroom.log import about, logger, within
from postroom.operations.shift import PLACES, Shift
from postroom.sources.watcher import give_up

__all__ = ["Worker", "check_in_place"]

LOOK_SECONDS: Final = 0.5
"""How often idle loops look whether another process has committed something (PRAGMA data_version)."""
COPY_SECONDS: Final = 2.0
"""How long the copies of a few messages are gathered, so that they share a sign-in."""
MOST_SOURCES: Final = 2000
"""Sources that one worker watches at the same time; one that is due much later is not watched."""
BROKEN_SECONDS: Final = 5.0
"""How long sending waits where the room cannot be read or written."""
TIDY_SECONDS: Final = 3600.0
CHECKPOINT_SECONDS: Final = 60.0
SIGN_IN_SECONDS: Final = 60.0
_log = logger("worker")


class Worker:
    """Collects, sends and runs jobs for a room until it is cancelled.

    ``roles`` are this worker's; sources, services, connections and jobs that name roles are used only
    by workers that have one of them.  ``places`` is how many runs of jobs it does at the same time.
    """

    def __init__(self, room: Room, *, roles: tuple[str, ...] = (), places: int = PLACES) -> None:
        self._room = room
        self._roles = roles
        self._shift = Shift(room.running, roles=roles, places=places)
        self._watching: set[asyncio.Task[None]] = set()
        self._full = False

    async def run(self) -> None:
        """Run every loop; when one ends, or this is cancelled, all end and claims are given back.

        Raises why the room is locked, if it is: nothing in it can be collected or sent; and
        RoomError when the room was moved or replaced, or its disk failed.
        """
        self._dispatcher = await self._room.email.dispatcher()
        (await self._room.desk.seat()).work(self._roles)
        loops = [asyncio.create_task(loop) for loop in self._loops()]
        try:
            done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for loop in done:
                loop.result()
        finally:
            tasks = [*loops, *self._watching]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _loops(self) -> list[Coroutine[Any, Any, None]]:
        return [
            self._collect(),
            self._send(),
            self._shift.work(),
            self._copy(),
            self._tidy(),
            self._vouch(),
            self._keep_signed_in(),
            self._room.telling.keep(),
            self._stay(),
        ]

    async def _collect(self) -> None:
        """Claim sources that are due and watch each in a task of its own."""
        while True:
            try:
                await self._claim()
            except PostroomError as error:  # a full disk, a busy room: the next look may be better
                _log.warning("sources: %s", error)
            await asyncio.sleep(LOOK_SECONDS)

    async def _claim(self) -> None:
        free = MOST_SOURCES - len(self._watching)
        if not free and not self._full:
            self._full = True
            _log.warning("watching %d sources; others wait for another worker", MOST_SOURCES)
        for claim in await self._room.collecting.take(self._roles, free):
            with within(source=claim.row["name"]):
                task = asyncio.create_task(self._watch(claim))
            self._watching.add(task)
            task.add_done_callback(self._watching.discard)

    async def _watch(self, claim: Any) -> None:
        try:
            try:
                watcher = await self._room.collecting.watcher(claim)
            except Exception as error:
                seat = await self._room.desk.seat()
                await give_up(self._room.desk.db, claim, error, owe=seat.owe)
                raise
            await watcher.watch(linger=False)
        except PostroomError as error:
            _log.warning("source %s: %s", claim.row["name"], error)
        except Exception:  # noqa: BLE001  # the other loops go on; the source is claimed again
            _log.exception("source %s ended", claim.row["name"])

    async def _send(self) -> None:
        """Drain the outbox whenever something is due or somebody stored something."""
        version = -1
        due = 0.0
        while True:
            try:
                seen = self._room.desk.db.data_version()
            except RoomError as error:  # a disk that fails for a moment does not end all sending
                _log.warning("outbox: %s", error)
                await asyncio.sleep(BROKEN_SECONDS)
                continue
            if seen != version or monotonic() >= due:
                version = seen
                due = monotonic() + await self._drain()
            await asyncio.sleep(LOOK_SECONDS)

    async def _drain(self) -> float:
        """Seconds until the next row is due."""
        try:
            done = await self._dispatcher.drain(roles=self._roles)
        except PostroomError as error:
            _log.warning("outbox: %s", error)
            return BROKEN_SECONDS
        if done.error is not None:
            over = done.error.facts.get("connection", "")
            told = about(connection=over, code=done.error.code)
            _log.warning("outbox over %s: %s", over, done.error, extra=told)
        return self._room.email.seconds_until(done.next_due)

    async def _copy(self) -> None:
        """Put copies of what was sent into Sent folders; a loop of its own: sending does not wait."""
        while True:
            wait = LOOK_SECONDS
            try:
                if self._room.email.seconds_until(await self._room.email.copies_due()) == 0:
                    error = await self._dispatcher.copy(roles=self._roles)
                    # due and still there: it is for workers of another role, or just failed
                    wait = COPY_SECONDS
                    if error is not None:
                        _log.warning("sent copies: %s", error)
            except PostroomError as error:
                _log.warning("sent copies: %s", error)
                wait = COPY_SECONDS
            await asyncio.sleep(wait)

    async def _stay(self) -> None:
        """End when the room is not at its place any more: the one that is there may be restored from
        a backup of this one, and both would collect and send.  End too when the disk failed to keep
        what was written: whoever is started next reads what the disk has, not what memory has."""
        while True:
            check_in_place(self._room)
            await asyncio.sleep(LOOK_SECONDS)

    async def _tidy(self) -> None:
        """Each by itself: what keeps one of them from being done keeps no other."""
        room = self._room
        while True:
            for chore in (
                room.keys.finish,
                room.email.purge,
                room.answers.purge,
                room.collecting.forget,
                room.collecting.tidy,
                room.running.tidy,
                room.audit.retire,
            ):
                try:
                    await chore()
                except PostroomError as error:
                    _log.warning("tidying up: %s", error)
            await asyncio.sleep(TIDY_SECONDS)

    async def _keep_signed_in(self) -> None:
        """Refresh the sign-ins that nobody uses, before their servers forget them, and prove the
        client secrets that wait.
        """
        while True:
            await asyncio.sleep(SIGN_IN_SECONDS)
            try:
                for label, error in await self._room.signins.keep_alive():
                    _log.warning("sign-in %s: %s", label, error, extra=about(code=error.code))
            except PostroomError as error:
                _log.warning("sign-ins: %s", error)
            try:
                for proof in await self._room.client_secrets.prove_waiting():
                    level = logging.INFO if proof.proven else logging.WARNING
                    _log.log(level, "%s", proof.told, extra=about(credential=proof.credential))
            except PostroomError as error:
                _log.warning("client secrets: %s", error)

    async def _vouch(self) -> None:
        """State every minute how far the audit record goes: what is cut off it later shows."""
        while True:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            try:
                await self._room.audit.checkpoint()
            except PostroomError as error:
                _log.warning("audit: %s", error)


def check_in_place(room: Room) -> None:
    """Raise RoomError where the room is not at its place any more, or its disk failed to keep something."""
    db = room.desk.db
    if db.failed is not None:
        raise db.failed
    if not db.in_place():
        raise moved_away(db.path)
