"""The pure SMTP core: bytes in, answers out (RFC 5321, 4.2), and what EHLO's answer offers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

from postroom.errors import ProtocolError
from postroom.protocols.base import Limits

__all__ = ["Answer", "Capabilities", "SmtpCore", "parse_capabilities"]


class Answer(NamedTuple):
    """One whole reply as it came: its code and the text of each of its lines."""

    code: int
    lines: tuple[bytes, ...]


class SmtpCore:
    """Cuts what the server says into answers; any split of the bytes gives the same answers."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limit = (limits or Limits()).line
        self._rest = b""  # a line that has not ended yet
        self._lines: list[bytes] = []  # of an answer that has not ended yet
        self._size = 0
        self._code = 0

    def receive(self, data: memoryview | bytes) -> list[Answer]:
        """The answers that end within ``data``.

        Raises ProtocolError for what is no reply and for an answer over ``Limits.line`` bytes.
        """
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        answers = []
        for line in lines:
            answer = self._line(line)
            if answer is not None:
                answers.append(answer)
        # a CR may belong to the line's end, which does not count
        if self._size + len(self._rest.removesuffix(b"\r")) > self._limit:
            raise _too_long()
        return answers

    def eof(self) -> list[Answer]:
        """The server closed: an answer that was not finished is worth nothing."""
        return []

    def _line(self, line: bytes) -> Answer | None:
        line = line.removesuffix(b"\r")
        code, mark, text = line[:3], line[3:4], line[4:]
        if len(code) != 3 or not code.isdigit() or code[0] not in b"2345" or mark not in b" -":
            raise ProtocolError("The server's answer is no SMTP reply.", said=_shown(line))
        number = int(code)
        if self._lines and number != self._code:
            raise ProtocolError("The lines of one answer have different codes.", said=_shown(line))
        self._size += len(line)
        if self._size > self._limit:
            raise _too_long()
        if mark == b"-":
            self._code = number
            self._lines.append(text)
            return None
        answer = Answer(number, (*self._lines, text))
        self._lines, self._size = [], 0
        return answer


def _too_long() -> ProtocolError:
    return ProtocolError("The server's answer does not end.", code="too_large")


def _shown(line: bytes) -> str:
    return line.decode("utf-8", "replace")  # whole: it is scrubbed before it is cut


@dataclasses.dataclass(frozen=True, slots=True)
class Capabilities:
    """What the answer to EHLO offers: upper-case keywords and their parameters."""

    keywords: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def __contains__(self, keyword: str) -> bool:
        return keyword in self.keywords

    @property
    def size(self) -> int:
        """The largest message taken, in bytes; 0: not said (SIZE, RFC 1870)."""
        return self._number(self.keywords.get("SIZE", ()))

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """SASL mechanisms (AUTH, RFC 4954)."""
        return self.keywords.get("AUTH", ())

    @property
    def messages(self) -> int:
        """How many messages one connection may carry; 0: not said (LIMITS, RFC 9422)."""
        for limit in self.keywords.get("LIMITS", ()):
            name, _, value = limit.partition("=")
            if name.upper() == "MAILMAX":
                return self._number((value,))
        return 0

    @staticmethod
    def _number(parameters: tuple[str, ...]) -> int:
        text = parameters[0] if parameters else ""
        return int(text) if text.isdecimal() and text.isascii() and len(text) <= 19 else 0


def parse_capabilities(answer: Answer) -> Capabilities:
    """The capabilities in an answer to EHLO; its first line is the server's name."""
    found: dict[str, tuple[str, ...]] = {}
    for line in answer.lines[1:]:
        words = line.decode("ascii", "replace").split()
        if not words:
            continue
        keyword, parameters = words[0].upper(), tuple(words[1:])
        if keyword.startswith("AUTH="):  # old servers: AUTH=LOGIN PLAIN
            keyword, parameters = "AUTH", (words[0][5:], *parameters)
        found[keyword] = tuple(dict.fromkeys(found.get(keyword, ()) + parameters))
    return Capabilities(found)
