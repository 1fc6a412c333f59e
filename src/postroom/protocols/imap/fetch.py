"""Reading messages: several UID FETCH ahead of the answers, bounded by bytes in flight.

The uids are cut into windows; each is one command.  Windows are sent as long as less than
``Limits.in_flight`` bytes are awaited, so the server never waits for us and we never hold more than
that.  Bodies are bytes as they came (never parsed here); a large one goes to the caller's spool.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import Final, NamedTuple

from postroom.errors import ProtocolError, WireError
from postroom.protocols.base import Content, Fetched, FolderState, OpenSpool, Spool, Summary
from postroom.protocols.content import Held
from postroom.protocols.imap import commands
from postroom.protocols.imap.commands import Command, flag_set
from postroom.protocols.imap.frames import Chunk, Large
from postroom.protocols.imap.opened import Opened
from postroom.protocols.imap.refusals import not_understood
from postroom.protocols.imap.responses import WHOLE, Done, Event, Fetch
from postroom.protocols.imap.session import Pending, Session
from postroom.protocols.imap.sets import LONGEST, compress, write_set

__all__ = ["Bodies", "FetchVerb", "InOrder", "Pipeline"]

_WINDOWS: Final = 4  # in flight; the fewer, the longer each command
_MOST: Final = 500  # messages in a window
_GUESS: Final = 32 * 1024  # bytes of a message whose size nobody told
_EARLY: Final = 4  # times what may be in flight: may wait for its turn


class _Plan(NamedTuple):
    uids: list[int]
    size: int  # bytes, as far as they are known


class Bodies:
    """Takes the events of fetching; ``ready`` holds what is complete.

    What came with its summary has one; the body may have come in an answer of its own.
    """

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
        body = fetch.body
        if body is None or fetch.uid not in self.wanted:  # NIL; twice, or never asked for
            self.discard()
        else:
            key = self.wanted.pop(fetch.uid)
            self.ready.append(Fetched(key, self._content(body), _summary(key, fetch)))

    def _content(self, body: bytes | Large) -> Content:
        if isinstance(body, bytes):
            return Held(body)
        if self._spool is None or body is not self._large:
            raise ProtocolError("The server sent two large texts in one answer.", step="fetch")
        spool, self._spool = self._spool, None
        return spool.finish()

    def discard(self) -> None:
        """Give up what is half written."""
        spool, self._spool = self._spool, None
        if spool is not None:
            spool.discard()


def _summary(key: str, fetch: Fetch) -> Summary | None:
    """The summary that came with a body, if all of it did."""
    if fetch.size < 0 or fetch.flags is None or fetch.received is None:
        return None
    return Summary(key, fetch.uid, fetch.size, flag_set(fetch.flags), fetch.received)


class Pipeline:
    """Windows on their way: sent ahead, and settled in the order they were sent.

    ``refused`` are the windows that were not given whole, with what is missing: whatever the server
    said, that does not mean that it is gone.  ``strict``: the first such window is the last one.
    """

    def __init__(
        self,
        session: Session,
        bodies: Bodies,
        plan: Iterator[_Plan],
        most: int,
        command: Callable[[str], Command] = commands.fetch_bodies,
        *,
        strict: bool = False,
    ) -> None:
        self.refused: list[tuple[Done, list[int]]] = []
        self.more = True
        self.strict = strict
        self._command = command
        self._session = session
        self._bodies = bodies
        self._plan = plan
        self._most = most
        self._flight: deque[tuple[Pending, _Plan]] = deque()
        self._awaited = 0  # bytes

    @property
    def running(self) -> bool:
        """Whether anything is sent or to be sent."""
        return (self.more or bool(self._flight)) and not (self.strict and self.refused)

    def fill(self) -> None:
        """Send as many windows as there is room for."""
        while self.more and (not self._flight or self._awaited < self._most):
            window = next(self._plan, None)
            if window is None:
                self.more = False
                return
            command = self._command(write_set(compress(window.uids)))
            self._flight.append((self._session.send(command, self._bodies.take), window))
            self._awaited += window.size

    async def step(self) -> list[Fetched]:
        """What came next."""
        if self._flight:
            await self._session.step()
        bodies = self._bodies
        while self._flight and (done := self._flight[0][0].done) is not None:
            _, window = self._flight.popleft()
            self._awaited -= window.size
            if missing := [uid for uid in window.uids if uid in bodies.wanted]:
                self.refused.append((done, missing))
        ready, bodies.ready = bodies.ready, []
        return ready

    def leave(self) -> None:
        """Nobody reads on: what is still to come is dropped as it comes."""
        for pending, _ in self._flight:
            pending.drop()
        self._bodies.discard()


class InOrder:
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

    @property
    def early(self) -> int:
        """Bytes of what waits here."""
        return sum(one.content.size for one in self._early.values() if one.content is not None)

    def discard(self) -> None:
        """Nobody wants what waits here."""
        for one in self._early.values():
            if one.content is not None:
                one.content.discard()
        self._early.clear()

    def rest(self) -> list[Fetched]:
        """What waits for messages that will not come any more."""
        return [self._early.pop(key) for key in self._next if key in self._early]


class FetchVerb(Opened):
    """fetch."""

    _typical = _GUESS  # bytes of a message whose size nobody told

    async def fetch(
        self, ids: Sequence[str], spool: OpenSpool
    ) -> AsyncGenerator[list[Fetched], None]:
        """The messages, in batches as they arrive; see base.MessageStore.

        What the server no longer has comes as ``Fetched(id, None)``, once it was asked for that.
        Raises WireError: also when the server does not give a message that is still there.
        """
        state = self._opened()
        uids = self._uids(ids)
        bodies = Bodies(dict(zip(uids, ids, strict=True)), spool)
        plan = self._windows(uids)
        order = InOrder(ids)
        alone = False
        while True:
            pipeline = Pipeline(self._session, bodies, plan, self._limits.in_flight)
            async with contextlib.aclosing(self._come(pipeline, order, state)) as coming:
                async for batch in coming:
                    yield batch
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

    async def _come(
        self, pipeline: Pipeline, order: InOrder, state: FolderState
    ) -> AsyncGenerator[list[Fetched], None]:
        """What a pipeline brings, in order; what nobody reads to its end is dropped as it comes."""
        transcript = self._session.pump.transcript
        transcript.quiet = True  # what messages say is people's
        try:
            while pipeline.running:
                self._still(state)
                pipeline.fill()
                if batch := order.give(await pipeline.step()):
                    yield batch
                if pipeline.strict and order.early > _EARLY * self._limits.in_flight:
                    return  # sizes were not known, so nothing else bounds what waits
        finally:
            transcript.quiet = False
            pipeline.leave()

    async def _present(self, uids: list[int]) -> set[int]:
        """Which of these are still there.

        A NO also comes when some are gone (RFC 2180, 4.1), and an OK without a message that is there.
        """
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

    def _windows(self, uids: Sequence[int]) -> Iterator[_Plan]:
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
            size = sizes.pop(uid, self._typical)
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
