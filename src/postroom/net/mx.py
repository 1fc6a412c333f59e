"""Which hosts take a domain's mail: its MX records, asked of the system's name servers (RFC 1035)."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from postroom.errors import InvalidValue
from postroom.net.names import canonical_host

__all__ = ["Asked", "mail_exchangers", "query", "read_answer"]

_MX: Final = 15
_IN: Final = 1
_MOST: Final = 32
_POINTERS: Final = 32
"""How often a name may point back into the answer: more of it is a loop."""
_SERVERS: Final = Path("/etc/resolv.conf")


class Asked(NamedTuple):
    """A question: its number, and its bytes as they stand in the answer too."""

    id: int
    name: bytes


async def mail_exchangers(
    domain: str, *, servers: Sequence[tuple[str, int]] | None = None, timeout: float = 2.0
) -> tuple[str, ...]:
    """The hosts that take mail for a domain, the preferred first; none where nobody answers in time.

    What is asked is public and what comes is a hint: nothing is ever dialled by it.
    """
    try:
        packet, asked = query(canonical_host(domain))
    except InvalidValue:
        return ()
    for server in _servers() if servers is None else servers:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(timeout):
                return read_answer(await _ask(server, packet), asked)
    return ()


def query(domain: str) -> tuple[bytes, Asked]:
    """A question for the MX records of a domain."""
    name = b"".join(bytes([len(label)]) + label.encode("ascii") for label in domain.split("."))
    asked = Asked(secrets.randbelow(65536), name + b"\0")
    head = struct.pack("!6H", asked.id, 0x0100, 1, 0, 0, 0)  # one question, recursion desired
    return head + asked.name + struct.pack("!2H", _MX, _IN), asked


def read_answer(packet: bytes, asked: Asked) -> tuple[str, ...]:
    """The hosts of an answer, the preferred first; none of an answer to something else, or a broken one."""
    try:
        number, flags, questions, answers, _, _ = struct.unpack_from("!6H", packet)
        end = 12 + len(asked.name) + 4
        same = packet[12:end].lower() == asked.name.lower() + struct.pack("!2H", _MX, _IN)
        if number != asked.id or not flags & 0x8000 or flags & 0xF or questions != 1 or not same:
            return ()
        return _hosts(packet, end, min(answers, _MOST))
    except (struct.error, IndexError, UnicodeDecodeError):
        return ()


def _hosts(packet: bytes, at: int, number: int) -> tuple[str, ...]:
    found = []
    for _ in range(number):
        _, at = _name(packet, at)
        kind, _, _, length = struct.unpack_from("!HHIH", packet, at)
        at += 10
        if kind == _MX:
            preference = struct.unpack_from("!H", packet, at)[0]
            found.append((preference, _name(packet, at + 2)[0]))
        at += length
    return tuple(host for _, host in sorted(found) if host)


def _name(packet: bytes, at: int) -> tuple[str, int]:
    """A name, which may end in a pointer to another, and where what follows it begins."""
    labels: list[str] = []
    after = 0
    for _ in range(128 + _POINTERS):
        length = packet[at]
        if length & 0xC0 == 0xC0:
            after = after or at + 2
            at = struct.unpack_from("!H", packet, at)[0] & 0x3FFF
        elif length:
            labels.append(packet[at + 1 : at + 1 + length].decode("ascii").lower())
            at += 1 + length
        else:
            return ".".join(labels), after or at + 1
    raise IndexError("a name without an end")


class _Answer(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.came: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.came.done():
            self.came.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.came.done():
            self.came.set_exception(exc)


async def _ask(server: tuple[str, int], packet: bytes) -> bytes:
    # connected: only that server's datagrams are let in
    transport, answer = await asyncio.get_running_loop().create_datagram_endpoint(
        _Answer, remote_addr=server
    )
    try:
        transport.sendto(packet)
        return await answer.came
    finally:
        transport.close()


def _servers() -> list[tuple[str, int]]:
    try:
        lines = _SERVERS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    words = (line.split() for line in lines)
    return [(each[1], 53) for each in words if len(each) > 1 and each[0] == "nameserver"][:2]
