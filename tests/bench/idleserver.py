"""A tiny IMAP server over TLS that thousands can sit at in IDLE: ``python -m tests.bench.idleserver``.

It prints two ports: IMAP, and a plain one where a line with a user's name makes it tell that user
of a new message; the answer is the moment (``time.monotonic``) at which it did.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import time

__all__ = ["main"]

_USERS: dict[str, asyncio.StreamWriter] = {}
_SELECTED = (
    "* 0 EXISTS\r\n* FLAGS (\\Seen)\r\n* OK [UIDVALIDITY 1] .\r\n* OK [UIDNEXT 1] .\r\n"
    "{tag} OK [READ-ONLY] done\r\n"
)
_ANSWERS = {
    "CAPABILITY": "* CAPABILITY IMAP4rev1 IDLE\r\n{tag} OK done\r\n",
    "EXAMINE": _SELECTED,
    "SELECT": _SELECTED,
    "IDLE": "+ idling\r\n",
    "LOGOUT": "* BYE\r\n{tag} OK done\r\n",
}


async def _imap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"* OK [CAPABILITY IMAP4rev1 IDLE] ready\r\n")
    idling = ""
    while line := (await reader.readline()).decode().strip():
        if line.upper() == "DONE":
            writer.write(f"{idling} OK done\r\n".encode())
            continue
        tag, _, rest = line.partition(" ")
        verb, _, words = rest.partition(" ")
        if verb.upper() == "LOGIN":
            _USERS[words.split()[0].strip('"')] = writer
        if verb.upper() == "IDLE":
            idling = tag
        writer.write(_ANSWERS.get(verb.upper(), "{tag} OK done\r\n").format(tag=tag).encode())
    writer.close()


async def _control(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := (await reader.readline()).decode().strip():
        writer.write(f"{time.monotonic()}\n".encode())
        _USERS[line].write(b"* 1 EXISTS\r\n")
    writer.close()


async def _serve(certificate: str, key: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    imap = await asyncio.start_server(_imap, "127.0.0.1", 0, ssl=context, backlog=1024)
    control = await asyncio.start_server(_control, "127.0.0.1", 0)
    print(*(each.sockets[0].getsockname()[1] for each in (imap, control)), flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serve until killed; the arguments are a certificate and its key, PEM files."""
    asyncio.run(_serve(*sys.argv[1:3]))


if __name__ == "__main__":
    main()
