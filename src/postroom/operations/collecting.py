"""Operations that collect: one pass, a watch, and the claims of a worker."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from typing import Final

from postroom.clock import timestamp
from postroom.connections.spool import Spools
from postroom.db import Claim, Row, Seat, Tx, workers
from postroom.errors import PostroomError
from postroom.operations.desk import Desk
from postroom.operations.expanding import expanded, naming
from postroom.protocols.base import MessageStore
from postroom.sinks import Sink
from postroom.sources import retention, store
from postroom.sources.collector import SOURCES
from postroom.sources.deadline import Deadline
from postroom.sources.handing import Progress, Tally
from postroom.sources.naming import Naming
from postroom.sources.preview import Preview, preview
from postroom.sources.source import Source
from postroom.sources.watcher import Watcher, give_up

__all__ = ["Collecting", "has_role"]

SPOOL_SECONDS: Final = 86400.0
FORGET_ROUNDS: Final = 50
AT_ONCE: Final = 50
"""Sources that a worker takes in one look."""
PEEK: Final = 200
"""Sources that are due that a worker looks at, one look."""


class Collecting:
    """Collecting for sources, in this process."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def run(self, name: str, *, progress: Progress | None = None) -> Tally | None:
        """Collect once, here and now.

        None when a living worker owns the source: then that one is asked to look at once.  Raises
        WireError and Refused for what stopped it.
        """
        watcher = await self._watcher(name, progress)
        return None if watcher is None else await watcher.once()

    async def watch(self, name: str, *, progress: Progress | None = None) -> bool:
        """Collect for a source until cancelled; False when a living worker owns it already."""
        watched = False
        while (watcher := await self._watcher(name, progress)) is not None:
            watched = True
            await watcher.watch()  # returns when the source was edited: the new one is watched
        return watched

    async def preview(self, name: str, *, last: int = 50) -> Preview:
        """What a pass would do with the newest messages on the server, and why; changes nothing.

        Raises WireError and Refused for what would stop a pass.
        """

        def body(tx: Tx) -> tuple[Row, Source, Naming, bool]:
            row = store.row_of(tx, name)
            source = store.source_of(row)
            seen = expanded(self._desk, tx, source)
            same = row["mailbox"] == self._desk.mailbox_of(tx, source.connection)
            return row, seen, naming(self._desk, tx, source), same

        row, source, called, same = await self._desk.db.read(body)
        opened: MessageStore | None = None
        try:
            async with Deadline(source.polling_timeout) as deadline:
                opened = await self._desk.opener.open_store(source.connection)
                deadline.alive()
                # of another mailbox than before nothing is known
                known = row["store"] if same else ""
                found = await preview(
                    self._desk.db, row["id"], known, source, called.name, opened, last=last
                )
            await opened.close()
            return found
        except BaseException:
            if opened is not None:
                opened.abandon()
            raise

    async def forget(self) -> int:
        """Forget messages that have been gone from their server for 400 days; gives how many.

        In small transactions, and not without end: the next time goes on.
        """
        count = 0
        for _ in range(FORGET_ROUNDS):
            forgotten = await self._desk.write(lambda tx: retention.purge(tx, now=timestamp()))
            count += forgotten
            if forgotten < retention.PURGE_ROWS:
                break
        return count

    async def tidy(self) -> int:
        """Remove spool files that killed processes left a day ago; gives how many."""
        spools = Spools(self._desk.data_dir / "spool")
        return await asyncio.to_thread(spools.clear, older_than=SPOOL_SECONDS)

    async def take(self, roles: Sequence[str], most: int) -> list[Claim]:
        """Take sources that are due and that a worker with these roles may collect for.

        Not all at once: at most :data:`AT_ONCE`, and this worker's share of what is due, so that
        workers that look at the same time share the work, and ten thousand sources that are due
        when the room is opened do not all dial in the same second.
        """
        seat = await self._desk.seat()
        await seat.remove_dead()  # what they had is free at once, not after the lease

        def look(tx: Tx) -> tuple[list[str], int]:
            now = timestamp()
            rows = SOURCES.due(tx, now=now, limit=PEEK)
            may = self._may(tx, roles)
            mine = [row["name_key"] for row in rows if may(row)]
            if len(rows) == PEEK and len(mine) < AT_ONCE:  # those of other roles stand in front
                mine = [row["name_key"] for row in store.rows(tx) if may(row)]
            count = SOURCES.count_due(tx, now=now) if mine else 0
            return mine, -(-count // max(1, len(workers(tx, now=now))))

        names, share = await self._desk.db.read(look)
        limit = min(most, share, AT_ONCE)
        return await self.claim(names, limit) if names and limit > 0 else []

    def _may(self, tx: Tx, roles: Sequence[str]) -> Callable[[Row], bool]:
        """Whether a source may be collected here; one that is broken, or whose connection is, may:
        whoever takes it says so on it, and it is in nobody's way.
        """
        resolver = self._desk.resolver(tx)

        @functools.cache
        def wanted(connection: str) -> Sequence[str]:
            try:
                return resolver.effective(connection).worker_roles
            except (PostroomError, ValueError):
                return ()

        def may(row: Row) -> bool:
            try:
                one = store.source_of(row)
            except (PostroomError, ValueError):
                return True
            return has_role(one.worker_roles, roles) and has_role(wanted(one.connection), roles)

        return may

    async def claim(self, names: Sequence[str], limit: int) -> list[Claim]:
        """Take sources of these names that are due and that nobody living owns."""
        seat = await self._desk.seat()
        wanted = [name.casefold() for name in names]
        claiming = asyncio.ensure_future(
            self._desk.db.write(
                lambda tx: SOURCES.claim(
                    tx, owner=seat.owner, now=timestamp(), limit=limit, names=wanted
                )
            )
        )
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:  # it is written all the same, and nobody hears of it
            claiming.add_done_callback(functools.partial(_let_go_of, seat))
            raise

    async def watcher(self, claim: Claim, progress: Progress | None = None) -> Watcher:
        """The watcher of a claimed source."""
        seat = await self._desk.seat()

        def body(tx: Tx) -> tuple[Source, Naming, Claim]:
            SOURCES.guard(tx, claim, owner=seat.owner)
            source = store.source_of(claim.row)
            seen = expanded(self._desk, tx, source)
            mailbox = self._desk.mailbox_of(tx, seen.connection)
            adopted = claim._replace(row=store.adopt(tx, claim.id, mailbox))
            return seen, naming(self._desk, tx, source), adopted

        try:
            source, called, claim = await self._desk.db.write(body)
        except asyncio.CancelledError:
            _let_go(seat, [claim])
            raise
        sink: Sink = source.sink
        return Watcher(
            self._desk.db,
            claim,
            source,
            sink,
            owner=seat.owner,
            open_store=self._desk.opener.open_store,
            open_spool=Spools(self._desk.data_dir / "spool"),
            naming=called,
            progress=progress,
            on_lost=lambda name, error: self._desk.opener.failed(name, "incoming", error),
            owe=seat.owe,
        )

    async def _watcher(self, name: str, progress: Progress | None) -> Watcher | None:
        seat = await self._desk.seat()
        await seat.remove_dead()
        await self._desk.write(lambda tx: store.wake(tx, store.row_of(tx, name)["name"]))
        claims = await self.claim([name], 1)
        if not claims:
            return None
        try:
            return await self.watcher(claims[0], progress)
        except PostroomError as error:
            await give_up(self._desk.db, claims[0], error, owe=seat.owe)
            raise


def _let_go_of(seat: Seat, claiming: asyncio.Future[list[Claim]]) -> None:
    if not claiming.cancelled() and claiming.exception() is None:
        _let_go(seat, claiming.result())


def _let_go(seat: Seat, claims: Sequence[Claim]) -> None:
    """Whoever was to watch them was cancelled; they are free as soon as that can be written."""

    def release(claim: Claim, tx: Tx) -> None:
        SOURCES.release(tx, claim, owner=seat.owner, due_at=timestamp())

    for one in claims:
        seat.owe(functools.partial(release, one))


def has_role(wanted: Sequence[str], roles: Sequence[str]) -> bool:
    """Whether a worker with ``roles`` may do what asks for one of ``wanted`` (empty: anybody)."""
    return not wanted or bool(set(wanted) & set(roles))
