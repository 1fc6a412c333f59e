"""Cutting the bytes of a server into responses: lines, and literals taken by count (RFC 9051, 2.2).

One response is a :data:`Frame`: text, literal, text, literal, ..., text.  A literal up to
``Limits.in_memory`` is kept whole.  A larger one is announced as a :class:`Large`, comes as
:class:`Chunk` events of exactly ``CHUNK`` bytes (the last may be shorter), and stands in the frame
as that same Large.  Any split of the bytes gives the same events.

The body of a message is never looked at: it is sliced by its count.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Final

from postroom.errors import ProtocolError
from postroom.protocols.base import Limits

__all__ = ["CHUNK", "Chunk", "Frame", "Framed", "Framer", "Large"]

CHUNK: Final = 32 * 1024
"""Bytes in one piece of a large literal.  Whole pieces only: a server that sends a byte a minute
produces no event, so the time-out of the pump sees it."""

HUGE: Final = 10
"""A literal's size with more digits than this is no size."""


@dataclasses.dataclass(slots=True)
class Large:
    """A literal that is streamed: its number on this connection, its size in bytes.

    ``item`` is the word before it, in capitals: ``BODY[]``, ``BODY[HEADER]``, ...
    """

    number: int
    size: int
    item: str = ""


@dataclasses.dataclass(slots=True)
class Chunk:
    """The next bytes of the large literal that was announced last."""

    data: bytes


Frame = list[bytes | Large]
Framed = Frame | Large | Chunk

# In text for people a "{5}" at the end of a line announces nothing.
_FOR_PEOPLE = re.compile(
    rb"(?:[^ ]+ +(?:OK|NO|BAD|BYE|PREAUTH)(?: +(?!\[[^\]]*\Z)|\Z)|\+(?: |\Z))", re.IGNORECASE
)
_ITEM = re.compile(rb"([A-Z0-9.]{1,30}(?:\[[^\[\]]{0,8000}\](?:<\d+>)?)?) *\Z", re.IGNORECASE)
# Lists of numbers, which may be longer than any line: 1 with spaces between, 2 with commas.
_NUMBERS = re.compile(
    rb"(\* SEARCH(?= ))|(\* VANISHED (?:\(EARLIER\) )?|\* ESEARCH [^\r\n{}]{0,200}?\bALL )",
    re.IGNORECASE,
)


