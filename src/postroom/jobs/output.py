"""What a program writes, as lines of its run: scrubbed, its beginning and its end kept, the rest counted."""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from postroom.jobs.scrubbing import Scrubbing, clean, places
from postroom.secret import Secret

__all__ = ["LINE_BYTES", "OnOutput", "Output"]

OnOutput = Callable[[str, str], None]
"""Takes a line: ``stdout`` or ``stderr``, and its text without its end."""

LINE_BYTES: Final = 8 * 1024
"""A longer line is handed on in parts of this length."""
_ROW: Final = 64  # what a line costs beside its bytes: endless empty ones must end too


class Output:
    """One stream of a program.

    Lines are handed on as they come until half of ``limit`` is used up; of what follows, as much again
    is kept as it came and handed on at the end.  So memory is bounded, and the middle costs a copy.
    """

    def __init__(
        self, stream: str, on_output: OnOutput, *, limit: int, secrets: Iterable[Secret]
    ) -> None:
        self._stream = stream
        self._on_output = on_output
        self._scrubbing = Scrubbing(secrets)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = ""
        self._room = self._end_room = max(limit // 2, 1)
        self._kept: deque[bytes] = deque()
        self._keeps = False
        self._kept_size = 0
        self._left_out = 0

    def feed(self, data: bytes) -> None:
        """Take what was read, however it is split."""
        if self._keeps:
            self._keep(data)
            return
        more = self._lines(self._decoder.decode(self._scrubbing.feed(data)))
        if self._room <= len(more):  # a line without end is no way round
            self._keeps = True
            pending, _ = self._decoder.getstate()
            self._decoder.reset()
            self._keep(more.encode() + pending + self._scrubbing.held())

    def end(self) -> None:
        """It has ended: hand on what was held back and what was kept."""
        if not self._keeps:
            more = self._lines(self._decoder.decode(self._scrubbing.end(), final=True))
            if self._room > 0:
                if more:
                    self._say(more)
                return
            self._kept.append(more.encode())
        self._hand_on_end(b"".join(self._kept))

    def _keep(self, data: bytes) -> None:
        """Keep the end, and before that the length of a secret, which may have begun there."""
        self._kept.append(data)
        self._kept_size += len(data)
        most = self._end_room + self._scrubbing.longest
        while self._kept_size - len(self._kept[0]) >= most:
            gone = len(self._kept.popleft())
            self._kept_size -= gone
            self._left_out += gone

    def _hand_on_end(self, data: bytes) -> None:
        marks, start = places(data, self._scrubbing.forms), 0
        if self._left_out or len(data) > self._end_room + self._scrubbing.longest:
            start = max(len(data) - self._end_room, 0)
            start = next((first for first, last in marks if first < start < last), start)
        text = clean(data, marks, start).decode("utf-8", "replace")
        lines = text.removesuffix("\n").split("\n") if text else []
        few = lines[-max(self._end_room // _ROW, 1) :]
        self._left_out += start + sum(
            len(line.encode()) + 1 for line in lines[: len(lines) - len(few)]
        )
        if self._left_out:
            self._say(f"[{self._left_out} bytes left out]")
        for line in few:
            self._say(line)

    def _lines(self, text: str) -> str:
        """Hand on whole lines while there is room; gives the rest, which is a part of one otherwise."""
        *lines, self._line = (self._line + text).split("\n")
        for number, line in enumerate(lines):
            if self._room <= 0:
                return "\n".join((*lines[number:], self._line))
            self._say(line)
        while len(self._line) > LINE_BYTES and self._room > 0:
            self._say(self._line[:LINE_BYTES])
            self._line = self._line[LINE_BYTES:]
        return self._line

    def _say(self, line: str) -> None:
        line = line.removesuffix("\r")
        for at in range(0, len(line) or 1, LINE_BYTES):
            part = line[at : at + LINE_BYTES]
            self._room -= len(part.encode()) + _ROW
            self._on_output(self._stream, _printable(part))


def _printable(text: str) -> str:
    """On one line, whatever it is: logs are shown on terminals and pages, and PostgreSQL keeps no NUL."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char == "\t" else f"\\x{ord(char):02x}" for char in text
    )
