"""Dialling real sockets on loopback: what is reached, what is refused, and what people are told."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from postroom.connections import doctor
from postroom.errors import DialError, InvalidValue
from postroom.net.dial import Policy, Route, dial, steps_before
from tests.ground.scripted import Close, Expect, ScriptedServer, Send, Silence
from tests.unit.connections.rooms import open_small_room

Resolver = Callable[..., Any]


def resolver(*addresses: str, asked: list[str] | None = None) -> Resolver:
    """A name server that gives these addresses for every name, in this order."""

    async def resolve(host: str, port: int, **_hints: Any) -> list[tuple[Any, ...]]:
        if asked is not None:
            asked.append(host)
        return [
            (socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port))
            for a in addresses
        ]

    return resolve


def failing(error: Exception) -> Resolver:
    async def resolve(host: str, port: int, **_hints: Any) -> list[tuple[Any, ...]]:
        raise error

    return resolve


@contextlib.asynccontextmanager
async def listener(host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[tuple[int, list[Any]]]:
    """A port that accepts; gives its number and the clients it saw."""
    seen: list[Any] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("peername"))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(accept, host, port)
    try:
        yield server.sockets[0].getsockname()[1], seen
    finally:
        server.close()


@contextlib.contextmanager
def closed() -> Iterator[int]:
    """A port where nobody listens, and that nobody else is given meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


# --------------------------------------------------------------------------- reaching


async def test_a_name_is_resolved_and_connected_and_the_steps_are_told() -> None:
    async with listener() as (port, _):
        dialed = await dial(Route("LOCALHOST.", port), timeout=5)
        with dialed.sock as sock:
            assert dialed.address in ("127.0.0.1", "::1")
            assert [step.name for step in dialed.steps] == ["resolve", "connect"]
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert not sock.getblocking()


async def test_the_next_address_is_tried_when_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postroom.net.dial.STAGGER", 30.0)
    async with listener("127.0.0.2") as (port, _):
        began = time.monotonic()
        dialed = await dial(
            Route("two.test", port), timeout=60, resolve=resolver("127.0.0.9", "127.0.0.2")
        )
        dialed.sock.close()
        assert dialed.address == "127.0.0.2"
        assert time.monotonic() - began < 5  # a refusal is not waited out, as silence is


@contextlib.contextmanager
def silence(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A port whose queue is full: connecting to it hangs, as behind a firewall."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind((host, port))
        server.listen(0)
        port = server.getsockname()[1]
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex((host, port))
        yield port


@pytest.fixture
def deaf() -> Iterator[int]:
    with silence() as port:
        yield port


async def test_a_hanging_address_is_overtaken_after_a_quarter_of_a_second(deaf: int) -> None:
    async with listener("127.0.0.2", deaf) as (port, _):
        began = time.monotonic()
        dialed = await dial(
            Route("two.test", port), timeout=5, resolve=resolver("127.0.0.1", "127.0.0.2")
        )
        dialed.sock.close()
        assert dialed.address == "127.0.0.2"
        assert 0.2 < time.monotonic() - began < 1.5


async def test_families_take_turns() -> None:
    async with listener("127.0.0.2") as (port, _):
        dialed = await dial(
            Route("many.test", port),
            timeout=5,
            resolve=resolver("127.0.0.8", "127.0.0.9", "127.0.0.2", "::1"),
        )
        dialed.sock.close()
        assert dialed.steps[0].detail == "127.0.0.8, ::1, 127.0.0.9, 127.0.0.2"


async def test_who_wins_in_the_same_moment_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    both = asyncio.Barrier(2)

    async def at_once(self: Any, sock: socket.socket, address: Any) -> None:
        await both.wait()
        sock.setblocking(True)
        sock.connect(address)

    monkeypatch.setattr(type(asyncio.get_running_loop()), "sock_connect", at_once)
    async with listener("127.0.0.1") as (port, _), listener("127.0.0.2", port):
        with warnings.catch_warnings(record=True) as leaks:
            warnings.simplefilter("always", ResourceWarning)
            dialed = await dial(
                Route("two.test", port), timeout=5, resolve=resolver("127.0.0.1", "127.0.0.2")
            )
            await asyncio.sleep(0.05)
            gc.collect()
        dialed.sock.close()
        ours = f", {port})>"  # the garbage of other tests may be found here too
        assert not [str(leak.message) for leak in leaks if str(leak.message).endswith(ours)]


# --------------------------------------------------------------------------- refusing


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
     "::127.0.0.1", "100.64.0.1", "fec0::1", "fe80::1%lo", "169.254.169.254"],
)  # fmt: skip
async def test_public_only_refuses_a_name_that_leads_inside(address: str) -> None:
    """T56, T57: what a name resolves to is judged, not the name."""
    async with listener() as (port, seen):
        with pytest.raises(DialError) as caught:
            await dial(
                Route("rebind.test", port, policy=Policy(public_only=True)),
                timeout=5,
                resolve=resolver(address),
            )
        assert caught.value.code == "address_refused"
        assert "rebind.test" in caught.value.sentence
        assert caught.value.step == "resolve"
        assert not seen


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "0", "127.1", "0x7f000001", "2130706433", "①②⑦.0.0.1", "::1", "::ffff:127.0.0.1",
     "64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1", "fe80::1%lo", "169.254.169.254",
     "100.64.0.1", "fec0::1", "ff02::1", "localhost", "localhost."],
)  # fmt: skip
async def test_no_spelling_of_an_inner_host_is_dialled(host: str) -> None:
    """T56: every spelling of an inner host, and no socket."""
    async with listener() as (port, seen):
        with pytest.raises((DialError, InvalidValue)) as caught:
            await dial(Route(host, port, policy=Policy(public_only=True)), timeout=5)
        assert caught.value.code in ("address_refused", "invalid_value")
        assert not seen


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "ff02::1", "0.0.0.0", "::"])
async def test_some_addresses_are_refused_under_every_policy(address: str) -> None:
    """T56."""
    with pytest.raises(DialError) as caught:
        await dial(Route(address, 25), timeout=5)
    assert caught.value.code == "address_refused"


