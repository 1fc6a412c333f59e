"""The collector: one pass over a source - list, read and hand over, settle on the server.

Every phase begins and ends in the ledger, so a crash anywhere is taken up by the next pass.  No
transaction is open while the network or the sink is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from postroom.clock import timestamp
from postroom.db import Claim, Database, Queue, Row, Tx, give_tokens, take_tokens
from postroom.errors import Refused, WireError
from postroom.protocols.base import Content, FolderState, MessageStore, OpenSpool
from postroom.sinks import Sink
from postroom.sources import cursors, ledger
from postroom.sources.arriving import Arriving, no_spool
from postroom.sources.deadline import Deadline
from postroom.sources.handing import Batch, Hands, Progress, Tally, discard
from postroom.sources.listing import Lister
from postroom.sources.naming import Naming
from postroom.sources.reading import wire_id
from postroom.sources.retention import Sweeper
from postroom.sources.returning import Place
from postroom.sources.settling import OUTCOMES, Settler, check_actions
from postroom.sources.source import Source

__all__ = ["SOURCES", "Collector"]

SOURCES = Queue("sources", among="name_key")
"""Claims sources among ``names``, in lower case."""

T = TypeVar("T")
BATCH = 500
BATCH_BYTES = 8 * 1024 * 1024


class Collector:
    """Works on one claimed source over one open store.  One pass is one :meth:`run`."""

    def __init__(
        self,
        db: Database,
        claim: Claim,
        source: Source,
        sink: Sink,
        *,
        owner: str,
        open_spool: OpenSpool,
        naming: Naming,
        progress: Progress | None = None,
    ) -> None:
        self._db = db
        self._claim = claim
        self._source = source
        self._sink = sink
        self._owner = owner
        self._open_spool = open_spool
        self._naming = naming
        self._progress = progress or (lambda tally: None)

    async def run(self, store: MessageStore, deadline: Deadline) -> Tally:
        """List, deliver and settle everything that is there now; ``deadline`` hears of progress.

        Raises WireError, or Refused when the sink takes nothing; the ledger is right either way.
        """
        tally = Tally()
        self._deadline = deadline
        check_actions(self._source, store.features)
        with deadline.paused():
            await asyncio.to_thread(self._sink.prepare)
        await self._write(lambda tx: ledger.recover(tx, self._claim.id, timestamp()))
        mailbox: str = self._claim.row["store"]
        since = await self._db.read(lambda tx: cursors.cursors(tx, self._claim.id, mailbox))
        folder = await store.open(
            self._source.folders.input, read_only=self._only_reads(), since=since
        )
        sweeper = Sweeper(self._db, self._write, Place(self._claim.id, mailbox, folder.name))
        await sweeper.told(folder)
        hands = Hands(
            self._source, self._sink, self._naming, self._write, deadline, tally, self._progress
        )
        lister = Lister(self._db, self._claim, self._source, self._write)
        arriving = Arriving(lister, hands, deadline.watched(self._open_spool))
        full: Refused | None = None
        try:
            await self._db.read(self._sink.check_room)
            await lister.run(store, folder, tally, deadline.alive, arriving)
            self._progress(tally)
            await self._deliver(store, folder, hands, tally)
        except BaseException as error:
            await hands.ended()
            if not isinstance(error, Refused) or error.code != "queue_full":
                raise
            full = error  # what it has taken is finished with all the same
        settler = Settler(self._db, self._claim.id, self._source, self._write)
        await settler.run(store, folder, deadline.alive)
        await sweeper.run(store, folder, deadline.alive)
        tally.later, tally.next_due = await self._db.read(
            lambda tx: ledger.later(tx, self._claim.id, folder.name, now=timestamp())
        )
        if full is not None:
            raise full
        return tally

    def _only_reads(self) -> bool:
        return all(self._source.action(outcome) == "keep" for outcome in OUTCOMES)

    async def _write(self, body: Callable[[Tx], T]) -> T:
        """Write under the fence of the claim."""

        def fenced(tx: Tx) -> T:
            SOURCES.guard(tx, self._claim, owner=self._owner)
            return body(tx)

        return await self._db.write(fenced)

    # -------------------------------------------------------------- deliver

    async def _deliver(
        self, store: MessageStore, folder: FolderState, hands: Hands, tally: Tally
    ) -> None:
        """Read batch after batch; while the sink makes one durable, the next is on the wire.

        What has failed before has nothing beside it: should it end this process, no other is blamed.
        """
        alone = False
        while True:
            busy = hands.busy
            rows = [] if busy and alone else await self._acquire(folder.name, tally, fresh=busy)
            if not rows and not busy:
                return
            batch = await self._fetch(store, rows, hands, tally) if rows else Batch([], {})
            await hands.take(batch)  # what the one before could not handle is pending again
            alone = bool(batch.rows and batch.rows[0]["attempts"])
            if batch.error is not None:
                raise batch.error

    async def _acquire(self, folder: str, tally: Tally, *, fresh: bool) -> list[Row]:
        throttle = self._source.throttle

        def body(tx: Tx) -> list[Row]:
            self._sink.check_room(tx)
            now = timestamp()
            most = BATCH
            if throttle is not None:
                most, wait = take_tokens(
                    tx,
                    f"source:{self._source.name}",
                    wanted=min(BATCH, throttle.max),
                    most=throttle.max,
                    per=throttle.seconds,
                    now=now,
                )
                if not most:
                    if ledger.waits(tx, self._claim.id, folder, now=now):
                        tally.throttled_for = wait
                    return []
            rows = ledger.acquire(
                tx,
                self._claim.id,
                folder,
                most=most,
                most_bytes=BATCH_BYTES,
                order=self._source.order,
                fresh=fresh,
                now=now,
            )
            if throttle is not None and len(rows) < most:
                give_tokens(tx, f"source:{self._source.name}", most - len(rows))
            return rows

        return await self._write(body)

    async def _fetch(
        self, store: MessageStore, rows: Sequence[Row], hands: Hands, tally: Tally
    ) -> Batch:
        """Read them.  On a lost wire the batch is what had arrived whole, with the ``error``.

        The rest goes back, and the message that was in flight is blamed.
        """
        wanted = [wire_id(row["message"]) for row in rows]
        got: dict[str, Content | None] = {}
        spool = self._deadline.watched(self._open_spool)
        try:
            async for batch in store.fetch(wanted, spool):
                self._deadline.alive()
                for one in batch:
                    got[one.id] = one.content
                tally.read += len(batch)
                self._progress(tally)
        except WireError as error:
            left = [row for row in rows if wire_id(row["message"]) not in got]
            await hands.give_back(left, left[0]["id"] if left else None)
            here = [row for row in rows if wire_id(row["message"]) in got]
            return Batch(here, got, error)
        except BaseException as error:
            discard(got)
            await hands.give_back(rows, None)
            if isinstance(error, OSError):
                raise no_spool(error) from error
            raise
        return Batch(rows, got)
