"""Reading messages by RETR, pipelined in windows bounded by their sizes (RFC 1939, 5)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from postroom.protocols.base import Fetched, Limits, OpenSpool, Spool
from postroom.protocols.content import Held
from postroom.protocols.pop3.listing import Listed
from postroom.protocols.pop3.machine import Answer, Chunk
from postroom.protocols.pop3.session import Session

__all__ = ["Fetching"]

_WINDOW: Final = 500


class Fetching:
    """One call of ``fetch``: RETR commands in flight, and their answers as messages."""

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
        # in the order of the answers: id, size, and the refusal that a LIST is to explain
        self._flying: deque[tuple[str, int, Answer | None]] = deque()
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
                    self._take_answer(event)
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
        flying = sum(size for _, size, _ in self._flying)
        lines: list[bytes] = []
        while self._asked and len(self._flying) < self._window:
            key = self._asked[0]
            listed = self._index.get(key)
            if listed is None:
                if self._flying:  # it is told in its turn
                    break
                self._ready.append(Fetched(self._asked.popleft(), None))
                continue
            if self._flying and flying + listed.size > self._room:
                break
            self._asked.popleft()
            self._flying.append((key, listed.size, None))
            flying += listed.size
            lines.append(b"RETR %d" % listed.number)
        self._session.put_all(lines, "message")

    def _take_chunk(self, chunk: Chunk) -> None:
        if self._large is None:
            self._large = self._open_spool(self._flying[0][1])
        self._large.write(chunk.data)

    def _take_answer(self, answer: Answer) -> None:
        key, size, refusal = self._flying.popleft()
        if refusal is not None:
            self._explain(key, refusal, answer)
        elif self._large is not None:
            self._ready.append(Fetched(key, self._large.finish()))
            self._large = None
        elif answer.ok:
            self._ready.append(Fetched(key, Held(answer.data)))
        else:
            # is it gone, or only refused?  A message that is still listed must not count as gone
            self._flying.append((key, size, answer))
            self._session.put(b"LIST %d" % self._index[key].number)

    def _explain(self, key: str, refusal: Answer, listed: Answer) -> None:
        if listed.ok:
            error = self._session.refused(f"give the message {key}, though it lists it", refusal)
            error.step, error.temporary = "fetch", True
            raise error
        self._ready.append(Fetched(key, None))