class Framer:
    """Takes bytes as they come, gives frames and the pieces of large literals.

    Raises ProtocolError when a limit is passed; what came before that error is lost with it, since
    the connection ends there.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._kept_limit = limits.line + 2 * limits.in_memory
        self._search_cut = max(limits.line // 2, 64)
        self._rest = b""  # the beginning of a line whose end is not there yet
        self._prefix = b""  # what a line that was cut begins with again
        self._between = b" "  # what stands between its numbers
        self._parts: Frame = []
        self._text = 0  # bytes of text in this response so far
        self._kept = 0  # bytes of literals of this response in memory
        self._left = 0  # bytes of the present literal still to come
        self._pieces: list[bytes] = []
        self._room = 0  # bytes until the present piece is full
        self._large = False
        self._number = 0

    @property
    def pending(self) -> bool:
        """Whether a response has begun and not ended."""
        return bool(self._rest or self._parts or self._left or self._prefix)

    def feed(self, data: bytes | memoryview) -> list[Framed]:
        """The next bytes; what they complete, in order."""
        out: list[Framed] = []
        start = self._literal(memoryview(data), 0, out) if self._left else 0
        if self._left:
            return out
        buffer = bytes(data[start:] if start else data)
        if self._rest:
            buffer = self._rest + buffer
            self._rest = b""
        self._lines(buffer, out)
        return out

    def _lines(self, buffer: bytes, out: list[Framed]) -> None:
        # The hot loop of collecting: per message one find, one slice of the line, one of the body.
        position = 0
        size = len(buffer)
        find = buffer.find
        limit = self._limits.line
        in_memory = self._limits.in_memory
        while position < size:
            end = find(b"\r\n", position)
            if end < 0 or end - position > self._search_cut:
                position, end = self._long(buffer, position, end, out)
                if end < 0:
                    self._rest = buffer[position:]
                    return
            line = self._prefix + buffer[position:end] if self._prefix else buffer[position:end]
            self._prefix = b""
            self._text += end - position
            if self._text > limit:
                raise _too_long(limit)
            position = end + 2
            if not line.endswith(b"}") or (count := self._announced(line)) is None:
                if self._parts:
                    self._parts.append(line)
                    out.append(self._parts)
                    self._parts = []
                    self._kept = 0
                else:
                    out.append([line])
                self._text = 0
            elif count <= in_memory and position + count <= size:
                self._keep(count)
                self._parts += (_before(line), buffer[position : position + count])
                position += count
            else:
                self._parts.append(_before(line))
                self._begin(count, out)
                position = self._literal(memoryview(buffer), position, out)

    def _long(self, buffer: bytes, position: int, end: int, out: list[Framed]) -> tuple[int, int]:
        """A line that is long or not complete: numbers are cut into several, the rest is bounded."""
        cut = self._search_cut
        while (begin := self._numbers(buffer, position)) >= 0:
            stop = end if end >= 0 else len(buffer) - buffer.endswith(b"\r")
            if stop - position <= cut:
                break
            last = buffer.rfind(self._between, begin + 1, position + cut)
            if last < 0:
                raise _too_long(self._limits.line)
            out.append([self._prefix + buffer[position:last]])
            self._prefix = self._prefix or buffer[position:begin]
            position = last if self._between == b" " else last + 1
        if end < 0 and len(buffer) - position + self._text > self._limits.line + 1:
            raise _too_long(self._limits.line)
        return position, end

    def _numbers(self, buffer: bytes, position: int) -> int:
        """Where the numbers begin in a list of numbers; -1: it is none."""
        if self._parts:
            return -1
        if self._prefix:
            return position
        found = _NUMBERS.match(buffer, position)
        if found is None:
            return -1
        self._between = b" " if found.lastindex == 1 else b","
        return found.end()

    def _announced(self, line: bytes) -> int | None:
        """The size of the literal that a line ending in ``}`` announces, or None."""
        brace = line.rfind(b"{")
        digits = line[brace + 1 : -1].removesuffix(b"+")
        data = line.startswith(b"* ") and line[2:3].isdigit()
        if not data and not self._parts and _FOR_PEOPLE.match(line):
            return None
        if brace < 0 or not digits.isdigit():
            raise ProtocolError("The server announced a literal without a proper size.")
        if len(digits) > HUGE or int(digits) > self._limits.literal:
            raise ProtocolError(
                f"The server announced a literal of more than {self._limits.literal} bytes.",
                code="too_large",
                hint="Set max_size below that, or raise the limit for this connection.",
            )
        return int(digits)

    def _keep(self, count: int) -> None:
        self._kept += count
        if self._kept > self._kept_limit:
            raise ProtocolError(
                f"The server sent one response of more than {self._kept_limit} bytes.",
                code="too_large",
            )

    def _begin(self, count: int, out: list[Framed]) -> None:
        self._left = count
        self._large = count > self._limits.in_memory
        if self._large:
            self._number += 1
            before = self._parts[-1]
            word = _ITEM.search(before) if isinstance(before, bytes) else None
            large = Large(self._number, count, word[1].decode("latin-1").upper() if word else "")
            self._parts.append(large)
            out.append(large)
            self._room = CHUNK
        else:
            self._keep(count)
            self._room = count

    def _literal(self, data: memoryview, position: int, out: list[Framed]) -> int:
        """Takes what is there of the present literal; gives the position after it."""
        size = len(data)
        while self._left and position < size:
            count = min(self._room, self._left, size - position)
            self._pieces.append(bytes(data[position : position + count]))
            position += count
            self._room -= count
            self._left -= count
            if self._room and self._left:
                break
            whole = b"".join(self._pieces)
            self._pieces.clear()
            self._room = CHUNK
            if self._large:
                out.append(Chunk(whole))
            else:
                self._parts.append(whole)
        return position


def _before(line: bytes) -> bytes:
    """The text before the announcement of a literal, or of a literal8 (RFC 3516)."""
    return line[: line.rfind(b"{")].removesuffix(b"~")


def _too_long(limit: int) -> ProtocolError:
    return ProtocolError(f"The server sent a line of more than {limit} bytes.", code="too_large")
