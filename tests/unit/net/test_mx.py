"""MX records: questions, answers, and what is no answer to what was asked."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as some

from postroom.net.mx import Asked, mail_exchangers, query, read_answer


def answer(asked: Asked, *hosts: tuple[int, bytes], flags: int = 0x8180, number: int = -1) -> bytes:
    """An answer to a question, its names pointing at the question's."""
    head = struct.pack("!6H", asked.id if number < 0 else number, flags, 1, len(hosts), 0, 0)
    body = asked.name + struct.pack("!2H", 15, 1)
    for preference, name in hosts:
        data = struct.pack("!H", preference) + name
        body += b"\xc0\x0c" + struct.pack("!HHIH", 15, 1, 60, len(data)) + data
    return head + body


ONE = b"\x03mx1\x07example\x03net\x00"
OURS = b"\x04mail\xc0\x0c"  # mail. and the name that was asked for


def test_hosts_come_in_the_order_of_preference() -> None:
    _, asked = query("example.com")
    assert read_answer(answer(asked, (20, OURS), (10, ONE)), asked) == (
        "mx1.example.net",
        "mail.example.com",
    )


@pytest.mark.parametrize(
    "packet",
    [
        answer(query("other.com")[1], (10, ONE)),
        answer(query("example.com")[1], (10, ONE), number=1),
        answer(query("example.com")[1], (10, ONE), flags=0x0100),
        answer(query("example.com")[1], (10, ONE), flags=0x8183),
        b"",
    ],
    ids=["another name", "another number", "a question", "no such name", "nothing"],
)
def test_what_answers_something_else_says_nothing(packet: bytes) -> None:
    assert read_answer(packet, Asked(2, query("example.com")[1].name)) == ()


def test_a_name_that_points_at_itself_ends() -> None:
    _, asked = query("example.com")
    loop = answer(asked, (10, b"\xc0\x00"))
    at = len(loop) - 2
    assert read_answer(loop[:at] + struct.pack("!H", 0xC000 | at), asked) == ()


@given(some.binary(max_size=200))
def test_no_bytes_make_it_fall_over(rest: bytes) -> None:
    _, asked = query("example.com")
    for packet in (answer(asked, (10, ONE))[:29] + rest, rest):
        assert all(host and host.isascii() for host in read_answer(packet, asked))


@asynccontextmanager
async def server(*, silent: bool = False) -> AsyncIterator[tuple[str, int]]:
    """A name server on loopback that knows one domain."""

    class Answering(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: object) -> None:
            asked = Asked(struct.unpack("!H", data[:2])[0], data[12:-4])
            if not silent:
                self.transport.sendto(answer(asked, (10, ONE)), addr)  # type: ignore[attr-defined]

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        Answering, local_addr=("127.0.0.1", 0)
    )
    try:
        yield transport.get_extra_info("sockname")
    finally:
        transport.close()


async def test_the_second_server_is_asked_where_the_first_is_silent() -> None:
    async with server(silent=True) as first, server() as second:
        found = await mail_exchangers("Example.COM", servers=[first, second], timeout=1.0)
    assert found == ("mx1.example.net",)


async def test_without_an_answer_there_is_none() -> None:
    async with server(silent=True) as only:
        assert await mail_exchangers("example.com", servers=[only], timeout=0.1) == ()
    assert await mail_exchangers("not a domain", servers=[]) == ()
