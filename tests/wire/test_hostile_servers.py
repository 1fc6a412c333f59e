"""Each wire against what servers should not do, and what callers should not be able to say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from postroom.errors import InvalidValue, ProtocolError, WireError
from postroom.net.dial import Route
from postroom.net.tls import Tls
from postroom.protocols.base import Envelope, Limits, SignIn, Submission, WireTarget
from postroom.protocols.content import Held
from postroom.protocols.imap import open_store as open_imap
from postroom.protocols.pop3 import open_store as open_pop3
from postroom.protocols.smtp import open_transport
from postroom.secret import Secret
from tests.ground.scripted import (
    Answer,
    Close,
    Expect,
    Repeat,
    ScriptedServer,
    Send,
    Silence,
    Step,
)
from tests.memory import MIB, memory_growth

OPENERS: dict[str, Callable[..., Awaitable[Any]]] = {
    "imap": open_imap,
    "pop3": open_pop3,
    "smtp": open_transport,
}
USER = SignIn("password", "user", Secret("pass-word-1"))
QUICK = Limits(reply_timeout=0.5, connect_timeout=2)
IMAP = Send(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=XOAUTH2] x\r\n")
POP3 = [Send(b"+OK x\r\n"), Expect(b"CAPA"), Send(b"+OK\r\nSASL PLAIN XOAUTH2\r\nUSER\r\n.\r\n")]
SMTP = [Send(b"220 x\r\n"), Expect(rb"EHLO .*"), Send(b"250-x\r\n250 AUTH PLAIN XOAUTH2\r\n")]
READY: dict[str, list[Step]] = {"imap": [IMAP], "pop3": [*POP3], "smtp": [*SMTP]}
BREAKS = ["\r", "\n", "\0", "x\r\nX1 DELETE INBOX", "a@b.c\r\nRCPT TO:<e@v.il"]


def target(server: ScriptedServer) -> WireTarget:
    return WireTarget(Route("127.0.0.1", server.port), "none", Tls(), QUICK, True)


# ------------------------------------------------------------------- T66: commands put into values


@pytest.mark.parametrize("protocol", OPENERS)
@pytest.mark.parametrize("method", ["password", "token"])
@pytest.mark.parametrize("bad", BREAKS)
async def test_nothing_can_be_put_into_a_sign_in(protocol: str, method: Any, bad: str) -> None:
    """T66: user, password and token of XOAUTH2, for each wire."""
    for who in (SignIn(method, bad, Secret("x")), SignIn(method, "x", Secret(bad))):
        async with ScriptedServer([*READY[protocol], Silence()]) as server:
            with pytest.raises(InvalidValue):
                await OPENERS[protocol](target(server), who)
            heard = server.transcript.to_server.upper()
        assert not any(word in heard for word in (b"AUTH", b"LOGIN", b"USER", b"PASS", b"DELETE"))


@pytest.mark.parametrize("bad", BREAKS)
async def test_nothing_can_be_put_into_a_command_of_imap(bad: str) -> None:
    """T66: folder, search, keyword, header field; not a byte of it leaves."""
    script: list[Step] = [
        IMAP,
        Expect(rb"(?P<t>\w+) AUTHENTICATE PLAIN \S+"),
        Send(b"{t} OK [CAPABILITY IMAP4rev1 UIDPLUS] in\r\n"),
        Answer(
            {
                rb'(?P<t>\w+) SELECT "INBOX"': b"* 1 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n"
                b"* OK [UIDNEXT 2] x\r\n{t} OK [READ-WRITE] x\r\n",
                rb'(?P<t>\w+) LIST "" ""': b'* LIST () "/" ""\r\n{t} OK x\r\n',
            }
        ),
    ]
    async with ScriptedServer(script) as server:
        store = await open_imap(target(server), USER)
        await store.open("INBOX", read_only=False)
        verbs: list[Callable[[], Awaitable[object]]] = [
            lambda: store.open(bad),
            lambda: store.create(bad),
            lambda: store.search(bad),
            lambda: store.search(f'SUBJECT "{bad}"'),
            lambda: store.flag(["7-1"], add=[bad]),
            lambda: store.copy(["7-1"], bad),
            lambda: store.append(bad, b"x"),
            lambda: store.summaries(["7-1"], headers=[bad]),
        ]
        before = server.transcript.to_server
        for verb in verbs:
            with pytest.raises(InvalidValue):
                await verb()
        said = server.transcript.to_server[len(before) :]
        store.abandon()
    assert b"DELETE" not in said
    assert b"RCPT" not in said
    assert said.count(b"\r\n") == said.count(b" LIST ")


@pytest.mark.parametrize("bad", BREAKS)
async def test_nothing_can_be_put_into_an_envelope(bad: str) -> None:
    """T66: sender and recipients; the message is refused here and the connection goes on."""
    ready: list[Step] = [
        Send(b"220 x\r\n"),
        Expect(rb"EHLO .*"),
        Send(b"250 x\r\n"),
        Answer({rb"NOOP": b"250 x\r\n", rb"QUIT": b"221 x\r\n"}),
    ]
    address = bad if "@" in bad else f"{bad}@b.c"
    async with ScriptedServer(ready) as server:
        transport = await open_transport(target(server), SignIn())
        for envelope in (Envelope(address, ("a@b.c",)), Envelope("a@b.c", (address,))):
            submission = Submission("1", envelope, Held(b"Subject: x\r\n\r\nx\r\n"))
            (outcome,) = [one async for one in transport.submit([submission])]
            assert {one.reply.state for one in outcome.recipients} == {"rejected"}
        await transport.check()
        await transport.close()
        assert b"MAIL" not in server.transcript.to_server
        assert b"RCPT" not in server.transcript.to_server


# ------------------------------------------------------------------- T67: slow, silent, endless

ENDLESS: dict[str, list[Step]] = {
    "pop3 says nothing": [Silence()],
    "pop3 drips": [Repeat(b"+", pause=0.1)],
    "pop3 greets without end": [Repeat(b"+OK" + b"x" * 10_000)],
    "pop3 capabilities without end": [
        Send(b"+OK\r\n"), Expect(b"CAPA"), Send(b"+OK\r\n"), Repeat(b"UIDL\r\n" * 1000),
    ],
    "pop3 answers without end": [*POP3, Repeat(b"+OK\r\n" * 1000)],
    "smtp says nothing": [Silence()],
    "smtp drips": [Repeat(b"2", pause=0.1)],
    "smtp greets without end": [Repeat(b"220-x\r\n" * 1000)],
    "smtp greets in one line without end": [Repeat(b"220 " + b"x" * 10_000)],
    "smtp capabilities without end": [
        Send(b"220 x\r\n"), Expect(rb"EHLO .*"), Repeat(b"250-x\r\n" * 1000),
    ],
    "smtp drips its capabilities": [
        Send(b"220 x\r\n"), Expect(rb"EHLO .*"), Repeat(b"250-SIZE\r\n", pause=0.1),
    ],
    "imap says nothing": [Silence()],
    "imap drips": [Repeat(b"* ", pause=0.1)],
    "imap greets without end": [Repeat(b"* OK " + b"x" * 10_000)],
    "imap tells without end": [IMAP, Repeat(b"* 1 EXISTS\r\n" * 1000)],
}  # fmt: skip


@pytest.mark.parametrize("name", ENDLESS)
async def test_no_server_keeps_us_or_fills_our_memory(name: str) -> None:
    """T67: the time-out of a reply and the limits of lines and lists end it, for each wire."""
    began = time.monotonic()
    with memory_growth() as growth:
        async with ScriptedServer([*ENDLESS[name], Silence()], record=False) as server:
            with pytest.raises(WireError) as caught:
                await OPENERS[name.partition(" ")[0]](target(server), USER)
    assert caught.value.code in {"timed_out", "too_large", "protocol_error", "sign_in_failed"}
    assert time.monotonic() - began < 20
    assert growth() < 16 * MIB


# ------------------------------------------------------------------- T68: sizes and depths

BOMBS = {
    "a literal of 3 GB": b"* 1 FETCH (UID 1 BODY[] {3000000000}\r\n",
    "a literal of a negative size": b"* 1 FETCH (UID 1 BODY[] {-1}\r\n",
    "a literal of no size": b"* 1 FETCH (UID 1 BODY[] {}\r\n",
    "a literal of twenty digits": b"* 1 FETCH (UID 1 BODY[] {99999999999999999999}\r\n",
    "a folder's name of 3 GB": b'* LIST () "/" {3000000000}\r\n',
    "lists 100,000 deep": b"* 1 FETCH (UID 1 ENVELOPE " + b"(" * 100_000 + b"\r\n",
    "lists 1,000 deep": b"* 1 FETCH (UID 1 ENVELOPE " + b"(" * 1000 + b")" * 1000 + b")\r\n",
    "a list that does not end": b"* 1 FETCH (UID 1 FLAGS (\r\n",
    "a quote that does not end": b'* LIST () "/" "x\r\n',
    "a million lines": b"* 1 EXISTS\r\n" * 1_000_000,
    "a set of every uid there can be": b"* ESEARCH UID ALL 1:4294967295\r\n{t} OK x\r\n",
    "a uid of forty digits": b"* 1 FETCH (UID " + b"9" * 40 + b" FLAGS ())\r\n",
    "a count of forty digits": b"* " + b"9" * 40 + b" EXISTS\r\n",
    "NUL everywhere": b"\0" * 1000 + b"\r\n",
}


@pytest.mark.parametrize("name", BOMBS)
async def test_a_literal_bomb_is_an_error_of_the_protocol(name: str) -> None:
    """T68: a typed error, and no memory for what was only announced."""
    script: list[Step] = [
        IMAP,
        Expect(rb"(?P<t>\w+) AUTHENTICATE PLAIN \S+"),
        Send(b"{t} OK [CAPABILITY IMAP4rev1 ESEARCH] in\r\n"),
        Expect(rb'(?P<t>\w+) EXAMINE "INBOX"'),
        Send(b"* 1 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 9] x\r\n{t} OK x\r\n"),
        Expect(rb"(?P<t>\w+) UID SEARCH .*"),
        Send(BOMBS[name]),
        Close(),
    ]
    with memory_growth() as growth:
        async with ScriptedServer(script, record=False) as server:
            store = await open_imap(target(server), USER)
            await store.open("INBOX")
            with pytest.raises(WireError) as caught:
                await store.search("ALL")
            store.abandon()
    assert isinstance(caught.value, ProtocolError), caught.value
    assert growth() < 16 * MIB


async def test_a_list_of_pop3_is_bounded_too() -> None:
    """T68: UIDL and LIST of more than any mailbox holds, and a message without an end."""
    script: list[Step] = [
        Send(b"+OK x\r\n"),
        Answer(
            {
                b"CAPA": b"+OK\r\nUSER\r\n.\r\n",
                rb"USER .*|PASS .*": b"+OK\r\n",
                b"STAT": b"+OK 1 5\r\n",
            },
            until=rb"STAT",
        ),
        Expect(b"UIDL"),
        Send(b"+OK\r\n"),
        Repeat((b"1 " + b"x" * 70 + b"\r\n") * 1000),
    ]
    with memory_growth() as growth:
        async with ScriptedServer(script, record=False) as server:
            store = await open_pop3(target(server), USER)
            await store.open("INBOX")
            with pytest.raises(WireError):
                await asyncio.wait_for(anext(store.newer("")), 20)
            store.abandon()
    assert growth() < 16 * MIB
