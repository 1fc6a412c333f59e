"""The control socket of a served room: who works on this machine, as its user, can unlock it.

A room whose key wants a passphrase opens locked where nobody is there to be asked.  The socket lies in
the room's directory, is its user's alone, and every peer is asked for its user besides (SO_PEERCRED).
One JSON line in, one JSON line out.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from postroom.errors import PostroomError, RoomError
from postroom.log import logger
from postroom.secret import Secret

__all__ = ["SOCKET", "Control", "ask_to_unlock", "controlled"]

SOCKET: Final = "serve.sock"
_LINE: Final = 8192
_SECONDS: Final = 30.0
Control = Callable[[Secret], Awaitable[bool]]
"""Unlocks the room with a passphrase; says whether it was locked.  Raises PostroomError."""
_log = logger("serve")


@contextlib.asynccontextmanager
async def controlled(path: Path, unlock: Control) -> AsyncIterator[None]:
    """Listen on the socket.  Raises RoomError where another process serves this room."""
    if await _answers(path):
        raise RoomError(
            "Another process serves this room already.",
            hint="End that one first; several workers of one room may run beside it.",
        )
    _remove(path)
    old = os.umask(0o177)  # never open to others, not for an instant
    try:
        server = await asyncio.start_unix_server(
            lambda reader, writer: _serve(reader, writer, unlock), path, limit=_LINE
        )
    except OSError as error:
        raise RoomError(f"The control socket {path} cannot be made: {error.strerror}.") from None
    finally:
        os.umask(old)
    try:
        yield
    finally:
        server.close()
        _remove(path)


async def ask_to_unlock(path: Path, passphrase: Secret) -> bool:
    """Unlock the served room; says whether it was locked.

    Raises RoomError where nobody serves it, and what the other side answers.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=_LINE)
    except OSError:
        raise RoomError("Nobody serves this room.", hint="Serve it: postroom serve") from None
    try:
        writer.write(json.dumps({"unlock": passphrase.reveal()}).encode() + b"\n")
        async with asyncio.timeout(_SECONDS):
            answer: dict[str, Any] = json.loads(await reader.readline() or b"{}")
    except (TimeoutError, OSError, ValueError):
        raise RoomError("Who serves the room did not answer.", temporary=True) from None
    finally:
        writer.close()
    if "error" in answer:
        raise RoomError(answer["error"], code=answer["code"], hint=answer.get("hint", ""))
    return bool(answer.get("unlocked"))


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _answers(path: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, unlock: Control
) -> None:
    try:
        if _user_of(writer.get_extra_info("socket")) not in (0, os.geteuid()):
            return
        async with asyncio.timeout(_SECONDS):
            line = await reader.readline()
            if line:
                writer.write(json.dumps(await _done(line, unlock)).encode() + b"\n")
                await writer.drain()
    except (TimeoutError, OSError, ValueError):
        _log.warning("a call over the control socket was not understood")
    finally:
        writer.close()


async def _done(line: bytes, unlock: Control) -> dict[str, Any]:
    asked = json.loads(line)
    try:
        return {"unlocked": await unlock(Secret(str(asked["unlock"])))}
    except PostroomError as error:
        return error.as_json()
    except (KeyError, TypeError):
        return {"code": "refused", "error": "That is no call of this socket."}


def _user_of(peer: socket.socket) -> int:
    if not hasattr(socket, "SO_PEERCRED"):  # macOS: the mode of the socket has to do
        return os.geteuid()
    size = struct.calcsize("3i")
    found = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(found[1])
