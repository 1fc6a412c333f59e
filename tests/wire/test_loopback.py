"""The listener for a browser's answer: who is heard, who is not, and what goes on meanwhile."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from urllib.parse import urlsplit

import pytest

from postroom.errors import InvalidValue, SignInError
from postroom.net.loopback import Loopback

__all__: list[str] = []


def fits(query: str) -> bool:
    return "state=right" in query


async def ask(port: int, head: str, *, host: str = "127.0.0.1") -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(head.encode())
    answer = await reader.read()
    writer.close()
    return answer


def get(path: str, port: int, name: str = "localhost", version: str = "HTTP/1.1") -> str:
    return f"GET {path} {version}\r\nHost: {name}:{port}\r\nAccept: */*\r\n\r\n"


@pytest.mark.parametrize("uri", ["http://localhost", "http://127.0.0.1/back", "http://[::1]/back"])
async def test_the_answer_is_heard_at_its_host_and_path(uri: str) -> None:
    parts = urlsplit(uri)
    host = parts.hostname or ""
    async with Loopback(uri) as heard:
        query = asyncio.create_task(heard.query(10, fits))
        name = f"[{host}]" if ":" in host else host
        head = get(f"{parts.path or '/'}?code=x&state=right", heard.port, name)
        at = "127.0.0.1" if host == "localhost" else host
        answer = await ask(heard.port, head, host=at)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"code=x" not in answer
        assert await query == "code=x&state=right"


async def test_a_browser_that_hangs_up_at_once_has_brought_the_answer() -> None:
    """The code is good once: who asks the person to sign in again throws it away."""
    async with Loopback("http://localhost") as heard:
        query = asyncio.create_task(heard.query(5, fits))
        browser = socket.create_connection(("127.0.0.1", heard.port))
        await asyncio.sleep(0.1)  # it is accepted
        browser.sendall(get("/?code=x&state=right", heard.port).encode())
        # no FIN: the other side's writing fails
        browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        browser.close()
        assert await query == "code=x&state=right"


async def test_whatever_else_comes_by_ends_nothing_and_learns_nothing() -> None:
    """T85: a web page that tries ports, another user, another host's name that leads here (DNS
    rebinding), smuggled requests; and the right answer after all of it."""
    async with Loopback("http://localhost/back") as heard:
        query, port = asyncio.create_task(heard.query(10, fits)), heard.port
        good = "/back?code=x&state=right"
        for status, head in [
            (400, get("/back?code=evil&state=wrong", port)),
            (400, get("/back?code=evil", port)),
            (400, get("/back?code=evil&state=right&state=right", port).replace("right", "wrong")),
            (404, get(good, port, "evil.example")),
            (404, get(good, port, "127.0.0.1")),
            (404, get(good, port + 1)),
            (404, f"GET {good} HTTP/1.1\r\n\r\n"),
            (404, get(good, port).replace("\r\nAccept", "\r\nHost: evil.example\r\nAccept")),
            (404, get(f"http://localhost:{port}{good}", port)),
            (404, get("/?code=x&state=right", port)),
            (404, get("/back", port)),
            (404, get(good, port).replace("GET", "POST")),
            (404, get("//back?code=x&state=right", port)),
            # the second request of one connection is never looked at
            (404, get("/favicon.ico", port) + get(good, port)),
        ]:
            answer = await ask(port, head)
            assert answer.startswith(f"HTTP/1.1 {status} ".encode()), (head, answer)
            assert answer.count(b"HTTP/1.1") == 1
            assert b"evil" not in answer
            assert not query.done(), head
        assert (await ask(port, get(good, port))).startswith(b"HTTP/1.1 200 OK\r\n")
        assert await query == "code=x&state=right"


async def test_an_answer_before_anything_was_begun_is_none() -> None:
    """T85."""
    async with Loopback("http://localhost") as heard:
        answer = await ask(heard.port, get("/?code=x&state=right", heard.port))
        assert answer.startswith(b"HTTP/1.1 400 ")
        with pytest.raises(SignInError, match="Nobody signed in"):
            await heard.query(0.05, fits)


async def test_slow_and_many_clients_hold_up_nobody() -> None:
    """T67: who opens connections and says nothing keeps neither the answer nor the end waiting."""
    async with Loopback("http://127.0.0.1") as heard:
        query = asyncio.create_task(heard.query(10, fits))
        silent = [await asyncio.open_connection("127.0.0.1", heard.port) for _ in range(20)]
        for _, writer in silent:
            writer.write(b"GET /?state=right")
        big = f"GET /?state=right HTTP/1.1\r\nHost: 127.0.0.1:{heard.port}\r\nX: {'x' * 100_000}\r\n\r\n"
        assert await ask(heard.port, big) == b""
        assert not query.done()
        answer = await ask(heard.port, get("/?state=right", heard.port, "127.0.0.1"))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        await query
        began = time.monotonic()
    assert time.monotonic() - began < 2
    for _, writer in silent:
        writer.close()


async def test_a_port_that_somebody_else_has_on_one_of_its_addresses_is_not_shared() -> None:
    """T85: ``localhost`` is two addresses; a browser would bring its answer to whoever has either."""
    try:
        taken = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    port = taken.getsockname()[1]
    with taken, pytest.raises(SignInError, match=str(port)):
        await Loopback(f"http://localhost:{port}").__aenter__()


async def test_only_this_machine_is_listened_on() -> None:
    for uri in ("http://example.com", "https://localhost", "http://0.0.0.0"):
        with pytest.raises(InvalidValue, match="with --link any address does"):
            Loopback(uri)
