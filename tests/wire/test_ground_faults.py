"""The fault proxy and the scripted server do what they are told, in the clear and inside TLS."""

from __future__ import annotations

import asyncio
import ssl
import time
from imaplib import IMAP4

import pytest
from imapclient import IMAPClient

from tests.ground import Ground, Pki, User, messages
from tests.ground.faults import (
    Cut,
    Delay,
    Drop,
    Insert,
    Replace,
    Rule,
    Stall,
    Throttle,
    Truncate,
    UpgradeTls,
)
from tests.ground.proxy import FaultProxy
from tests.ground.scripted import (
    Answer,
    Close,
    Expect,
    Repeat,
    ScriptedServer,
    Send,
    Silence,
    StartTls,
    Take,
)
from tests.ground.wire import How, in_thread

__all__: list[str] = []

HOST = "127.0.0.1"
GREETING = b"* OK ready\r\n"
ECHO = [Send(GREETING), Answer({rb"(?P<tag>\S+) .*": b"{tag} OK done\r\n"})]


def drops(data: bytes) -> list[Repeat]:
    """Each byte in a packet of its own."""
    return [Repeat(b"%c" % byte, 1, 0.003) for byte in data]


async def dial(
    port: int, context: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A bare client."""
    name = "localhost" if context else None
    return await asyncio.open_connection(HOST, port, ssl=context, server_hostname=name)


async def hears(reader: asyncio.StreamReader, seconds: float = 2) -> bytes:
    """All until the server's end."""
    return await asyncio.wait_for(reader.read(), seconds)


async def silent(reader: asyncio.StreamReader, seconds: float = 0.15) -> bool:
    """Whether nothing comes."""
    try:
        await asyncio.wait_for(reader.read(1), seconds)
    except TimeoutError:
        return True
    return False


# -------------------------------------------------------------------------------------- proxy


async def test_without_rules_the_proxy_changes_nothing() -> None:
    async with ScriptedServer(ECHO) as server, FaultProxy(server.port) as proxy:
        reader, writer = await dial(proxy.port)
        assert await reader.readline() == GREETING
        writer.write(b"a1 NOOP\r\n")
        assert await reader.readline() == b"a1 OK done\r\n"
        writer.write_eof()
        assert await hears(reader) == b""
        writer.close()
        assert proxy.transcript.to_server == b"a1 NOOP\r\n"
        assert proxy.transcript.to_client == GREETING + b"a1 OK done\r\n"
        assert proxy.transcript.round_trips == 1
        assert str(proxy.transcript).splitlines()[1] == "1 C: a1 NOOP"


@pytest.mark.parametrize("how", ["rst", "fin"])
async def test_cut_after_a_number_of_bytes(how: How) -> None:
    rule = Rule("to_client", Cut(how), after=4)
    async with ScriptedServer(ECHO) as server, FaultProxy(server.port, rules=[rule]) as proxy:
        reader, writer = await dial(proxy.port)
        if how == "rst":
            with pytest.raises(ConnectionResetError):
                await hears(reader)
        else:
            assert await hears(reader) == GREETING[:4]
        writer.close()


async def test_cut_when_a_pattern_has_passed_in_any_split_of_the_bytes() -> None:
    slow = [*drops(b"ab-cut-here-cd"), Silence()]
    rule = Rule("to_client", Cut("fin"), after=b"cut-here")
    async with ScriptedServer(slow) as server, FaultProxy(server.port, rules=[rule]) as proxy:
        reader, writer = await dial(proxy.port)
        assert await hears(reader) == b"ab-cut-here"
        writer.close()


async def test_before_a_pattern_none_of_it_passes() -> None:
    slow = [*drops(b"one cut cut-here"), Silence()]
    rule = Rule("to_client", Cut("fin"), before=b"cut-here")
    async with ScriptedServer(slow) as server, FaultProxy(server.port, rules=[rule]) as proxy:
        reader, writer = await dial(proxy.port)
        assert await hears(reader) == b"one cut "
        writer.close()


async def test_a_beginning_that_is_not_the_pattern_goes_on() -> None:
    rule = Rule("to_client", Cut(), before=b"ready\r\n*")
    async with ScriptedServer(ECHO) as server, FaultProxy(server.port, rules=[rule]) as proxy:
        reader, writer = await dial(proxy.port)
        assert await asyncio.wait_for(reader.readline(), 1) == GREETING
        writer.close()


async def test_the_nth_occurrence_of_the_second_connection() -> None:
    rule = Rule("to_client", Cut("fin"), after=b"OK done\r\n", nth=2, connection=2)
    async with ScriptedServer(ECHO) as server, FaultProxy(server.port, rules=[rule]) as proxy:
        for expected in (3, 2):
            reader, writer = await dial(proxy.port)
            writer.write(b"a NOOP\r\n" * 3)
            writer.write_eof()
            assert (await hears(reader)).count(b"OK done") == expected
            writer.close()
        assert len(proxy.connections) == 2
        assert proxy.transcript.of(2).to_server == b"a NOOP\r\n" * 3


async def test_stall_for_a_while_and_for_good() -> None:
    rules = [
        Rule("to_client", Stall(0.2), after=3, connection=1),
        Rule("to_client", Stall(), after=3, connection=2),
    ]
    async with ScriptedServer(ECHO) as server, FaultProxy(server.port, rules=rules) as proxy:
        for lasting in (False, True):
            reader, writer = await dial(proxy.port)
            assert await reader.readexactly(3) == GREETING[:3]
            assert await silent(reader)
            if not lasting:
                assert await asyncio.wait_for(reader.readline(), 1) == GREETING[3:]
            writer.close()


async def test_latency_delays_each_round_trip_but_not_a_pipeline() -> None:
    async with ScriptedServer(ECHO) as server, FaultProxy(server.port, latency=0.1) as proxy:
        reader, writer = await dial(proxy.port)
        await reader.readline()
        began = time.monotonic()
        writer.write(b"a NOOP\r\n")
        await reader.readline()
        assert time.monotonic() - began >= 0.1
        began = time.monotonic()
        for _ in range(20):
            writer.write(b"a NOOP\r\n")
            await asyncio.sleep(0)
        for _ in range(20):
            await reader.readline()
        assert 0.1 <= time.monotonic() - began < 1
        writer.close()


async def test_delay_begins_where_the_rule_says() -> None:
    rule = Rule("to_server", Delay(0.2), after=b"a1 NOOP\r\n")
    async with ScriptedServer(ECHO) as server, FaultProxy(server.port, rules=[rule]) as proxy:
        reader, writer = await dial(proxy.port)
        await reader.readline()
        for tag, delayed in ((b"a1", False), (b"a2", True)):
            writer.write(tag + b" NOOP\r\n")
            assert await silent(reader, 0.15) is delayed
            await reader.readline()
        writer.close()


async def test_throttle() -> None:
    body = [Repeat(b"x" * 1000, 10), Silence()]
    rule = Rule("to_client", Throttle(20_000))
    async with ScriptedServer(body) as server, FaultProxy(server.port, rules=[rule]) as proxy:
        reader, writer = await dial(proxy.port)
        began = time.monotonic()
        await asyncio.wait_for(reader.readexactly(10_000), 3)
        assert time.monotonic() - began > 0.45
        writer.close()


async def test_drop_truncate_insert_replace() -> None:
    script = [Send(b"0123456789\r\n"), Expect(rb"more"), Send(b"after\r\n"), Close()]
    expected = {
        Rule("to_client", Drop(3), after=2): b"0156789\r\nafter\r\n",
        Rule("to_client", Drop(), after=b"9"): b"0123456789",
        Rule("to_client", Truncate(), after=5): b"01234",
        Rule(
            "to_client", Insert(b"* BYE\r\n"), after=b"9\r\n"
        ): b"0123456789\r\n* BYE\r\nafter\r\n",
        Rule("to_client", Replace(b"<5>"), before=b"5"): b"01234<5>6789\r\nafter\r\n",
        Rule("to_client", Insert(b"!"), after=b"\r\n", again=True): b"0123456789\r\n!after\r\n!",
    }
    for rule, heard in expected.items():
        async with ScriptedServer(script) as server, FaultProxy(server.port, rules=[rule]) as proxy:
            reader, writer = await dial(proxy.port)
            writer.write(b"more\r\n")
            assert await hears(reader) == heard
            writer.close()
            assert proxy.transcript.to_client.startswith(b"0123456789\r\n")


async def test_commands_at_any_time_and_an_outage() -> None:
    async with ScriptedServer(ECHO) as server, FaultProxy(server.port) as proxy:
        reader, writer = await dial(proxy.port)
        assert await reader.readline() == GREETING
        await proxy.do(Insert(b"* BYE\r\n"))
        assert await asyncio.wait_for(reader.readline(), 1) == b"* BYE\r\n"
        await proxy.do(Cut("fin"))
        assert await hears(reader) == b""
        writer.close()
        await proxy.down()
        with pytest.raises(ConnectionRefusedError):
            await dial(proxy.port)
        await proxy.up()
        reader, writer = await dial(proxy.port)
        assert await reader.readline() == GREETING
        writer.close()


async def test_a_server_that_is_not_there() -> None:
    async with ScriptedServer(ECHO) as server:
        port = server.port
    async with FaultProxy(port) as proxy:
        reader, writer = await dial(proxy.port)
        with pytest.raises(ConnectionResetError):
            await hears(reader)
        writer.close()
        assert isinstance(proxy.connections[0].error, ConnectionRefusedError)


def test_rules_that_cannot_be_meant_are_refused(pki: Pki) -> None:
    with pytest.raises(ValueError, match="both"):
        Rule("to_client", Cut(), after=b"a", before=b"b")
    with pytest.raises(ValueError, match="before"):
        Rule("to_client", Replace(b""), after=b"a")
    with pytest.raises(ValueError, match="starttls"):
        FaultProxy(1, rules=[Rule("to_client", UpgradeTls(), before=b"a")])


# ----------------------------------------------------------------------------- proxy and TLS


async def test_inside_tls_with_a_real_server(ground: Ground, fresh_user: User) -> None:
    pki = ground.pki
    ground.dovecot.fill(fresh_user, [messages.small(1)])
    rule = Rule("to_client", Cut("eof"), after=b"BODY[]")

    def collect(port: int) -> None:
        with IMAPClient(HOST, port, ssl_context=pki.client_context(), timeout=5) as client:
            client.login(fresh_user.address, fresh_user.password)
            client.select_folder("INBOX")
            client.fetch(client.search(), ["BODY.PEEK[]"])

    async with FaultProxy(
        ground.dovecot.imaps,
        rules=[rule],
        tls=pki.server_context(),
        upstream_tls=pki.client_context(),
    ) as proxy:
        with pytest.raises(IMAP4.abort):
            await asyncio.to_thread(collect, proxy.port)
    assert fresh_user.password.encode() in proxy.transcript.to_server
    assert b"BODY[]" in proxy.transcript.to_client


async def test_starttls_through_the_proxy(ground: Ground, fresh_user: User) -> None:
    pki = ground.pki
    rule = Rule("to_client", UpgradeTls(), before=b"OK Begin TLS")

    def sign_in(port: int) -> None:
        with IMAPClient(HOST, port, ssl=False, timeout=5) as client:
            context = pki.client_context()
            context.check_hostname = False
            client.starttls(context)
            client.login(fresh_user.address, fresh_user.password)

    async with FaultProxy(
        ground.dovecot.imap,
        rules=[rule],
        tls=pki.server_context(),
        upstream_tls=pki.client_context(),
        starttls=True,
    ) as proxy:
        await asyncio.to_thread(sign_in, proxy.port)
    assert b"STARTTLS" in proxy.transcript.to_server
    assert fresh_user.password.encode() in proxy.transcript.to_server


async def test_tls_passed_through_unread(ground: Ground, fresh_user: User) -> None:
    def sign_in(port: int) -> None:
        context = ground.pki.client_context()
        with IMAPClient(HOST, port, ssl_context=context, timeout=5) as client:
            client.login(fresh_user.address, fresh_user.password)

    async with FaultProxy(ground.dovecot.imaps) as proxy:
        await asyncio.to_thread(sign_in, proxy.port)
    assert fresh_user.password.encode() not in proxy.transcript.to_server


async def test_a_client_that_refuses_the_certificate_sends_nothing(pki: Pki) -> None:
    async with (
        ScriptedServer(ECHO) as server,
        FaultProxy(server.port, tls=pki.server_context("expired")) as proxy,
    ):
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            await dial(proxy.port, pki.client_context())
        await asyncio.sleep(0.05)
        assert proxy.transcript.to_server == b""
        assert proxy.connections[0].error is not None
        assert not server.sessions


def test_in_a_thread_for_clients_that_block(ground: Ground, fresh_user: User) -> None:
    with (
        in_thread(FaultProxy(ground.dovecot.imap, latency=0.02)) as proxy,
        IMAPClient(HOST, proxy.port, ssl=False, timeout=5) as client,
    ):
        client.login(fresh_user.address, fresh_user.password)
        assert proxy.transcript.round_trips >= 1


# ------------------------------------------------------------------------------------ scripted


async def test_injection_behind_the_go_ahead_of_starttls(pki: Pki) -> None:
    script = [
        Send(GREETING),
        Expect(rb"(?P<tag>\S+) STARTTLS"),
        Send(b"{tag} OK Begin TLS\r\n* CAPABILITY IMAP4rev1 INJECTED\r\n"),
        StartTls(),
        Expect(rb"a2 CAPABILITY"),
    ]
    async with ScriptedServer(script, tls=pki.server_context(), starttls=True) as server:
        reader, writer = await dial(server.port)
        await reader.readline()
        writer.write(b"a1 STARTTLS\r\n")
        assert await reader.readline() == b"a1 OK Begin TLS\r\n"
        assert b"INJECTED" in await reader.readline()
        await writer.start_tls(pki.client_context(), server_hostname="localhost")
        writer.write(b"a2 CAPABILITY\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        assert server.sessions[0].finished
    assert server.transcript.to_server == b"a1 STARTTLS\r\na2 CAPABILITY\r\n"


async def test_scripts_in_turn_and_literals_and_tls_from_the_first_byte(pki: Pki) -> None:
    first = [Send(b"* PREAUTH hello\r\n"), Close("rst")]
    later = [Send(b"+ go\r\n"), Take(5), Expect(rb"end"), Send(b"* OK\r\n"), Close("eof")]
    async with ScriptedServer(first, later, tls=pki.server_context()) as server:
        reader, writer = await dial(server.port, pki.client_context())
        with pytest.raises(ConnectionResetError):
            await hears(reader)
        writer.close()
        reader, writer = await dial(server.port, pki.client_context())
        writer.write(b"12\r\n5end\r\n")
        assert await hears(reader) == b"+ go\r\n* OK\r\n"
        writer.close()


async def test_an_endless_banner_ends_with_the_client() -> None:
    async with ScriptedServer([Repeat(b"* OK still here\r\n" * 100)], record=False) as server:
        reader, writer = await dial(server.port)
        await reader.readexactly(100_000)
        writer.close()
        await asyncio.sleep(0.05)
        sent = server.sessions[0].sent
        await asyncio.sleep(0.05)
        assert server.sessions[0].sent == sent


async def test_a_client_off_the_script_fails_the_test() -> None:
    server = await ScriptedServer([Send(GREETING), Expect(rb"a NOOP")]).__aenter__()
    reader, writer = await dial(server.port)
    writer.write(b"a LOGOUT\r\n")
    assert await hears(reader) == GREETING
    writer.close()
    with pytest.raises(AssertionError, match=r"connection 1, step 1: expected .*NOOP"):
        await server.__aexit__(None, None, None)
