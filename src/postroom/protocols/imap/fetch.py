"""Reading messages: several UID FETCH ahead of the answers, bounded by bytes in flight.

The uids are cut into windows; each is one command.  Windows are sent as long as less than
``Limits.in_flight`` bytes are awaited, so the server never waits for us and we never hold more than
that.  Bodies are bytes as they came (never parsed here); a large one goes to the caller's spool.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final, NamedTuple

from postroom.errors import ProtocolError, WireError
from postroom.protocols.base import Fetched, OpenSpool, Spool
from postroom.protocols.content import Held
from postroom.protocols.imap import commands
from postroom.protocols.imap.frames import Chunk, Large
from postroom.protocols.imap.opened import Opened
from postroom.protocols.imap.refusals import not_understood
from postroom.protocols.imap.responses import Done, Event, Fetch
from postroom.protocols.imap.session import Pending
from postroom.protocols.imap.sets import LONGEST, compress, write_set

__all__ = ["FetchVerb"]

_WINDOWS: Final = 4  # in flight; the fewer, the longer each command
_MOST: Final = 500  # messages in a window
_GUESS: Final = 32 * 1024  # bytes of a message whose size nobody told


class _Window(NamedTuple):
    pending: Pending
    uids: list[int]
    size: int


class _Bodies:
    """Takes the events of fetching; ``ready`` holds what is complete."""

    def __init__(self, wanted: dict[int, str], spool: OpenSpool) -> None:
        self.wanted = wanted  # uid to id, of what has not come yet
        self.ready: list[Fetched] = []
        self._open_spool = spool
        self._spool: Spool | None = None
        self._large: Large | None = None

    def take(self, event: Event) -> None:
        """The next event."""
        if isinstance(event, Fetch):
            if event.has_body:
                self._body(event)
            elif self._spool is not None:
                self.discard()
        elif isinstance(event, Chunk):
            if self._spool is not None:
                self._spool.write(event.data)
        elif isinstance(event, Large):
            self.discard()
            self._large = event
            self._spool = self._open_spool(event.size)

    def _body(self, fetch: Fetch) -> None:
        key = self.wanted.pop(fetch.uid, None)
        body = fetch.body
        if key is None:  # twice, or never asked for
            self.discard()
        elif isinstance(body, bytes):
            self.ready.append(Fetched(key, Held(body)))
        elif body is None:
            self.ready.append(Fetched(key, None))
        elif self._spool is not None and body is self._large:
            spool, self._spool = self._spool, None
            self.ready.append(Fetched(key, spool.finish()))
        else:
            raise ProtocolError("The server sent two large texts in one answer.", step="fetch")

    def discard(self) -> None:
        """Give up what is half written."""
        spool, self._spool = self._spool, None
        if spool is not None:
            spool.discard()


class FetchVerb(Opened):
    """fetch."""

    async def fetch(self, ids: Sequence[str], spool: OpenSpool) -> AsyncIterator[list[Fetched]]:
        """The messages, in batches as they arrive; see base.MessageStore.

        What the server no longer has comes as ``Fetched(id, None)`` at the end of its window.
        Raises WireError: also when the server refused to give a message that is still there.
        """
        uids = self._uids(ids)
        session = self._session
        bodies = _Bodies(dict(zip(uids, ids, strict=True)), spool)
        plan = self._windows(uids)
        flight: deque[_Window] = deque()
        awaited = 0
        refused: list[tuple[Done, list[int]]] = []
        session.pump.transcript.quiet = True
        try:
            more = True
            while more or flight:
                while more and (not flight or awaited < self._limits.in_flight):
                    window = next(plan, None)
                    if window is None:
                        more = False
                        break
                    part, size = window
                    command = commands.fetch_bodies(write_set(compress(part)))
                    flight.append(_Window(session.send(command, bodies.take), part, size))
                    awaited += size
                if flight:
                    await session.step()
                while flight and (done := flight[0].pending.done) is not None:
                    window_done = flight.popleft()
                    awaited -= window_done.size
                    missing = [uid for uid in window_done.uids if uid in bodies.wanted]
                    if done.state != "OK" and missing:
                        refused.append((done, missing))
                        continue
                    bodies.ready += [Fetched(bodies.wanted.pop(uid), None) for uid in missing]
                if bodies.ready:
                    batch, bodies.ready = bodies.ready, []
                    yield batch
            for done, missing in refused:
                yield await self._judge(done, missing, bodies.wanted)
        finally:
            session.pump.transcript.quiet = False
            for left in flight:
                left.pending.drop()
            bodies.discard()

    async def _judge(self, done: Done, uids: list[int], ids: dict[int, str]) -> list[Fetched]:
        """After a NO: what is gone is gone, what is still there was refused (RFC 2180, 4.1)."""
        present: set[int] = set()

        def take(event: Event) -> None:
            if isinstance(event, Fetch):
                present.add(event.uid)

        name = self._opened().name
        await self._each(uids, lambda part: commands.plain("UID FETCH", part, "(UID)"), name, take)
        there = [uid for uid in uids if uid in present]
        if there:
            if done.state == "BAD":
                raise not_understood(self._session, done)
            raise WireError(
                f"The server has {len(there)} messages in {name} that it does not give out.",
                code="deferred",
                temporary=True,
                hint="Try again; if it stays so, the server's log says why.",
                step="fetch",
                said=self._session.said(done),
                ids=[ids[uid] for uid in there[:100]],
            )
        return [Fetched(ids.pop(uid), None) for uid in uids]

    def _windows(self, uids: list[int]) -> Iterator[tuple[list[int], int]]:
        """Ascending runs of uids of about a quarter of ``in_flight`` bytes.

        A server answers a set in ascending order whatever order the set has, so a descending pair
        ends a window.
        """
        limit = self._limits.in_flight // _WINDOWS
        sizes = self._sizes
        part: list[int] = []
        total = text = 0
        last = 0
        for uid in uids:
            size = sizes.pop(uid, _GUESS)
            apart = 0 if uid == last + 1 else len(str(uid)) * 2 + 2
            full = total + size > limit or len(part) >= _MOST or text + apart > LONGEST
            if part and (full or uid <= last):
                yield part, total
                part, total, text = [], 0, 0
            part.append(uid)
            total += size
            text += apart
            last = uid
        if part:
            yield part, total
