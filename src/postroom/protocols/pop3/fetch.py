"""Reading messages by RETR, pipelined in windows bounded by their sizes (RFC 1939, 5)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from postroom.errors import WireError
from postroom.protocols.base import Content, Fetched, Limits, OpenSpool, Spool
from postroom.protocols.content import Held
from postroom.protocols.pop3.core import Answer, Chunk
from postroom.protocols.pop3.listing import Listed
from postroom.protocols.pop3.session import Session

__all__ = ["Fetching"]

_WINDOW: Final = 500


class Fetching:
    """One call of ``fetch``: keeps RETR commands in flight and turns their answers into messages."""

    def __init__(
        self,
        session: Session,
        limits: Limits,
        index: Mapping[str, Listed],
        ids: Sequence[str],
        spool: OpenSpool,
    ) -> None:
        self._session = session
        self._index = index
        self._open_spool = spool
        self._asked = deque(ids)
        self._flying: deque[tuple[str, int]] = deque()  # id and size, in the order of the answers
        self._room = limits.in_flight
        self._window = _WINDOW if session.can("PIPELINING") else 1
        self._large: Spool | None = None
        self._ready: list[Fetched] = []

    @property
    def finished(self) -> bool:
        """Whether every message was given."""
        return not (self._asked or self._flying or self._ready)

    async def batch(self) -> list[Fetched]:
        """The next messages, perhaps none yet.  Raises WireError."""
        self._refill()
        if self._flying and not self._ready:
            # message texts are nobody's business, and recording them would cost
            self._session.pump.transcript.quiet = True
            for event in await self._session.events():
                if isinstance(event, Chunk):
                    self._take_chunk(event)
                else:
                    await self._take_answer(event)
        batch, self._ready = self._ready, []
        return batch

    def stop(self) -> None:
        """End here: what is still in flight is dropped, a half-written spool discarded."""
        self._session.pump.transcript.quiet = False
        if self._large is not None:
            self._large.discard()
            self._large = None
        self._session.forget(len(self._flying))
        self._flying.clear()
        self._asked.clear()

    def _refill(self) -> None:
        """Ask for more once half of the window came back: many commands in one write."""
        if len(self._flying) > self._window // 2:
            return
        flying = sum(size for _, size in self._flying)
        while self._asked and len(self._flying) < self._window:
            id = self._asked[0]
            listed = self._index.get(id)
            if listed is None:
                if self._flying:  # it is told in its turn
                    return
                self._ready.append(Fetched(self._asked.popleft(), None))
                continue
            if self._flying and flying + listed.size > self._room:
                return
            self._asked.popleft()
            self._flying.append((id, listed.size))
            flying += listed.size
            self._session.put(b"RETR %d" % listed.number, "message")

    def _take_chunk(self, chunk: Chunk) -> None:
        if self._large is None:
            self._large = self._open_spool(self._flying[0][1])
        self._large.write(chunk.data)

    async def _take_answer(self, answer: Answer) -> None:
        id, _ = self._flying.popleft()
        content: Content | None = None
        if self._large is not None:
            content, self._large = self._large.finish(), None
        elif answer.ok:
            content = Held(answer.data)
        else:
            self._missing.append((id, answer))
        self._ready.append(Fetched(id, content))
