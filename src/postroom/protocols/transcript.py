"""What was said on a connection, for people: the last lines of both directions, without secrets."""

from __future__ import annotations

from collections import deque
from typing import Final

from postroom.secret import Scrubber

__all__ = ["Transcript"]

MOST_LINES: Final = 200
LONGEST_LINE: Final = 300  # characters; more is cut
MOST_BYTES: Final = 16 * 1024  # of all lines together: an idle connection has to stay small
LONG: Final = 4096  # bytes; a longer piece is content, of which only the amount is kept
CUT: Final = b"..."


class Transcript:
    """A bounded record of lines, scrubbed with the session's secrets before they are kept.

    With ``quiet`` set, what arrives and leaves is counted but not kept: a store sets it while
    messages are read, which also makes recording free.
    """

    __slots__ = ("_inside", "_kept", "_lines", "_open", "_scrubber", "_silent", "quiet")

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber
        self._lines: deque[tuple[str, bytes]] = deque()
        self._open = {"C": b"", "S": b""}  # the line each side has begun and not ended
        self._inside = {"C": False, "S": False}  # a line that was cut, and whose end has not come
        self._silent = {"C": 0, "S": 0}  # bytes counted and not kept since the last line
        self._kept = 0
        self.quiet = False

    def sent(self, data: bytes | bytearray | memoryview) -> None:
        """Record what we wrote."""
        self._record("C", data)

    def received(self, data: bytes | bytearray | memoryview) -> None:
        """Record what the other side wrote."""
        self._record("S", data)

    def note(self, text: str) -> None:
        """Record something that happened, such as the begin of TLS."""
        self._flush("C")
        self._flush("S")
        self._keep("*", text.encode())

    def lines(self) -> list[str]:
        """The lines in order: ``C: ...`` ours, ``S: ...`` theirs, ``*: ...`` what happened."""
        self._flush("C")
        self._flush("S")
        return [f"{who}: {line.decode('utf-8', 'backslashreplace')}" for who, line in self._lines]

    def last_said(self) -> str:
        """The last line the other side ended or began; an empty text when it said nothing."""
        self._flush("S")
        for who, line in reversed(self._lines):
            if who == "S":
                return line.decode("utf-8", "backslashreplace")
        return ""

    def _record(self, who: str, data: bytes | bytearray | memoryview) -> None:
        size = len(data)
        if self.quiet or size > LONG:
            self._silent[who] += size
            if self._open[who]:
                self._silent[who] += len(self._open[who])
                self._open[who] = b""
            self._inside[who] = bytes(data[-1:]) != b"\n"
            return
        if self._inside[who]:  # half a secret would not be found in the rest
            rest, end, data = bytes(data).partition(b"\n")
            self._silent[who] += len(rest) + len(end)
            self._inside[who] = not end
            if not data:
                return
        if self._silent[who]:
            self._flush(who)
        *whole, self._open[who] = (self._open[who] + bytes(data)).split(b"\n")
        for line in whole:
            self._keep(who, line.rstrip(b"\r"))
        if len(self._open[who]) > LONG:
            self._flush(who)
            self._inside[who] = True

    def _flush(self, who: str) -> None:
        if self._open[who]:
            self._keep(who, self._open[who])
            self._open[who] = b""
        if self._silent[who]:
            self._keep(who, f"({self._silent[who]} bytes)".encode())
            self._silent[who] = 0

    def _keep(self, who: str, line: bytes) -> None:
        clean = self._scrubber.bytes(line)  # before it is cut: half a secret would not be found
        if len(clean) > LONGEST_LINE:
            clean = clean[:LONGEST_LINE] + CUT
        self._lines.append((who, clean))
        self._kept += len(clean)
        while len(self._lines) > MOST_LINES or self._kept > MOST_BYTES:
            self._kept -= len(self._lines.popleft()[1])
