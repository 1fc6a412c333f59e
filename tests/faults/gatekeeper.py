"""Servers that are as small as can be and count who is at their door: IMAP, and SMTP."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from typing import ClassVar, Self

__all__ = ["Doorkeeper", "Gatekeeper", "Postkeeper"]

_GREETING_SECONDS = 0.03


class Doorkeeper(ABC):
    """``async with Gatekeeper() as door``; every sign-in takes a while, and succeeds.

    ``opening`` counts the connections between their first byte and the end of the sign-in, ``most``
    is the highest that it has been, ``signed_in`` counts those that came through; ``most_open`` is
    the highest number of connections of any sort.
    """

    def __init__(self) -> None:
        self.opening = 0
        self.most = 0
        self.open = 0
        self.most_open = 0
        self.signed_in = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *reason: object) -> None:
        self._server.close()

    @property
    @abstractmethod
    def greeting(self) -> bytes:
        """What is said first."""

    @abstractmethod
    async def answer(
        self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer a line; gives whether somebody is signed in by it."""

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opening += 1
        self.most = max(self.most, self.opening)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        outside = True
        try:
            await asyncio.sleep(_GREETING_SECONDS)
            writer.write(self.greeting)
            while line := await reader.readline():
                if await self.answer(line, reader, writer) and outside:
                    outside = False
                    self.opening -= 1
                    self.signed_in += 1
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.opening -= outside
            self.open -= 1
            writer.close()


class Gatekeeper(Doorkeeper):
    """IMAP; the mailboxes are empty."""

    greeting = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello\r\n"
    answers: ClassVar = {
        b"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n",
        b"SELECT": b"* FLAGS (\\Seen)\r\n* 0 EXISTS\r\n"
        b"* OK [UIDVALIDITY 1] v\r\n* OK [UIDNEXT 1] n\r\n",
        b"LIST": b'* LIST () "/" ""\r\n',
    }

    async def answer(
        self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Empty folders, and OK to all."""
        tag, verb, *_ = line.split()
        writer.write(self.answers.get(verb.upper(), b"") + tag + b" OK done\r\n")
        return verb.upper() in (b"LOGIN", b"AUTHENTICATE")


class Postkeeper(Doorkeeper):
    """SMTP; ``came`` counts by recipient what was taken, and keeps nothing of it."""

    greeting = b"220 door\r\n"
    answers: ClassVar = {
        b"EHLO": b"250-door\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n",
        b"AUTH": b"235 in\r\n",
        b"QUIT": b"221 bye\r\n",
    }

    def __init__(self) -> None:
        super().__init__()
        self.came: Counter[str] = Counter()
        self._to: dict[asyncio.StreamWriter, list[str]] = {}

    async def answer(
        self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Every recipient is welcome, every content is taken."""
        verb = line[:4].upper()
        if verb == b"RCPT":
            self._to.setdefault(writer, []).append(
                line.partition(b"<")[2].partition(b">")[0].decode()
            )
        if verb == b"DATA":
            writer.write(b"354 go\r\n")
            await reader.readuntil(b"\r\n.\r\n")
            self.came.update(self._to.pop(writer))
        writer.write(self.answers.get(verb, b"250 ok\r\n"))
        return verb == b"AUTH"