async def test_one_refused_address_refuses_the_whole_name() -> None:
    """T57: a mixed answer is refused whole."""
    async with listener() as (port, seen):
        with pytest.raises(DialError, match=r"169\.254\.169\.254"):
            await dial(
                Route("mixed.test", port),
                timeout=5,
                resolve=resolver("127.0.0.1", "169.254.169.254"),
            )
        assert not seen


async def test_a_name_is_resolved_once_and_the_checked_address_dialled() -> None:
    """T57: asked once, so a second answer changes nothing."""
    asked: list[str] = []
    async with listener() as (port, seen):
        (await dial(Route("a.test", port), timeout=5, resolve=resolver("127.0.0.1", asked=asked))
         ).sock.close()  # fmt: skip
        await asyncio.sleep(0.01)
        assert asked == ["a.test"]
        assert len(seen) == 1


async def test_no_environment_variable_turns_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with listener() as (port, seen):
        (await dial(Route("127.0.0.1", port), timeout=5)).sock.close()
        await asyncio.sleep(0.01)
        assert len(seen) == 1


@pytest.mark.parametrize("port", [0, -1, 65536])
async def test_a_port_that_cannot_be_is_a_wrong_value(port: int) -> None:
    with pytest.raises(InvalidValue, match="port"):
        await dial(Route("127.0.0.1", port), timeout=1)


# --------------------------------------------------------------------------- failing


@pytest.mark.parametrize(
    ("error", "temporary", "words"),
    [
        (
            socket.gaierror(socket.EAI_NONAME, "?"),
            False,
            "There is no host called imap.exmaple.com",
        ),
        (socket.gaierror(socket.EAI_AGAIN, "?"), True, "gave no answer for imap.exmaple.com"),
        (socket.gaierror(socket.EAI_FAIL, "?"), True, "gave no answer"),
    ],
)
async def test_an_unknown_host_is_told_from_a_silent_name_server(
    error: Exception, temporary: bool, words: str
) -> None:
    with pytest.raises(DialError) as caught:
        await dial(Route("imap.exmaple.com", 993), timeout=1, resolve=failing(error))
    assert caught.value.code == "host_unknown"
    assert caught.value.temporary is temporary
    assert words in caught.value.sentence
    assert caught.value.hint
    assert caught.value.step == "resolve"


async def test_a_refused_port_names_host_port_and_each_address() -> None:
    both = resolver("127.0.0.1", "127.0.0.2")
    with closed() as port, pytest.raises(DialError) as caught:
        await dial(Route("imap.test", port), timeout=5, resolve=both)
    error = caught.value
    assert error.code == "connect_refused"
    assert error.temporary
    assert f"imap.test:{port} refused the connection" in error.sentence
    assert error.facts["attempts"] == {
        "127.0.0.1": "Connection refused", "127.0.0.2": "Connection refused",
    }  # fmt: skip
    assert error.facts["steps"][0]["name"] == "resolve"
    assert [step.name for step in steps_before(error)] == ["resolve"]
    assert "993" in error.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="binding port 25 needs root")
