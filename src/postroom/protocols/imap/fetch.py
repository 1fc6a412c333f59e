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
from postroom.protocols.imap.responses import WHOLE, Done, Event, Fetch
from postroom.protocols.imap.session import Pending, Session
from postroom.protocols.imap.sets import LONGEST, compress, write_set

__all__ = ["FetchVerb"]

_WINDOWS: Final = 4  # in flight; the fewer, the longer each command
_MOST: Final = 500  # messages in a window
_GUESS: Final = 32 * 1024  # bytes of a message whose size nobody told


class _Plan(NamedTuple):
    uids: list[int]
    size: int  # bytes, as far as they are known


class _Bodies:
    """Takes the events of fetching; ``ready`` holds what is complete."""

    def __init__(self, wanted: dict[int, str], spool: OpenSpool) -> None:
        self.wanted = wanted  # uid to id, of what has not come yet
        self.ready: list[Fetched] = []
        self._open_spool = spool
        self._spool: Spool | None = None
        self._large: Large | None = None

    def take(self, event: Event) -> bool:
        """The next event."""
        if isinstance(event, Fetch):
            if event.has_body:
                self._body(event)
            return event.has_body
        if isinstance(event, Chunk):
            if self._spool is not None:
                self._spool.write(event.data)
            return self._spool is not None
        if isinstance(event, Large) and event.item in WHOLE:
            self.discard()
            self._large = event
            self._spool = self._open_spool(event.size)
            return True
        return False

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


class _Pipeline:
    """Windows on their way: sent ahead, and settled in the order they were sent."""

    def __init__(self, session: Session, bodies: _Bodies, plan: Iterator[_Plan], most: int) -> None:
        self.refused: list[tuple[Done, list[int]]] = []
        self.more = True
        self._session = session
        self._bodies = bodies
        self._plan = plan
        self._most = most
        self._flight: deque[tuple[Pending, _Plan]] = deque()
        self._awaited = 0  # bytes

    @property
    def running(self) -> bool:
        """Whether anything is sent or to be sent."""
        return self.more or bool(self._flight)

    def fill(self) -> None:
        """Send as many windows as there is room for."""
        while self.more and (not self._flight or self._awaited < self._most):
            window = next(self._plan, None)
            if window is None:
                self.more = False
                return
            command = commands.fetch_bodies(write_set(compress(window.uids)))
            self._flight.append((self._session.send(command, self._bodies.take), window))
            self._awaited += window.size

    async def step(self) -> list[Fetched]:
        """What came next; at the end of a window also what is gone."""
        if self._flight:
            await self._session.step()
        bodies = self._bodies
        while self._flight and (done := self._flight[0][0].done) is not None:
            _, window = self._flight.popleft()
            self._awaited -= window.size
            missing = [uid for uid in window.uids if uid in bodies.wanted]
            if done.state != "OK" and missing:
                self.refused.append((done, missing))
            else:
                bodies.ready += [Fetched(bodies.wanted.pop(uid), None) for uid in missing]
        ready, bodies.ready = bodies.ready, []
        return ready

    def leave(self) -> None:
        """Nobody reads on: what is still to come is dropped as it comes."""
        for pending, _ in self._flight:
            pending.drop()
        self._bodies.discard()


class _InOrder:
    """Gives messages in the order they were asked for.

    Dovecot works on pipelined commands beside each other when its output is held up, so windows can
    overtake each other; what is early waits here, at most what is in flight.
    """

    def __init__(self, ids: Sequence[str]) -> None:
        self._next = deque(ids)
        self._early: dict[str, Fetched] = {}

    def give(self, batch: list[Fetched]) -> list[Fetched]:
        """What can be given now that these have come."""
        self._early.update((one.id, one) for one in batch)
        found: list[Fetched] = []
        while self._next and (one := self._early.pop(self._next[0], None)) is not None:
            found.append(one)
            self._next.popleft()
        return found

    def rest(self) -> list[Fetched]:
        """What waits for messages that will not come any more."""
        return [self._early.pop(key) for key in self._next if key in self._early]


class FetchVerb(Opened):
    """fetch."""

    async def fetch(self, ids: Sequence[str], spool: OpenSpool) -> AsyncIterator[list[Fetched]]:
        """The messages, in batches as they arrive; see base.MessageStore.

        What the server no longer has comes as ``Fetched(id, None)`` at the end of its window.
        Raises WireError: also when the server refused to give a message that is still there.
        """
        state = self._opened()
        uids = self._uids(ids)
        transcript = self._session.pump.transcript
        bodies = _Bodies(dict(zip(uids, ids, strict=True)), spool)
        plan = self._windows(uids)
        order = _InOrder(ids)
        alone = False
        while True:
            pipeline = _Pipeline(self._session, bodies, plan, self._limits.in_flight)
            transcript.quiet = True  # what messages say is people's
            try:
                while pipeline.running:
                    self._still(state)
                    pipeline.fill()
                    if batch := order.give(await pipeline.step()):
                        yield batch
            finally:
                transcript.quiet = False
                pipeline.leave()
            there = await self._present([uid for _, part in pipeline.refused for uid in part])
            gone = [uid for _, part in pipeline.refused for uid in part if uid not in there]
            if batch := order.give([Fetched(bodies.wanted.pop(uid), None) for uid in gone]):
                yield batch
            if not there:
                return
            if alone:
                if batch := order.rest():
                    yield batch
                raise self._kept_back(pipeline.refused[0][0], [bodies.wanted[uid] for uid in there])
            # one message that the server cannot read must not hide those behind it
            plan, alone = (_Plan([uid], _GUESS) for uid in sorted(there)), True

    async def _present(self, uids: list[int]) -> set[int]:
        """Which of these are still there: a NO also comes when some are gone (RFC 2180, 4.1)."""
        present: set[int] = set()

        def take(event: Event) -> bool:
            if isinstance(event, Fetch):
                present.add(event.uid)
            return isinstance(event, Fetch)

        name = self._opened().name
        await self._each(uids, lambda part: commands.plain("UID FETCH", part, "(UID)"), name, take)
        return present.intersection(uids)

    def _kept_back(self, done: Done, ids: list[str]) -> WireError:
        if done.state == "BAD":
            return not_understood(self._session, done)
        return WireError(
            f"The server has {len(ids)} messages in {self._opened().name} that it does not give.",
            code="deferred",
            temporary=True,
            hint="Try again; if it stays so, the server's log says why.",
            step="fetch",
            said=self._session.said(done),
            ids=ids[:100],
        )

    def _windows(self, uids: list[int]) -> Iterator[_Plan]:
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
                yield _Plan(part, total)
                part, total, text = [], 0, 0
            part.append(uid)
            total += size
            text += apart
            last = uid
        if part:
            yield _Plan(part, total)
