"""A POP3 core on a pump: commands out, answers in, pipelined where CAPA says so (RFC 2449)."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from postroom.errors import FolderError, ProtocolError, WireError
from postroom.protocols.pop3.machine import Answer, Chunk, Kind, Pop3Core
from postroom.protocols.pump import Pump

__all__ = ["Session", "code_of", "parse_capabilities"]

WINDOW: Final = 100
"""Commands in flight at most: a server that does not read while it writes must not block us."""


class Session:
    """One connection.  ``capabilities`` are those of the present state; None: CAPA is not known."""

    def __init__(self, pump: Pump, core: Pop3Core) -> None:
        self.pump = pump
        self.capabilities: Mapping[str, tuple[str, ...]] | None = None
        self._core = core
        self._waiting: deque[Answer | Chunk] = deque()
        self._owed = 0  # answers nobody waits for any more

    def can(self, capability: str) -> bool:
        """Whether the server announced it."""
        return capability in (self.capabilities or {})

    def put(self, line: bytes, kind: Kind = "line", *, shown: bytes | None = None) -> None:
        """Write a command without its CRLF, and say what kind of answer it has."""
        self._core.expect(kind)
        self.say(line, shown=shown)

    def put_all(self, lines: Sequence[bytes], kind: Kind) -> None:
        """Write commands of one kind in one go."""
        if lines:
            self._core.expect(*[kind] * len(lines))
            self.pump.write(b"".join(line + b"\r\n" for line in lines))

    def say(self, line: bytes, *, shown: bytes | None = None) -> None:
        """Write a line that belongs to a command under way: an answer to a challenge."""
        self.pump.write(line + b"\r\n", shown=None if shown is None else shown + b"\r\n")

    async def events(self) -> list[Answer | Chunk]:
        """All that is there, at least one.  Raises WireError."""
        await self._settle()
        if self._waiting:
            events = list(self._waiting)
            self._waiting.clear()
            return events
        return await self.pump.next()

    async def answer(self) -> Answer:
        """The next answer; raises WireError."""
        await self._settle()
        while True:
            while self._waiting:
                event = self._waiting.popleft()
                if isinstance(event, Answer):
                    return event
            self._waiting.extend(await self.pump.next())

    async def ask(self, line: bytes, kind: Kind = "line", *, shown: bytes | None = None) -> Answer:
        """One command and its answer; raises WireError."""
        self.put(line, kind, shown=shown)
        return await self.answer()

    async def many(self, lines: Sequence[bytes], kind: Kind = "line") -> AsyncIterator[Answer]:
        """The answers to these commands in order, pipelined in windows if the server can."""
        window = WINDOW if self.can("PIPELINING") else 1
        for start in range(0, len(lines), window):
            part = lines[start : start + window]
            self.put_all(part, kind)
            left = len(part)
            try:
                while left:
                    answer = await self.answer()
                    left -= 1
                    yield answer
            finally:
                self.forget(left)

    def forget(self, answers: int) -> None:
        """So many answers to what was written nobody will wait for: they are dropped later."""
        self._owed += answers

    async def _settle(self) -> None:
        """Drop what is owed to nobody."""
        while self._owed:
            if not self._waiting:
                self._waiting.extend(await self.pump.next())
            if isinstance(self._waiting.popleft(), Answer):
                self._owed -= 1

    async def learn_capabilities(self) -> None:
        """CAPA; a server without it leaves them unknown."""
        answer = await self.ask(b"CAPA", "listing")
        self.capabilities = parse_capabilities(answer.data) if answer.ok else None

    def said(self, answer: Answer) -> str:
        """What the server said, for people, without secrets."""
        return self.pump.scrubber.text(answer.text.decode("utf-8", "replace"))[:500]

    def refused(self, what: str, answer: Answer) -> WireError:
        """The error for -ERR; ``what`` was to be done.  Codes: RFC 2449, 8; RFC 3206."""
        said = self.said(answer).rstrip(".")
        temporary = code_of(answer) in ("SYS/TEMP", "IN-USE", "LOGIN-DELAY")
        return FolderError(
            f"{self.pump.where} did not {what}{f': {said}' if said else ''}.",
            code="deferred" if temporary else "refused",
            hint="Try again later." if temporary else "",
            temporary=temporary,
            said=said,
        )

    def nonsense(self, what: str) -> ProtocolError:
        """The error for an answer that cannot be read."""
        return ProtocolError(f"{self.pump.where} gave {what} that makes no sense.")


def code_of(answer: Answer) -> str:
    """The response code in square brackets, upper case, or an empty text (RFC 2449, 8)."""
    text = answer.text.decode("ascii", "replace")
    return text[1 : text.index("]")].upper() if text.startswith("[") and "]" in text else ""


def parse_capabilities(data: bytes) -> dict[str, tuple[str, ...]]:
    """Upper-case keywords and their parameters from CAPA's list (RFC 2449, 5)."""
    found: dict[str, tuple[str, ...]] = {}
    for line in data.decode("ascii", "replace").splitlines():
        words = line.split()
        if words:
            found[words[0].upper()] = tuple(words[1:])
    return found
