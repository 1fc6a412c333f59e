"""The IMAP protocol as a pure machine: bytes in, events out; commands in, bytes out (RFC 9051).

Several commands may be in flight.  The other side is believed only as far as the protocol goes:

    a tagged reply         must be for a command whose bytes have left, all of them
    a go-ahead (``+``)     must be waited for: by a literal, or by a command that talks
    bytes after STARTTLS's OK, before TLS began    end the connection (response injection)
    untagged responses     are bounded in number between two tagged ones

Tags begin with letters that nobody can guess, so a reply cannot be sent ahead of its command.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections import deque
from typing import Final

from postroom.errors import ProtocolError
from postroom.protocols.base import Limits
from postroom.protocols.imap.commands import Command
from postroom.protocols.imap.frames import Framer
from postroom.protocols.imap.responses import Continue, Done, Event, Exists, Fetch, Status, parse

__all__ = ["Machine"]

_MINUS: Final = 4096  # bytes that LITERAL- allows without waiting, RFC 7888, 5
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_UNASKED: Final = 100_000  # untagged responses between two tagged ones, besides four a message


@dataclasses.dataclass(slots=True)
class _Piece:
    tag: str
    data: bytes
    waits: bool  # for the go-ahead of the literal it announces


class Machine:
    """One connection's protocol.

    ``literals`` is ``""``, ``LITERAL-`` or ``LITERAL+``: set when the capabilities are known.
    """

    def __init__(self, limits: Limits, *, letters: str = "") -> None:
        self.literals = ""
        self.greeted = False
        self._limits = limits
        self._framer = Framer(limits)
        self._letters = letters or "".join(secrets.choice(_LETTERS) for _ in "1234")
        self._number = 0
        self._flight: dict[str, Command] = {}
        self._queue: deque[_Piece] = deque()
        self._waiting = ""  # the tag whose literal waits for a go-ahead
        self._exists = 0
        self._unasked = 0
        self._tls_next = False

    # ---------------------------------------------------------------- commands in, bytes out

    def send(self, command: Command) -> str:
        """Queue a command; gives its tag.  Its bytes come out of :meth:`outgoing`."""
        self._number += 1
        tag = f"{self._letters}{self._number}"
        self._flight[tag] = command
        text = tag.encode() + b" "
        last = len(command.parts) - 1
        for index, part in enumerate(command.parts):
            if index == last:
                self._queue.append(_Piece(tag, text + part + b"\r\n", waits=False))
            elif index % 2:
                text = part
            else:
                size = len(command.parts[index + 1])
                now = self._without_waiting(size)
                announced = text + part + b"{%d%s}\r\n" % (size, b"+" if now else b"")
                self._queue.append(_Piece(tag, announced, waits=not now))
                text = b""
        return tag

    def _without_waiting(self, size: int) -> bool:
        return self.literals == "LITERAL+" or (self.literals == "LITERAL-" and size <= _MINUS)

    def reply(self, line: bytes) -> None:
        """Answer a :class:`Continue`: a line without its end (a SASL response, or DONE)."""
        self._queue.appendleft(_Piece("", line + b"\r\n", waits=False))

    def outgoing(self) -> list[bytes]:
        """The bytes that may leave now.  Ask again after every :meth:`receive`."""
        out: list[bytes] = []
        while self._queue and not self._waiting:
            piece = self._queue.popleft()
            out.append(piece.data)
            if piece.waits:
                self._waiting = piece.tag
        return out

    # ---------------------------------------------------------------- bytes in, events out

    def receive(self, data: memoryview) -> list[Event]:
        """The events these bytes complete.  Raises ProtocolError; the connection ends with it."""
        self._expect_nothing_before_tls()
        events: list[Event] = []
        nesting = self._limits.nesting
        for framed in self._framer.feed(data):
            self._expect_nothing_before_tls()
            if isinstance(framed, list):
                event = parse(framed, nesting)
                if isinstance(event, Fetch):
                    self._count()
                elif isinstance(event, Done):
                    self._done(event)
                else:
                    self._other(event)
                events.append(event)
            else:
                events.append(framed)
        if self._framer.pending:
            self._expect_nothing_before_tls()
        return events

    def eof(self) -> list[Event]:
        """The other side closed.  There is nothing left to say; the pump names the loss."""
        return []

    def secured(self) -> None:
        """TLS has begun: what was said before it is forgotten."""
        self._tls_next = False
        self.literals = ""
        self._framer = Framer(self._limits)

    def _expect_nothing_before_tls(self) -> None:
        if self._tls_next:
            raise ProtocolError(
                "The server sent bytes behind its answer to STARTTLS; somebody may have put them "
                "in.",
                hint="Do not use this network for this connection, or use security tls.",
                step="tls",
            )

    def _other(self, event: Event) -> None:
        if not self.greeted:
            if not isinstance(event, Status) or event.state not in {"OK", "PREAUTH", "BYE"}:
                raise ProtocolError("The server did not greet as an IMAP server.", step="greeting")
            self.greeted = True
        elif isinstance(event, Continue):
            if self._waiting:
                self._waiting = ""
                event.for_literal = True
            elif not any(command.talks for command in self._flight.values()):
                raise ProtocolError("The server waits for something nobody began.")
        else:
            self._count()
            if isinstance(event, Exists):
                self._exists = event.count

    def _done(self, done: Done) -> None:
        tag = done.tag
        command = self._flight.pop(tag, None)
        if command is None or not self.greeted:
            raise ProtocolError("The server answered a command that was not given.")
        self._unasked = 0
        if any(piece.tag == tag for piece in self._queue):
            if self._waiting != tag or done.state == "OK":
                raise ProtocolError("The server answered a command before it had all of it.")
            self._queue = deque(piece for piece in self._queue if piece.tag != tag)
            self._waiting = ""  # the literal was refused
        if command.name == "STARTTLS" and done.state == "OK":
            self._tls_next = True

    def _count(self) -> None:
        self._unasked += 1
        if self._unasked > _UNASKED + 4 * self._exists or not self.greeted:
            raise ProtocolError("The server sends more than anybody asked for.")
