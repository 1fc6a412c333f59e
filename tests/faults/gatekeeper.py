"""An IMAP server that is as small as can be and counts who is at its door (empty mailboxes only)."""

from __future__ import annotations

import asyncio
from typing import Self

__all__ = ["Gatekeeper"]

_GREETING_SECONDS = 0.03
_ANSWERS = {
    b"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n",
    b"SELECT": b"* FLAGS (\\Seen)\r\n* 0 EXISTS\r\n* OK [UIDVALIDITY 1] v\r\n* OK [UIDNEXT 1] n\r\n",
    b"LIST": b'* LIST () "/" ""\r\n',
}


class Gatekeeper:
    """``async with Gatekeeper() as door``; every sign-in takes a while, and succeeds.

    ``opening`` counts the connections between their first byte and the end of the sign-in, ``most``
    is the highest that it has been, ``signed_in`` counts those that came through.
    """

    def __init__(self) -> None:
        self.opening = 0
        self.most = 0
        self.signed_in = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *reason: object) -> None:
        self._server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opening += 1
        self.most = max(self.most, self.opening)
        outside = True
        try:
            await asyncio.sleep(_GREETING_SECONDS)
            writer.write(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello\r\n")
            while line := await reader.readline():
                tag, verb, *_ = line.split()
                writer.write(_ANSWERS.get(verb.upper(), b"") + tag + b" OK done\r\n")
                if outside and verb.upper() in (b"LOGIN", b"AUTHENTICATE"):
                    outside = False
                    self.opening -= 1
                    self.signed_in += 1
        except ConnectionError:
            pass
        finally:
            self.opening -= outside
            writer.close()
