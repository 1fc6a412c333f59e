"""The pure POP3 core: commands in order, bytes in, answers out (RFC 1939; RFC 2449 CAPA, codes).

POP3 answers do not say how long they are: whoever asks says with :meth:`Pop3Core.expect` what kind
of answer comes next, in the order of the commands.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal, NamedTuple

from postroom.errors import ProtocolError
from postroom.protocols.base import Limits

__all__ = ["Answer", "Chunk", "Kind", "Pop3Core"]

Kind = Literal["line", "listing", "headers", "message"]
"""What follows ``+OK``: nothing; a list; a header block; a whole message, perhaps a large one."""

PIECE: Final = 64 * 1024
LISTING: Final = 8 * 1024 * 1024
"""Bytes of a list, which is kept in memory: 100,000 messages' worth of UIDL."""


class Answer(NamedTuple):
    """One whole answer.  ``data`` is what followed its first line, without dot-stuffing.

    Of a large message the data came before, as chunks, and is empty here; ``size`` counts it.  A
    header block is cut after its last whole line when it is over ``Limits.in_memory``.
    """

    ok: bool | None  # None: a challenge (``+ ...``, RFC 5034)
    text: bytes
    data: bytes = b""
    size: int = 0


class Chunk(NamedTuple):
    """A part of a large message, without dot-stuffing; its Answer comes when it is complete."""

    data: bytes


class Pop3Core:
    """Cuts what the server says into answers; any split of the bytes gives the same content.

    Raises ProtocolError for what is no answer, for what nobody asked, and over the limits.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._kinds: deque[Kind] = deque(["line"])  # the greeting
        self._buffer = bytearray()
        self._first: bytes | None = None  # the text of the answer whose data is coming
        self._seen = 0  # bytes of the buffer already searched for the end
        self._given = 0  # bytes of this answer's data given as chunks
        self._streamed = False
        self._head = b""  # the beginning of a header block too long to keep

    def expect(self, *kinds: Kind) -> None:
        """The kinds of the answers to the commands now written, in their order."""
        self._kinds.extend(kinds)

    def receive(self, data: memoryview | bytes) -> list[Answer | Chunk]:
        """The answers and chunks that these bytes complete."""
        self._buffer += data
        events: list[Answer | Chunk] = []
        while self._buffer and (
            self._data(events) if self._first is not None else self._line(events)
        ):
            pass
        return events

    def eof(self) -> list[Answer | Chunk]:
        """The server closed: an answer that was not finished is worth nothing."""
        return []

    def _line(self, events: list[Answer | Chunk]) -> bool:
        """Take a first line; False when it has not ended yet."""
        longest = self._limits.line + 2  # with its end
        end = self._buffer.find(b"\n", 0, longest)
        line = bytes(self._buffer[: end if end >= 0 else longest]).removesuffix(b"\r")
        if len(line) > self._limits.line:
            raise ProtocolError("The server's line does not end.", code="too_large")
        if end < 0:
            return False
        if not self._kinds:
            # without its words: before TLS they may be anybody's
            raise ProtocolError("The server answered what was not asked.")
        ok, text = _status(line)
        kind = self._kinds[0]
        if not ok or kind == "line":
            del self._buffer[: end + 1]
            if ok is not None:
                self._kinds.popleft()
            events.append(Answer(ok, text))
            return True
        # the line's own CRLF stays: before it, a dot on the first line looks like any other
        del self._buffer[: end - 1]
        self._buffer[:2] = b"\r\n"
        self._first, self._seen, self._given, self._streamed = text, 0, 0, False
        return True

    def _data(self, events: list[Answer | Chunk]) -> bool:
        """Take what belongs to the answer under way; False when its end has not come yet."""
        kind = self._kinds[0]
        end = self._buffer.find(b"\r\n.\r\n", max(0, self._seen - 4))
        self._seen = len(self._buffer)
        if end < 0:
            if kind == "listing":
                self._bound(len(self._buffer) - 4, LISTING)  # which may be of the end
            elif self._streamed or len(self._buffer) > self._limits.in_memory:
                self._stream(kind, events)
            return False
        content = self._unstuffed(bytes(self._buffer[: end + 2]))
        del self._buffer[: end + 5]
        size = self._given + len(content)
        if kind == "listing":
            self._bound(end, LISTING)  # as it came, since that is what was bounded on the way
        self._bound(size, 0)
        if self._streamed or (kind == "headers" and size > self._limits.in_memory):
            content = self._pass_on(kind, content, events)
        self._kinds.popleft()
        events.append(Answer(True, self._first or b"", content, size))
        self._first, self._head = None, b""
        return True

    def _stream(self, kind: Kind, events: list[Answer | Chunk]) -> None:
        """Give all but the end of what is there, cut before a CRLF: no dot is cut from its line."""
        cut = self._buffer.rfind(b"\r\n", 1, len(self._buffer) - 4)
        if cut < 0:
            cut = len(self._buffer) - 5
        if cut < 4:
            return
        content = self._unstuffed(bytes(self._buffer[:cut]))
        del self._buffer[:cut]
        self._streamed = True
        self._seen = len(self._buffer)
        self._given += len(content)
        self._bound(self._given, 0)
        self._pass_on(kind, content, events)

    def _pass_on(self, kind: Kind, content: bytes, events: list[Answer | Chunk]) -> bytes:
        """A message goes on in pieces; of a header block the beginning is kept, and given."""
        if kind == "message":
            events.extend(Chunk(content[at : at + PIECE]) for at in range(0, len(content), PIECE))
            return b""
        self._head = (self._head + content)[: self._limits.in_memory]
        return self._head[: self._head.rfind(b"\r\n") + 2] if b"\r\n" in self._head else b""

    def _unstuffed(self, raw: bytes) -> bytes:
        """The content without dot-stuffing, and at its beginning without the CRLF put there."""
        content = raw.replace(b"\r\n..", b"\r\n.")
        return content if self._streamed else content[2:]

    def _bound(self, size: int, limit: int) -> None:
        limit = min(limit or self._limits.literal, self._limits.literal)
        if size > limit:
            raise ProtocolError(
                f"The server sends more than {limit} bytes in one answer.", code="too_large"
            )


def _status(line: bytes) -> tuple[bool | None, bytes]:
    word, _, text = line.partition(b" ")
    if word == b"+":
        return None, text
    if word.upper() == b"+OK":
        return True, text
    if word.upper() == b"-ERR":
        return False, text
    raise ProtocolError("The server's answer is no POP3 answer.", said=_shown(line))


def _shown(line: bytes) -> str:
    return line.decode("utf-8", "replace")  # whole: it is scrubbed before it is cut