async def test_a_time_out_at_port_25_is_told_with_the_other_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What networks do that let only mail servers use it: nothing answers."""
    monkeypatch.setattr(doctor, "_CONNECT_SECONDS", 0.5)
    side = {"protocol": "smtp", "host": "127.0.0.9", "port": "25"}
    with silence("127.0.0.9", 25):
        async with open_small_room(tmp_path) as room:
            await room.connect("acme", outgoing=side)
            report = await doctor.test_connection(room.opener, "acme")
    [walked] = report.sides
    assert walked.error is not None
    assert (walked.steps[-1].name, walked.error.code) == ("connect", "timed_out")
    assert walked.advice is not None
    assert "Most networks block port 25" in walked.advice.text
    assert walked.advice.commands == ("postroom connection set acme --set outgoing.port=587",)


async def test_a_time_out_is_temporary_and_keeps_to_its_time(deaf: int) -> None:
    began = time.monotonic()
    with pytest.raises(DialError) as caught:
        await dial(Route("127.0.0.1", deaf), timeout=0.3)
    assert 0.25 < time.monotonic() - began < 5  # the system's own patience is two minutes
    assert caught.value.code == "timed_out"
    assert caught.value.temporary
    assert caught.value.step == "connect"
    assert f"127.0.0.1:{deaf} did not answer within 0.3 s" in caught.value.sentence


async def test_a_time_out_on_port_25_says_that_networks_block_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(self: Any, sock: socket.socket, address: Any) -> None:
        await asyncio.sleep(60)

    # a real port 25 that swallows packets needs a firewall of the test's own
    monkeypatch.setattr(type(asyncio.get_running_loop()), "sock_connect", never)
    with pytest.raises(DialError) as caught:
        await dial(Route("127.0.0.1", 25), timeout=0.1)
    assert "587" in caught.value.hint


async def test_a_silent_name_server_times_out_as_such() -> None:
    async def slow(host: str, port: int, **_hints: Any) -> list[tuple[Any, ...]]:
        await asyncio.sleep(60)
        return []

    with pytest.raises(DialError) as caught:
        await dial(Route("imap.test", 993), timeout=0.1, resolve=slow)
    assert (caught.value.code, caught.value.step) == ("timed_out", "resolve")


# --------------------------------------------------------------------------- by a proxy


async def test_a_proxy_opens_the_way_and_no_byte_behind_its_answer_is_lost() -> None:
    script = [
        Expect(rb"CONNECT imap\.test:993 HTTP/1\.1\r\nHost: imap\.test:993", until=b"\r\n\r\n"),
        Send(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n* OK ready\r\n"),
        Silence(),
    ]
    async with ScriptedServer(script) as proxy:
        route = Route("imap.test", 993, proxy=(proxy.host, proxy.port))
        dialed = await dial(route, timeout=5)
        with dialed.sock as sock:
            assert await asyncio.get_running_loop().sock_recv(sock, 100) == b"* OK ready\r\n"
            assert [step.name for step in dialed.steps] == ["resolve", "connect", "proxy"]


@pytest.mark.parametrize(
    ("answer", "temporary", "words"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", False, "answered 403"),
        (b"HTTP/1.1 503 No way\r\n\r\n", True, "answered 503"),
        (b"* OK IMAP here\r\n\r\n", False, "did not answer as an HTTP proxy does"),
        (b"HTTP/1.1 2OO fine\r\n\r\n", False, "did not answer as an HTTP proxy does"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000, False, "did not answer as"),
        (b"", True, "was lost"),
    ],
)
async def test_a_proxy_that_does_not_says_so(answer: bytes, temporary: bool, words: str) -> None:
    async with ScriptedServer([Expect(rb".*", until=b"\r\n\r\n"), Send(answer), Close()]) as proxy:
        route = Route("imap.test", 993, proxy=(proxy.host, proxy.port))
        with pytest.raises(DialError, match=words) as caught:
            await dial(route, timeout=5)
        assert caught.value.code == "proxy_failed"
        assert caught.value.temporary is temporary
        assert caught.value.step == "proxy"


async def test_a_proxy_is_given_no_inner_address() -> None:
    """T56: nor by a proxy."""
    async with ScriptedServer([Silence()]) as proxy:
        by = (proxy.host, proxy.port)
        with pytest.raises(DialError, match=r"169\.254\.169\.254"):
            await dial(Route("169.254.169.254", 80, proxy=by), timeout=5)
        closed = Route("a.test", 80, proxy=by, policy=Policy(public_only=True))
        with pytest.raises(DialError, match=r"127\.0\.0\.1"):
            await dial(closed, timeout=5, resolve=resolver("127.0.0.1"))
        assert not proxy.sessions


async def test_with_public_only_the_proxy_is_given_the_checked_address() -> None:
    async with ScriptedServer(
        [Expect(rb"CONNECT 8\.8\.8\.8:993 .*", until=b"\r\n\r\n"), Send(b"HTTP/1.1 200 OK\r\n\r\n")]
    ) as proxy:
        route = Route("a.test", 993, (proxy.host, proxy.port), Policy(public_only=True))
        (await dial(route, timeout=5, resolve=resolver("8.8.8.8"))).sock.close()
