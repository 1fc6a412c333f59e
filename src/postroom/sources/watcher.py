"""The watcher: keeps a claimed source collected - waits for push or the clock, backs off, reports."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Final, Protocol

from postroom.clock import timestamp
from postroom.connections.refused import REFUSED_SECONDS, is_refused
from postroom.db import Claim, Database, Owe, Row, Tx, write_or_owe
from postroom.errors import PostroomError, Refused, WireError
from postroom.log import about, logger
from postroom.protocols.base import MessageStore, OpenSpool
from postroom.sinks import Sink
from postroom.sources import store as rows
from postroom.sources.collector import SOURCES, Collector
from postroom.sources.deadline import Deadline
from postroom.sources.handing import Progress, Tally
from postroom.sources.naming import Naming
from postroom.sources.source import Backoff, Source
from postroom.sources.standing import Kept
from postroom.tracing import span

__all__ = ["OpenStore", "Watcher", "give_up", "wait_after"]

OnLost = Callable[[str, WireError], Awaitable[None]]
"""Hears of what went wrong on a connection after it was opened."""

SLOW_SECONDS: Final = 0.3
"""A sign-in that takes longer is said; before that nobody could read it."""
LOOK_SECONDS: Final = 1.0
"""How soon a watcher that only waits sees that an operator asked it to look now."""


_log: Final = logger("sources")


class OpenStore(Protocol):
    """Opens the incoming side of a connection by name; raises WireError.  It is in ``patient`` while
    others have their turn, and calls ``signing`` when it begins to sign in.
    """

    def __call__(
        self,
        name: str,
        /,
        *,
        patient: Callable[[], AbstractContextManager[None]],
        signing: Callable[[], None],
    ) -> Awaitable[MessageStore]: ...


class Watcher:
    """Works on one claimed source for as long as the claim stands.

    ``once`` passes once and ends; ``watch`` goes on until it is cancelled.  Both give the claim
    back, due again when the schedule says so; a source that is pushed wants a watcher at once.
    """

    def __init__(
        self,
        db: Database,
        claim: Claim,
        source: Source,
        sink: Sink,
        *,
        owner: str,
        open_store: OpenStore,
        open_spool: OpenSpool,
        naming: Naming,
        progress: Progress | None = None,
        on_lost: OnLost | None = None,
        owe: Owe | None = None,
    ) -> None:
        self._db = db
        self._claim = claim
        self._source = source
        self._owner = owner
        self._open_store = open_store
        self._on_lost = on_lost
        self._owe = owe
        self._collector = Collector(
            db,
            claim,
            source,
            sink,
            owner=owner,
            open_spool=open_spool,
            naming=naming,
            progress=progress,
        )
        self._store: MessageStore | None = None
        self._kept = Kept(claim.row["state"], claim.row["state_since"])
        self._due_at = 0.0  # of the row, when the last pass began
        self._changed = False
        self._renewed = False  # reopened at once since the last pass that went well

    async def once(self) -> Tally:
        """One pass.  Raises what stopped it, after it is noted on the source."""
        due = timestamp()
        try:
            tally = await self._pass()
            due = _due(self._source, tally)
            return tally
        except PostroomError as error:
            due = timestamp() + await self._failed(error)
            raise
        finally:
            await self._leave(due)

    async def watch(self, *, linger: bool = True) -> None:
        """Collect, wait, and collect again, until cancelled or the claim is lost.

        Ends by itself when the settings of the source were changed: another watcher knows them; and
        without ``linger`` when it is not wanted for so long that it would close the connection.
        """
        due = timestamp()
        failing = self._claim.row["state"] if self._claim.row["failures"] else ""
        told = about(source=self._claim.row["name"], connection=self._source.connection)
        try:
            while not self._changed:
                try:
                    tally = await self._pass()
                    if failing:
                        _log.warning(
                            "source %s collects again", self._claim.row["name"], extra=told
                        )
                    failing = ""
                    due = _due(self._source, tally)
                    if not linger and due - timestamp() > KEEP_OPEN_SECONDS:
                        return
                    await self._wait(tally)
                except PostroomError as error:
                    if error.code == "claim_lost":
                        raise
                    due = timestamp() + await self._failed(error)
                    if error.code != failing and not self._changed:  # once, and when it differs
                        _log.warning("source %s: %s", self._claim.row["name"], error, extra=told)
                        failing = error.code
                    await self._sleep(due)
            due = timestamp()
        except PostroomError:
            raise
        except Exception as error:  # a mistake of ours: whoever claims it next must not spin
            due = timestamp() + self._source.backoff.max
            await self._mistaken(error)
            raise
        finally:
            await self._leave(due)

    async def _pass(self) -> Tally:
        self._due_at = (await self._row())["due_at"]
        async with Deadline(self._source.polling_timeout) as deadline:
            if self._store is None:
                if not self._kept.failing:  # why it fails is to be seen until that is over
                    await self._mark("connecting")
                self._store = await self._open(deadline)
                deadline.alive()
                await self._row()
                if self._changed:  # it may be another mailbox than the one the claim was made for
                    raise Refused(
                        "The settings of the source were changed while it was connecting.",
                        temporary=True,
                        hint="It begins anew with the new ones.",
                    )
            await self._mark("collecting")
            store = self._store
            try:
                with span("collect", source=self._claim.row["name"]):
                    tally = await self._collector.run(store, deadline)
            except asyncio.CancelledError:
                self._abandon()  # in the middle of an answer: a goodbye would wait for all of it
                raise
            if store.features.snapshot:  # a POP3 session shows what was there when it began
                self._store = None
                await store.close()
        await self._went_well(tally)
        return tally

    async def _open(self, deadline: Deadline) -> MessageStore:
        """Connect and sign in.  That it signs in is said where somebody could see it: a slow server,
        an authorization server that is asked, a device code that waits.
        """
        timers: list[asyncio.TimerHandle] = []
        marks: list[asyncio.Task[None]] = []

        def mark() -> None:
            marks.append(asyncio.create_task(self._mark("signing in")))

        def signing() -> None:
            if not timers and not self._kept.failing:
                timers.append(asyncio.get_running_loop().call_later(SLOW_SECONDS, mark))

        try:
            # waiting for a turn is not the server's silence
            return await self._open_store(
                self._source.connection, patient=deadline.paused, signing=signing
            )
        finally:
            for timer in timers:
                timer.cancel()
            await asyncio.gather(*marks, return_exceptions=True)

    async def _went_well(self, tally: Tally) -> None:
        self._renewed = False

        def body(tx: Tx) -> None:
            SOURCES.guard(tx, self._claim, owner=self._owner)
            now = timestamp()
            rows.succeeded(
                tx,
                self._claim.id,
                delivered=bool(tally.delivered),
                now=now,
                reset_after=self._source.backoff.reset_after_successes,
            )
            since, due = self._kept.since("idle", now), _next(self._source, tally)
            rows.mark(tx, self._claim.id, "idle", now=since, wake_at=due)

        await self._db.write(body)

    async def _wait(self, tally: Tally) -> None:
        """Until the server pushes, the schedule or the throttle says so, or an operator asks."""
        store, due = self._store, _next(self._source, tally)
        if not self._source.schedule.push or store is None or not store.features.push:
            if store is not None and due - timestamp() > KEEP_OPEN_SECONDS:
                self._store = None
                await store.close()
            await self._sleep(due)
            return
        waits = bool(tally.throttled_for) or tally.next_due is not None
        await self._mark("listening", wake_at=due if waits else None)
        longest = max(0.0, due - timestamp()) if waits else _FOREVER
        pushed = asyncio.create_task(store.wait(longest))
        asked = asyncio.create_task(self._asked())
        try:
            await asyncio.wait([pushed, asked], return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
            pushed.cancel()  # of no effect once it has ended
            # not awaited one by one: whoever cancels this watcher meanwhile must be heard
            await asyncio.wait([asked, pushed])
        for ended in (asked, pushed):
            if not ended.cancelled():
                ended.result()

    async def _sleep(self, due: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, due - timestamp())):
                await self._asked()

    async def _asked(self) -> None:
        """Ends when somebody wants this source now, or has changed it, since the last pass began."""
        version = -1
        while True:
            seen = self._db.data_version()
            if seen != version:
                version = seen
                row = await self._row()
                if self._changed or self._due_at != row["due_at"] <= timestamp():
                    return
            await asyncio.sleep(LOOK_SECONDS)

    async def _row(self) -> Row:
        """The source's row as it is now, and whether its settings were changed since the claim.

        Raises Refused(``claim_lost``) when it is not ours.
        """
        row = await self._db.read(
            lambda tx: tx.one(
                "SELECT due_at, updated_at, epoch FROM sources WHERE id = :id", id=self._claim.id
            )
        )
        if row is None or row["epoch"] != self._claim.epoch:
            raise Refused(
                "Another worker has taken this work over.", code="claim_lost", temporary=True
            )
        self._changed = row["updated_at"] != self._claim.row["updated_at"]
        return row

    async def _failed(self, error: PostroomError) -> float:
        """Note the failure; gives the seconds to wait."""
        was_open = self._store is not None
        self._abandon()
        if error.code == "claim_lost" or self._changed:
            return 0.0
        if was_open and error.facts.get("worn_out") and not self._renewed:
            self._renewed = True  # its token ran out: a new connection brings another, at once
            return 0.0
        if was_open and self._on_lost is not None and isinstance(error, WireError):
            await self._on_lost(self._source.connection, error)
        backoff = self._source.backoff
        permanent = is_refused(error)
        waits = isinstance(error, WireError) or error.code == "queue_full"
        state = "backing off" if waits and not permanent else "failed"
        if error.code == "sign_in_required":
            state = "waiting for sign-in"

        def body(tx: Tx) -> float:
            SOURCES.guard(tx, self._claim, owner=self._owner)
            now = timestamp()
            # the time spent waiting is no time without a failure
            quiet = backoff.max + backoff.reset_after
            count = rows.failed(tx, self._claim.id, reset_after=quiet, now=now)
            wait = wait_after(backoff, count)
            wait = max(wait, REFUSED_SECONDS) if permanent else wait
            since = self._kept.since(state, now)
            note = error.kept(str(error))
            rows.mark(tx, self._claim.id, state, note=note, now=since, wake_at=now + wait)
            return wait

        return await self._db.write(body)

    async def _mistaken(self, error: Exception) -> None:
        """Say on the source that our own mistake stopped it."""
        with contextlib.suppress(PostroomError):
            await self._mark("failed", str(_told(error)))

    async def _mark(self, state: str, note: str = "", *, wake_at: float | None = None) -> None:
        def body(tx: Tx) -> None:
            SOURCES.guard(tx, self._claim, owner=self._owner)
            since = self._kept.since(state, timestamp())
            rows.mark(tx, self._claim.id, state, note=note, now=since, wake_at=wake_at)

        await self._db.write(body)

    async def _leave(self, due: float) -> None:
        store, self._store = self._store, None
        if store is not None:
            with contextlib.suppress(PostroomError):
                await store.close()

        def body(tx: Tx) -> None:
            asked = tx.value("SELECT due_at FROM sources WHERE id = :id", id=self._claim.id)
            # somebody wanted it looked at since the last pass began: that is not to be forgotten
            wanted = bool(self._due_at) and asked not in (None, self._due_at)
            due_at = min(due, asked) if wanted else due
            SOURCES.release(tx, self._claim, owner=self._owner, due_at=due_at)

        with contextlib.suppress(Refused):  # the claim was lost: nothing of ours to give back
            await write_or_owe(self._db, body, self._owe)

    def _abandon(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.abandon()


KEEP_OPEN_SECONDS: Final = 300.0
"""A connection that is not wanted for longer than this is closed between two looks."""
_UNUSABLE_SECONDS: Final = 60.0
"""When a source that could not be used as it is defined is looked at again.  An edit wakes it."""
_FOREVER: Final = 86400.0


def _next(source: Source, tally: Tally) -> float:
    """When the next pass is to be: by the schedule, sooner for what waits for its time."""
    now = timestamp()
    if tally.throttled_for:
        return now + tally.throttled_for
    due = source.schedule.after(now)
    return due if tally.next_due is None else max(now, min(due, tally.next_due))


def _due(source: Source, tally: Tally) -> float:
    """When somebody should look should this watcher end."""
    if source.schedule.push and not tally.throttled_for:
        return timestamp()  # a watcher is wanted at once
    return _next(source, tally)


async def give_up(db: Database, claim: Claim, error: Exception, *, owe: Owe | None = None) -> None:
    """Give a claim back that cannot be watched at all: what is wrong stands on the source."""
    owner: str = claim.row["owner"]

    def body(tx: Tx) -> None:
        SOURCES.guard(tx, claim, owner=owner)
        now = timestamp()
        rows.mark(tx, claim.id, "failed", note=str(_told(error)), now=now)
        SOURCES.release(tx, claim, owner=owner, due_at=now + _UNUSABLE_SECONDS)

    await write_or_owe(db, body, owe)


def wait_after(backoff: Backoff, failures: int) -> float:
    """Seconds to wait after so many failures in a row: doubling from ``min`` to ``max``."""
    return float(min(backoff.max, backoff.min * 2.0 ** min(failures - 1, 32)))


def _told(error: Exception) -> PostroomError:
    """What stands on a source; the words of a mistake of ours are for the log."""
    if isinstance(error, PostroomError):
        return error
    return PostroomError("Postroom made a mistake with this source.", hint="Its log says which.")
