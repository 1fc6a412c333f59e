"""Handing over: a batch that was read is given to the sink, while the next one is on the wire."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence

from postroom.clock import timestamp
from postroom.db import Row, Tx
from postroom.errors import PostroomError, WireError
from postroom.log import logger
from postroom.protocols.base import Content
from postroom.sinks import Sink
from postroom.sources import ledger
from postroom.sources.deadline import Deadline
from postroom.sources.naming import Naming
from postroom.sources.reading import open_message, wire_id
from postroom.sources.settling import Write
from postroom.sources.source import Source
from postroom.sources.verdict import retry_after, too_large

__all__ = ["Batch", "Hands", "Progress", "Tally", "discard"]

_log = logger("sources")


@dataclasses.dataclass(slots=True)
class Tally:
    """What one pass did, in messages."""

    expected: int = 0  # are behind the cursor, at most; while they come with their listing
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

    @property
    def total(self) -> int:
        """How many there are to read, as far as is known by now."""
        return max(self.expected, self.listed, self.read)


Progress = Callable[[Tally], None]


@dataclasses.dataclass(slots=True)
class Batch:
    """What was read: rows that are ``acquired``, their contents by what the server calls them, and
    what cut it short.
    """

    rows: Sequence[Row]
    contents: Mapping[str, Content | None]
    error: WireError | None = None


class Hands:
    """What hands over in one pass: one batch at a time.  :attr:`busy` while there is one."""

    def __init__(
        self,
        source: Source,
        sink: Sink,
        naming: Naming,
        write: Write,
        deadline: Deadline,
        tally: Tally,
        progress: Progress,
    ) -> None:
        self._source = source
        self._sink = sink
        self._naming = naming
        self._write = write
        self._deadline = deadline
        self._tally = tally
        self._progress = progress
        self._handing: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a batch is being handed over, or nobody has asked yet how that went."""
        return self._handing is not None

    def expect(self, count: int) -> None:
        """So many are thought to come, before any of them is listed."""
        self._tally.expected = count
        self._progress(self._tally)

    def arrived(self, count: int) -> None:
        """So many more messages are here."""
        self._tally.read += count
        self._progress(self._tally)

    async def take(self, batch: Batch) -> None:
        """Wait for the batch before, then begin with this one.  Raises what the one before raised."""
        await self.settled(batch)
        if batch.rows:
            self._handing = asyncio.create_task(self._hand_over(batch))
        else:
            discard(batch.contents)

    async def settled(self, following: Batch | None = None) -> None:
        """Wait for the present batch, to its end even when this pass is cancelled.

        When it failed, what was read meanwhile goes back too: it is not to blame.
        """
        handing, self._handing = self._handing, None
        if handing is None:
            return
        try:
            with self._deadline.paused():
                await asyncio.shield(handing)
        except BaseException:
            await asyncio.wait([handing])
            if following is not None:
                discard(following.contents)
                await self.give_back(following.rows, None)
            raise

    async def ended(self) -> None:
        """Wait for the present batch after something else has failed, which is what is told."""
        if self._handing is not None:
            self._handing.add_done_callback(_heard)
            await asyncio.wait([self._handing])

    async def give_back(self, rows: Sequence[Row], blamed: int | None) -> None:
        """What was not read or not taken is pending again; see :func:`ledger.give_back`."""
        ids = [row["id"] for row in rows]
        await self._write(lambda tx: ledger.give_back(tx, ids, blamed=blamed, now=timestamp()))

    async def _hand_over(self, batch: Batch) -> None:
        """Give a batch to the sink; once it is durable there, the ledger says so."""
        rows, tally = await self._not_too_large(batch), self._tally
        ids = [row["id"] for row in rows]
        try:
            reads = await asyncio.to_thread(self._take, rows, batch.contents)
            await self._delivered(reads, ids)
        except PostroomError:
            await self.give_back(rows, None)
            raise
        except Exception:  # noqa: BLE001  # one message that breaks our code must not stop the others
            _log.exception(
                "source %s: %d messages could not be handled", self._source.name, len(ids)
            )
            await self._write(lambda tx: ledger.strike(tx, ids, now=timestamp()))
            return
        finally:
            discard(batch.contents)
        tally.failed += sum(1 for one in reads if one.delivery.error and not one.again_at)
        tally.delivered += sum(1 for one in reads if not one.delivery.error)
        tally.vanished += len(ids) - len(reads)
        tally.bytes += sum(row["size"] for row in rows)
        self._progress(tally)

    async def _delivered(self, reads: Sequence[ledger.Read], ids: Sequence[int]) -> None:
        """The ledger says so; what a sink of this room has to write is in the same transaction."""
        here = {one.delivery.ledger for one in reads}
        gone = [one for one in ids if one not in here]
        done_due = self._source.action("done") != "keep"
        error_due = self._source.action("error") != "keep"

        def body(tx: Tx) -> None:
            self._sink.check_room(tx)  # a batch may have been read while the one before filled it
            written = [one._replace(delivery=one.delivery.written(tx)) for one in reads]
            ledger.delivered(
                tx, written, gone, done_due=done_due, error_due=error_due, now=timestamp()
            )

        await self._write(body)

    async def _not_too_large(self, batch: Batch) -> Sequence[Row]:
        """The rows to give to the sink: what the wire told no size of is held back only here."""
        large: dict[int, tuple[int, str]] = {}
        for row in batch.rows if self._source.max_size is not None else ():
            content = batch.contents.get(wire_id(row["message"]))
            size = 0 if row["size"] or content is None else content.size
            if why := too_large(self._source, size):
                large[row["id"]] = (size, why)
        if large:
            try:
                await self._write(lambda tx: ledger.hold_read(tx, large, now=timestamp()))
            except BaseException:
                discard(batch.contents)
                raise
            self._tally.held += len(large)
        return [row for row in batch.rows if row["id"] not in large]

    def _take(
        self, rows: Sequence[Row], contents: Mapping[str, Content | None]
    ) -> list[ledger.Read]:
        """Off the event loop: scan, take attachments apart, hand to the sink."""
        opened = [
            open_message(self._source, row, content, self._naming)
            for row in rows
            if (content := contents.get(wire_id(row["message"]))) is not None
        ]
        deliveries = {one.ledger: one for one in self._sink.take([one.item for one in opened])}
        retries = {row["id"]: row["retries"] for row in rows}
        now = timestamp()
        reads = []
        for one in opened:
            delivery = deliveries[one.item.ledger]
            wait = retry_after(self._source, retries[delivery.ledger]) if delivery.error else None
            again = None if wait is None else now + wait
            reads.append(
                ledger.Read(delivery, one.sha256, one.subject, one.sender, one.message_id, again)
            )
        return reads


def _heard(handing: asyncio.Task[None]) -> None:
    """How it ended was asked for: asyncio says nothing of it on standard error."""
    if not handing.cancelled():
        handing.exception()


def discard(contents: Mapping[str, Content | None]) -> None:
    """Give back what contents hold: files of large ones."""
    for content in contents.values():
        if content is not None:
            content.discard()
