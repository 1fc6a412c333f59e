"""The collector: one pass over a source - list, read and hand over, settle on the server.

Every phase begins and ends in the ledger, so a crash anywhere is taken up by the next pass.  No
transaction is open while the network or the sink is used.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from postroom.clock import timestamp
from postroom.db import Claim, Database, Queue, Row, Tx, give_tokens, take_tokens
from postroom.errors import PostroomError, WireError
from postroom.log import logger
from postroom.protocols.base import Content, FolderState, MessageStore, OpenSpool
from postroom.sinks import Sink, cannot_write
from postroom.sources import ledger
from postroom.sources.deadline import Deadline
from postroom.sources.listing import Lister
from postroom.sources.naming import Naming
from postroom.sources.reading import open_message, wire_id
from postroom.sources.retention import Sweeper
from postroom.sources.returning import Place
from postroom.sources.settling import OUTCOMES, Settler, check_actions
from postroom.sources.source import Source
from postroom.sources.verdict import retry_after

__all__ = ["SOURCES", "Collector", "Tally"]

SOURCES = Queue("sources", among="name_key")
"""Claims sources among ``names``, in lower case."""

T = TypeVar("T")
_log = logger("sources")
BATCH = 500
BATCH_BYTES = 32 * 1024 * 1024


@dataclasses.dataclass(slots=True)
class Tally:
    """What one pass did, in messages."""

    listed: int = 0
    read: int = 0  # have arrived; what of them is durable in the sink is delivered
    delivered: int = 0
    ignored: int = 0
    held: int = 0
    failed: int = 0
    vanished: int = 0
    bytes: int = 0
    throttled_for: float = 0.0
    later: int = 0  # wait for their time
    next_due: float | None = None  # when the first of those is due


@dataclasses.dataclass(slots=True)
class _Batch:
    """What was read: rows, their contents by message id, and what cut it short."""

    rows: list[Row]
    contents: dict[str, Content | None]
    error: WireError | None = None


Progress = Callable[[Tally], None]


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
        since = await self._db.read(lambda tx: ledger.cursors(tx, self._claim.id, mailbox))
        folder = await store.open(
            self._source.folders.input, read_only=self._only_reads(), since=since
        )
        sweeper = Sweeper(self._db, self._write, Place(self._claim.id, mailbox, folder.name))
        await sweeper.told(folder)
        lister = Lister(self._db, self._claim, self._source, self._write)
        await lister.run(store, folder, tally, deadline.alive)
        self._progress(tally)
        await self._deliver(store, folder, tally)
        settler = Settler(self._db, self._claim.id, self._source, self._write)
        await settler.run(store, folder, deadline.alive)
        await sweeper.run(store, folder, deadline.alive)
        tally.later, tally.next_due = await self._db.read(
            lambda tx: ledger.later(tx, self._claim.id, folder.name, now=timestamp())
        )
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

    async def _deliver(self, store: MessageStore, folder: FolderState, tally: Tally) -> None:
        """Read batch after batch; while the sink makes one durable, the next is on the wire.

        What has failed before has nothing beside it: should it end this process, no other is blamed.
        """
        handing: asyncio.Task[None] | None = None
        alone = False
        try:
            while True:
                busy = handing is not None
                rows = [] if busy and alone else await self._acquire(folder.name, tally, fresh=busy)
                if not rows and handing is None:
                    return
                batch = await self._fetch(store, rows, tally) if rows else None
                if handing is not None:
                    handed, handing = handing, None
                    await self._handed(handed, batch)  # what it could not handle is pending again
                if batch is not None and batch.rows:
                    alone = bool(batch.rows[0]["attempts"])
                    handing = asyncio.create_task(self._hand_over(batch, tally))
                if batch is not None and batch.error is not None:
                    raise batch.error
        except BaseException:
            if handing is not None:
                await asyncio.wait([handing])
            raise

    async def _handed(self, handing: asyncio.Task[None], following: _Batch | None) -> None:
        """Wait for a batch to be handed over, to its end even when this pass is cancelled.

        When it failed, what was read meanwhile goes back too: it is not to blame.
        """
        try:
            with self._deadline.paused():
                await asyncio.shield(handing)
        except BaseException:
            await asyncio.wait([handing])
            if following is not None:
                _discard(following.contents)
                await self._give_back(following.rows, None)
            raise

    async def _acquire(self, folder: str, tally: Tally, *, fresh: bool) -> list[Row]:
        throttle = self._source.throttle

        def body(tx: Tx) -> list[Row]:
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

    async def _fetch(self, store: MessageStore, rows: Sequence[Row], tally: Tally) -> _Batch:
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
            await self._give_back(left, left[0]["id"] if left else None)
            here = [row for row in rows if wire_id(row["message"]) in got]
            return _Batch(here, got, error)
        except BaseException as error:
            _discard(got)
            await self._give_back(rows, None)
            if isinstance(error, OSError):
                raise cannot_write(Path(error.filename or "the spool directory"), error) from error
            raise
        return _Batch(list(rows), got)

    async def _give_back(self, rows: Sequence[Row], blamed: int | None) -> None:
        ids = [row["id"] for row in rows]
        await self._write(lambda tx: ledger.give_back(tx, ids, blamed=blamed, now=timestamp()))

    async def _hand_over(self, batch: _Batch, tally: Tally) -> None:
        """Give a batch to the sink; once it is durable there, the ledger says so."""
        rows = batch.rows
        ids = [row["id"] for row in rows]
        try:
            reads = await asyncio.to_thread(self._take, rows, batch.contents)
        except PostroomError:
            await self._give_back(rows, None)
            raise
        except Exception:  # noqa: BLE001  # one message that breaks our code must not stop the others
            _log.exception(
                "source %s: %d messages could not be handled", self._source.name, len(ids)
            )
            await self._write(lambda tx: ledger.strike(tx, ids, now=timestamp()))
            return
        finally:
            _discard(batch.contents)
        here = {one.delivery.ledger for one in reads}
        gone = [one for one in ids if one not in here]
        done_due = self._source.action("done") != "keep"
        error_due = self._source.action("error") != "keep"
        await self._write(
            lambda tx: ledger.delivered(
                tx, reads, gone, done_due=done_due, error_due=error_due, now=timestamp()
            )
        )
        tally.failed += sum(1 for one in reads if one.delivery.error and not one.again_at)
        tally.delivered += sum(1 for one in reads if not one.delivery.error)
        tally.vanished += len(gone)
        tally.bytes += sum(row["size"] for row in rows)
        self._progress(tally)

    def _take(self, rows: Sequence[Row], fetched: dict[str, Content | None]) -> list[ledger.Read]:
        """Off the event loop: scan, take attachments apart, hand to the sink."""
        opened = [
            open_message(self._source, row, content, self._naming)
            for row in rows
            if (content := fetched.get(wire_id(row["message"]))) is not None
        ]
        deliveries = {one.ledger: one for one in self._sink.take([one.item for one in opened])}
        now = timestamp()
        refused = {row["id"]: retry_after(self._source, row["retries"]) for row in rows}
        return [
            ledger.Read(
                deliveries[one.item.ledger],
                one.sha256,
                one.subject,
                one.sender,
                one.message_id,
                None if (wait := refused[one.item.ledger]) is None else now + wait,
            )
            for one in opened
        ]


def _discard(contents: dict[str, Content | None]) -> None:
    for content in contents.values():
        if content is not None:
            content.discard()
