"""The pump on real sockets: events, time-outs, losses, STARTTLS, back-pressure, transcript."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import time
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from postroom.errors import ProtocolError, WireError
from postroom.net.dial import Route
from postroom.net.tls import Tls
from postroom.protocols.base import Limits, WireTarget
from postroom.protocols.pump import Pump, open_pump
from postroom.secret import Scrubber, Secret
from tests.ground.pki import Pki
from tests.ground.scripted import (
    Answer,
    Close,
    Expect,
    Repeat,
    ScriptedServer,
    Send,
    Silence,
    StartTls,
    Step,
)  # fmt: skip
from tests.wire.lines import Lines

SHORT = Limits(connect_timeout=20, reply_timeout=0.3)
CALM = Limits(connect_timeout=2, reply_timeout=5)
ECHO: Sequence[Step] = [Answer({rb"(?P<said>.*)": b"{said}!\r\n"})]


@contextlib.asynccontextmanager
async def opened(
    *script: Step,
    pki: Pki | None = None,
    starttls: bool = False,
    limits: Limits = CALM,
    scrubber: Scrubber | None = None,
    core: Any = None,
) -> AsyncIterator[tuple[Pump, ScriptedServer]]:
    """A pump on a scripted server; with ``pki`` over TLS, which with ``starttls`` begins later."""
    context = pki.server_context() if pki else None
    async with ScriptedServer(script, tls=context, starttls=starttls) as server:
        tls = Tls(trust=(pki.ca.read_text(),)) if pki else Tls()
        security: Any = "none" if pki is None else "starttls" if starttls else "tls"
        route = Route(server.host, server.port)
        pump = await open_pump(
            core or Lines(), WireTarget(route, security, tls, limits), scrubber=scrubber
        )
        try:
            yield pump, server
        finally:
            pump.abandon()


async def events(pump: Pump, count: int) -> list[Any]:
    found: list[Any] = []
    while len(found) < count:
        found += await pump.next()
    return found


@pytest.fixture(params=["plain", "tls"])
def maybe(request: pytest.FixtureRequest, pki: Pki) -> Pki | None:
    """Once without and once with TLS."""
    return pki if request.param == "tls" else None


# --------------------------------------------------------------------------- talking


async def test_events_come_in_order_however_the_bytes_are_split(maybe: Pki | None) -> None:
    pieces = [Send(bytes([byte])) for byte in b"* OK one\r\ntwo\r\nthree\r\n"]
    async with opened(*pieces, Silence(), pki=maybe) as (pump, _):
        assert await events(pump, 3) == [b"* OK one", b"two", b"three"]


async def test_what_is_written_arrives_whole(maybe: Pki | None) -> None:
    lines = [b"%06d" % number + b"x" * 90 for number in range(30_000)]
    async with opened(*ECHO, pki=maybe) as (pump, server):

        async def write() -> None:
            for start in range(0, len(lines), 500):
                pump.write(b"".join(line + b"\r\n" for line in lines[start : start + 500]))
                await pump.drain()

        pump.transcript.quiet = True
        server.transcript.keep = False
        writer = asyncio.create_task(write())
        assert await events(pump, len(lines)) == [line + b"!" for line in lines]
        await writer


async def test_the_owner_may_wait_without_ending_the_connection(maybe: Pki | None) -> None:
    async with opened(*ECHO, pki=maybe) as (pump, _):
        assert not await pump.ready(0.05)
        assert not await pump.ready(0)
        pump.write(b"hello\r\n")
        assert await pump.ready(2)
        assert await pump.next() == [b"hello!"]


async def test_a_cancelled_wait_loses_nothing(maybe: Pki | None) -> None:
    async with opened(*ECHO, pki=maybe) as (pump, _):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pump.next(), 0.05)
        pump.write(b"hello\r\n")
        assert await pump.next() == [b"hello!"]


# --------------------------------------------------------------------------- time


async def test_a_silent_server_times_out(maybe: Pki | None) -> None:
    async with opened(Send(b"* OK\r\n"), Silence(), pki=maybe, limits=SHORT) as (pump, server):
        await pump.next()
        pump.step = "sign-in"
        began = time.monotonic()
        with pytest.raises(WireError) as caught:
            await pump.next()
        assert 0.25 < time.monotonic() - began < 5  # no other limit is as short
        error = caught.value
        assert (error.code, error.step, error.temporary) == ("timed_out", "sign-in", True)
        assert f"{server.host}:{server.port} did not answer within 0.3 s" in error.sentence
        assert error.said == "* OK"
        with pytest.raises(WireError):
            await pump.next()


async def test_bytes_that_drip_do_not_move_the_deadline(maybe: Pki | None) -> None:
    async with opened(Repeat(b"x", pause=0.05), pki=maybe) as (pump, _):
        began = time.monotonic()
        with pytest.raises(WireError, match="did not answer within"):
            await pump.next(0.3)
        assert time.monotonic() - began < 5  # they would drip for ever


async def test_endless_answers_end_too(maybe: Pki | None) -> None:
    async with opened(Repeat(b"* still here\r\n" * 100), pki=maybe) as (pump, server):
        server.transcript.keep = False
        began = time.monotonic()
        with pytest.raises(WireError) as caught, pump.within(0.3):
            await events(pump, 10**9)
        assert caught.value.code == "timed_out"
        assert time.monotonic() - began < 5


async def test_a_server_that_takes_nothing_times_out(pki: Pki) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    with server:
        route = Route(*server.getsockname())
        pump = await open_pump(Lines(), WireTarget(route, "none", Tls(), SHORT))
        pump.write(b"x" * 50_000_000)
        with pytest.raises(WireError, match="did not take what was sent") as caught:
            await pump.drain()
        assert caught.value.code == "timed_out"
        began = time.monotonic()
        await pump.close(0.2)
        assert time.monotonic() - began < 5  # it would never take the rest


# --------------------------------------------------------------------------- losses


@pytest.mark.parametrize("how", ["fin", "eof", "rst"])
async def test_a_lost_connection_is_told_after_the_last_events(maybe: Pki | None, how: Any) -> None:
    script = [Send(b"* BYE too many connections\r\n"), Expect(b"go"), Close(how)]
    async with opened(*script, pki=maybe) as (pump, _):
        assert await pump.next() == [b"* BYE too many connections"]
        pump.write(b"go\r\n")
        with pytest.raises(WireError) as caught:
            await events(pump, 2)
        assert caught.value.code == "connection_lost"
        assert caught.value.temporary
        assert "* BYE too many connections" in caught.value.sentence
        pump.write(b"into the void\r\n")
        with pytest.raises(WireError):
            await pump.drain()


async def test_an_end_in_good_order_is_told_to_the_core_and_a_cut_is_not(pki: Pki) -> None:
    async with opened(Close("fin"), pki=pki) as (pump, _):
        assert await pump.next() == [b"(eof)"]
    async with opened(Close("eof"), pki=pki) as (pump, _):
        with pytest.raises(WireError, match="cut the connection off"):
            await pump.next()


async def test_a_broken_protocol_ends_the_connection_and_is_scrubbed(maybe: Pki | None) -> None:
    scrubber = Scrubber([Secret("secret-word")])
    async with opened(
        Send(b"fine\r\n"), Expect(b"next"), Send(b"garbage\r\n"), Silence(),
        pki=maybe, scrubber=scrubber,
    ) as (pump, _):  # fmt: skip
        assert await pump.next() == [b"fine"]
        pump.write(b"next\r\n")
        pump.step = "folder"
        with pytest.raises(ProtocolError) as caught:
            await pump.next()
        assert caught.value.said == "garbage with **** in it"
        assert caught.value.step == "folder"


async def test_a_mistake_in_a_core_is_shown_as_it_is(
    maybe: Pki | None, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Lines):
        def receive(self, data: memoryview, /) -> list[Any]:
            raise ZeroDivisionError

    async with opened(Send(b"x"), Silence(), pki=maybe, core=Broken()) as (pump, _):
        with pytest.raises(ZeroDivisionError):
            await pump.next()


async def test_closing_is_quiet_whatever_state_things_are_in(maybe: Pki | None) -> None:
    async with opened(*ECHO, pki=maybe) as (pump, server):
        pump.write(b"QUIT\r\n")
        await pump.close()
        await pump.close()
        pump.abandon()
        with pytest.raises(WireError, match="is closed"):
            await pump.next()
        await asyncio.sleep(0.05)
        assert server.transcript.to_server == b"QUIT\r\n"
    async with opened(Close("rst"), pki=maybe) as (pump, _):
        await asyncio.sleep(0.02)
        await pump.close()


# --------------------------------------------------------------------------- STARTTLS


async def test_starttls_goes_on_encrypted(pki: Pki) -> None:
    script = [Send(b"* OK\r\n"), Expect(b"STARTTLS"), Send(b"OK go\r\n"), StartTls(), *ECHO]
    async with opened(*script, pki=pki, starttls=True) as (pump, _):
        await pump.next()
        pump.write(b"STARTTLS\r\n")
        await pump.start_tls((await pump.next())[-1])
        assert [step.name for step in pump.steps] == ["resolve", "connect", "tls"]
        pump.write(b"secret\r\n")
        assert await pump.next() == [b"secret!"]


@pytest.mark.parametrize(
    "behind",
    [
        b"* CAPABILITY AUTH=PLAIN\r\n",
        b"a whole line\r\nand a part",
        b"a part",
        b"\r\n",
        b"\r",
        b" ",
    ],
)
@pytest.mark.parametrize("later", [False, True])
async def test_anything_behind_the_answer_to_starttls_ends_the_connection(
    pki: Pki, behind: bytes, later: bool
) -> None:
    """T63, RFC 3207 section 6: whole lines and parts of one, in the same segment or the next."""
    answer = (
        [Send(b"OK go\r\n"), Silence(0.02), Send(behind)]
        if later
        else [Send(b"OK go\r\n" + behind)]
    )
    script = [Expect(b"STARTTLS"), *answer, StartTls(), *ECHO]
    async with opened(*script, pki=pki, starttls=True) as (pump, server):
        pump.write(b"STARTTLS\r\n")
        reply = (await pump.next())[0]
        if later:
            await asyncio.sleep(0.05)
        with pytest.raises(ProtocolError, match="behind its answer to STARTTLS"):
            await pump.start_tls(reply)
        pump.write(b"A1 LOGIN user secret\r\n")
        with pytest.raises(ProtocolError):
            await pump.next()
        await asyncio.sleep(0.02)
        assert server.transcript.to_server == b"STARTTLS\r\n"


# --------------------------------------------------------------------------- memory


async def test_reading_stops_while_events_are_not_taken(maybe: Pki | None) -> None:
    limits = Limits(connect_timeout=2, reply_timeout=5, in_flight=1 << 20)
    async with opened(Repeat(b"y" * 50_000 + b"\r\n"), pki=maybe, limits=limits) as (pump, server):
        server.transcript.keep = False
        await asyncio.sleep(0.3)
        sent = server.sessions[0].sent
        await asyncio.sleep(0.2)
        assert server.sessions[0].sent == sent  # the server waits for us
        assert sum(map(len, await pump.next())) < 2 << 20
        await events(pump, sent // 50_002)  # the kernel's buffers hold some megabytes
        assert server.sessions[0].sent > sent


async def test_a_flood_of_tiny_lines_does_not_become_a_flood_of_objects() -> None:
    async with opened(Repeat(b"*\r\n" * 20_000)) as (pump, server):
        server.transcript.keep = False
        await asyncio.sleep(0.1)
        gc.collect()
        tracemalloc.start()
        await asyncio.sleep(0.5)
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert grown < 16 << 20
        assert len(await pump.next()) < 200_000


async def test_a_full_inbox_does_not_block_its_own_writer() -> None:
    """Both sides full: drain() gives way, so that the one task can take its events."""
    limits = Limits(connect_timeout=2, reply_timeout=1, in_flight=1 << 16)
    async with opened(Repeat(b"y" * 50_000 + b"\r\n", times=200), *ECHO, limits=limits) as (
        pump,
        server,
    ):
        server.transcript.keep = False
        for _ in range(100):
            pump.write(b"z" * 100_000 + b"\r\n")
            await pump.drain()
        assert await events(pump, 200) == [b"y" * 50_000] * 200


# --------------------------------------------------------------------------- the record


async def test_the_transcript_shows_both_sides_without_the_secret(maybe: Pki | None) -> None:
    async with opened(Send(b"* OK ready\r\n"), *ECHO, pki=maybe) as (pump, _):
        await pump.next()
        pump.scrubber.add(Secret("opensesame"))
        pump.write(b"A1 LOGIN user opensesame\r\n")
        await pump.next()
        pump.write(b"AGFsaWNlAG9wZW5zZXNhbWU=\r\n", shown=b"(the answer to the challenge)\r\n")
        await pump.next()
        lines = [line for line in pump.transcript.lines() if not line.startswith("*")]
        assert lines[:4] == [
            "S: * OK ready",
            "C: A1 LOGIN user ****",
            "S: A1 LOGIN user ****!",
            "C: (the answer to the challenge)",
        ]
        assert "opensesame" not in "".join(lines)
