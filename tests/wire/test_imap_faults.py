"""IMAP against servers and networks that do wrong: nothing is believed, lost or waited for."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from postroom.errors import ProtocolError, WireError
from postroom.protocols.base import Limits, SignIn
from postroom.protocols.imap import ImapStore, open_store
from postroom.secret import Secret
from tests.ground import Ground, User
from tests.ground.faults import Cut, Insert, Rule, Stall
from tests.ground.messages import small
from tests.ground.proxy import FaultProxy
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
from tests.wire.imap_ground import Spools, collect, listing, sign_in, target

USER = SignIn("password", "user", Secret("pass-word-1"))
QUICK = Limits(reply_timeout=0.5, connect_timeout=2)
GREETING = Send(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN STARTTLS UIDPLUS] ready\r\n")
SIGN_IN = [
    Expect(rb"(?P<tag>\w+) AUTHENTICATE PLAIN \S+"),
    Send(b"{tag} OK [CAPABILITY IMAP4rev1 UIDPLUS IDLE] in\r\n"),
]
EXAMINE = [
    Expect(rb'(?P<tag>\w+) EXAMINE "INBOX"'),
    Send(
        b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 14] x\r\n{tag} OK [READ-ONLY] x\r\n"
    ),
]


@pytest.fixture
def spools(tmp_path: Path) -> Spools:
    return Spools(tmp_path)


# ------------------------------------------------------------------- slow, silent, endless


@pytest.mark.parametrize(
    "script",
    [
        [Silence()],
        [Repeat(b"*", pause=0.1)],
        [Repeat(b"* OK " + b"x" * 10_000)],
        [GREETING, Silence()],
        [GREETING, Repeat(b"* OK x\r\n" * 500)],
        [GREETING, Repeat(b"* 1 EXISTS\r\n" * 500)],
        [GREETING, *SIGN_IN, Expect(rb".*"), Silence()],
        [GREETING, *SIGN_IN, Expect(rb".*"), Repeat(b"* 1 FETCH (BODY[] {100000}\r\n", pause=0.1)],
        [
            GREETING,
            *SIGN_IN,
            Expect(rb".*"),
            Send(b"* 1 FETCH (BODY[] {3000000000}\r\n"),
            Silence(),
        ],
        [GREETING, *SIGN_IN, Expect(rb".*"), Send(b"* LIST " + b"(" * 100_000), Silence()],
    ],
    ids=range(10),
)
async def test_no_server_takes_our_time_or_memory(script: list[Step]) -> None:
    """T67, T68: slow, silent, endless, and sizes that are only announced."""
    began = time.monotonic()
    with memory_growth() as growth:
        async with ScriptedServer(script, record=False) as server:
            where = target(None, server.port, host="127.0.0.1", limits=QUICK)
            with pytest.raises(WireError):
                await (await open_store(where, USER)).open("INBOX")
    assert time.monotonic() - began < 20
    assert growth() < 16 * MIB


# ------------------------------------------------------------------- answers in disorder (F12)


async def store_on(server: ScriptedServer) -> ImapStore:
    store = await open_store(target(None, server.port, host="127.0.0.1", limits=QUICK), USER)
    await store.open("INBOX")
    return store


def row(uid: int) -> bytes:
    return (
        b'* 1 FETCH (UID %d FLAGS () INTERNALDATE "24-Nov-2026 19:16:37 +0000" RFC822.SIZE 3)\r\n'
        % uid
    )


async def test_answers_of_several_commands_may_be_mixed(spools: Spools) -> None:
    """As Dovecot does: the data of several commands, then all tagged replies."""
    script: list[Step] = [
        GREETING,
        *SIGN_IN,
        *EXAMINE,
        Expect(rb"(?P<tag>\w+) UID SEARCH UID 1:\*"),
        Send(b"* SEARCH 11 12 13\r\n{tag} OK x\r\n"),
        Expect(rb"(?P<one>\w+) UID FETCH 11 .*"),
        Expect(rb"(?P<two>\w+) UID FETCH 12 .*"),
        Send(row(12) + row(11) + b"{one} OK x\r\n{two} OK x\r\n"),
        Expect(rb"(?P<three>\w+) UID FETCH 13 .*"),
        Expect(rb"(?P<body>\w+) UID FETCH 11 \(UID BODY.PEEK\[\]\)"),
        Send(b"* 1 FETCH (UID 11 BODY[] {3}\r\nabc)\r\n* 2 EXPUNGE\r\n" + row(13)),
        Send(b"* 1 FETCH (UID 99 FLAGS (\\Seen))\r\n{body} OK x\r\n{three} OK x\r\n"),
        Answer({rb"(?P<t>\w+) .*": b"{t} OK x\r\n"}),
    ]
    async with ScriptedServer(script) as server:
        store = await store_on(server)
        pages = []
        async for page in store.newer("", page=1):
            pages.append([summary.id for summary in page.summaries])
            if len(pages) == 2:
                assert await collect(store, ["7-11"], spools) == {"7-11": b"abc"}
        assert pages == [["7-11"], ["7-12"], ["7-13"]]
        await store.close()


async def test_duplicates_gaps_and_lies(spools: Spools) -> None:
    script: list[Step] = [
        GREETING,
        *SIGN_IN,
        *EXAMINE,
        Expect(rb"(?P<t>\w+) UID FETCH 11:13 .*"),
        Send(
            b"* 99 EXISTS\r\n* 3 FETCH (BODY[] {1}\r\nc UID 13)\r\n"
            b"* 3 FETCH (UID 13 BODY[] {1}\r\nX)\r\n"
            b"* 1 FETCH (FLAGS (\\Seen))\r\n* 9 FETCH (UID 50 BODY[] {1}\r\nY)\r\n"
            b"* 1 FETCH (UID 11 BODY[] NIL)\r\n{t} OK x\r\n"
        ),
        Expect(rb"(?P<t>\w+) UID FETCH 11:12 \(UID\)"),
        Send(b"* 9 FETCH (UID 50)\r\n{t} OK x\r\n"),
        Close(),
    ]
    async with ScriptedServer(script) as server:
        store = await store_on(server)
        found = await collect(store, ["7-11", "7-12", "7-13"], spools)
        assert found == {"7-13": b"c", "7-11": None, "7-12": None}
        store.abandon()


async def test_a_message_the_server_cannot_read_hides_no_other(spools: Spools) -> None:
    script: list[Step] = [
        GREETING,
        *SIGN_IN,
        *EXAMINE,
        Expect(rb"(?P<t>\w+) UID FETCH 11:13 .*"),
        Send(b"* 1 FETCH (UID 11 BODY[] {1}\r\na)\r\n{t} NO [SERVERBUG] disk\r\n"),
        Expect(rb"(?P<t>\w+) UID FETCH 12:13 \(UID\)"),
        Send(b"* 2 FETCH (UID 12)\r\n* 3 FETCH (UID 13)\r\n{t} OK x\r\n"),
        Expect(rb"(?P<a>\w+) UID FETCH 12 .*"),
        Expect(rb"(?P<b>\w+) UID FETCH 13 .*"),
        Send(b"{a} NO [SERVERBUG] disk\r\n* 3 FETCH (UID 13 BODY[] {1}\r\nc)\r\n{b} OK x\r\n"),
        Expect(rb"(?P<t>\w+) UID FETCH 12 \(UID\)"),
        Send(b"* 2 FETCH (UID 12)\r\n{t} OK x\r\n"),
        Silence(),
    ]
    async with ScriptedServer(script) as server:
        store = await store_on(server)
        with pytest.raises(WireError) as caught:
            await collect(store, ["7-11", "7-12", "7-13"], spools)
        assert caught.value.temporary
        assert caught.value.facts["ids"] == ["7-12"]
        store.abandon()


@pytest.mark.parametrize("answer", [b"", b"* 2 FETCH (UID 12 BODY[] NIL)\r\n"])
async def test_an_ok_without_the_message_does_not_mean_that_it_is_gone(
    spools: Spools, answer: bytes
) -> None:
    """It is asked for once more, alone; one that is gone is told so, and one that comes is given."""
    script: list[Step] = [
        GREETING,
        *SIGN_IN,
        *EXAMINE,
        Expect(rb"(?P<t>\w+) UID FETCH 11:13 .*"),
        Send(b"* 1 FETCH (UID 11 BODY[] {1}\r\na)\r\n" + answer + b"{t} OK x\r\n"),
        Expect(rb"(?P<t>\w+) UID FETCH 12:13 \(UID\)"),
        Send(b"* 2 FETCH (UID 12)\r\n{t} OK x\r\n"),
        Expect(rb"(?P<t>\w+) UID FETCH 12 .*"),
        Send(b"* 2 FETCH (UID 12 BODY[] {1}\r\nb)\r\n{t} OK x\r\n"),
        Silence(),
    ]
    async with ScriptedServer(script) as server:
        store = await store_on(server)
        found = await collect(store, ["7-11", "7-12", "7-13"], spools)
        assert found == {"7-11": b"a", "7-12": b"b", "7-13": None}
        store.abandon()


async def test_a_message_that_is_there_and_never_comes_is_an_error(spools: Spools) -> None:
    """A server that says OK each time and gives nothing: the message waits, it has not vanished."""
    there = [
        Expect(rb"(?P<t>\w+) UID FETCH 12 \(UID\)"),
        Send(b"* 2 FETCH (UID 12)\r\n{t} OK x\r\n"),
    ]
    nothing = [Expect(rb"(?P<t>\w+) UID FETCH 12 .*"), Send(b"{t} OK x\r\n")]
    script: list[Step] = [
        GREETING, *SIGN_IN, *EXAMINE, *nothing, *there, *nothing, *there, Silence()
    ]  # fmt: skip
    async with ScriptedServer(script) as server:
        store = await store_on(server)
        with pytest.raises(WireError, match="does not give") as caught:
            await collect(store, ["7-12"], spools)
        assert (caught.value.temporary, caught.value.facts["ids"]) == (True, ["7-12"])
        store.abandon()


async def test_a_search_that_finds_too_much() -> None:
    script: list[Step] = [
        GREETING,
        *SIGN_IN,
        *EXAMINE,
        Expect(rb"(?P<t>\w+) UID SEARCH ALL"),
        Send(b'* ESEARCH (TAG "x") UID ALL 1:4294967295\r\n{t} OK x\r\n'),
        Silence(),
    ]
    async with ScriptedServer(script) as server:
        store = await store_on(server)
        with pytest.raises(ProtocolError, match="more messages than there are"):
            await store.search("ALL")
        store.abandon()


# ------------------------------------------------------------------- the network between


@pytest.mark.parametrize("how", ["rst", "fin"])
async def test_a_cut_loses_nothing_and_doubles_nothing(
    ground: Ground, fresh_user: User, spools: Spools, how: str
) -> None:
    messages = [small(n) for n in range(40)]
    ground.dovecot.fill(fresh_user, messages)
    total = sum(map(len, messages))
    found: dict[str, bytes | None] = {}
    ends: list[tuple[str, bool]] = []
    for place in [*range(500, total, total // 8), 10**9]:
        rule = Rule("to_client", Cut(how), after=place, connection=1)  # type: ignore[arg-type]
        async with FaultProxy(ground.dovecot.imap, rules=[rule]) as proxy:
            part: dict[str, bytes | None] = {}
            try:
                store = await open_store(target(ground, proxy.port), sign_in(fresh_user))
                await store.open("INBOX")
                async for page in store.newer("", page=10):
                    ids = [summary.id for summary in page.summaries]
                    async for batch in store.fetch(ids, spools):
                        part |= {f.id: f.content.bytes() if f.content else None for f in batch}
            except WireError as error:
                ends.append((error.code, error.temporary))
        assert None not in part.values()
        found |= part
    assert set(ends) == {("connection_lost", True)}
    assert len(ends) >= 7
    assert sorted(body for body in found.values() if body) == sorted(messages)


async def test_a_stall_ends_by_the_time_out(ground: Ground, fresh_user: User) -> None:
    ground.dovecot.fill(fresh_user, [small(1)])
    rule = Rule("to_client", Stall(), before=b" FETCH (")
    async with FaultProxy(ground.dovecot.imap, rules=[rule]) as proxy:
        store = await open_store(target(ground, proxy.port, limits=QUICK), sign_in(fresh_user))
        await store.open("INBOX")
        with pytest.raises(WireError) as caught:
            await listing(store)
        assert caught.value.code == "timed_out"
        with pytest.raises(WireError):
            await store.check()


async def test_a_cut_ends_the_waiting(ground: Ground, fresh_user: User) -> None:
    async with FaultProxy(ground.dovecot.imap) as proxy:
        store = await open_store(target(ground, proxy.port), sign_in(fresh_user))
        await store.open("INBOX")
        waiting = asyncio.create_task(store.wait(30))
        await asyncio.sleep(0.2)
        await proxy.do(Cut("rst"))
        with pytest.raises(WireError) as caught:
            await waiting
        assert caught.value.code == "connection_lost"


async def test_a_silent_death_is_found_at_renewal(ground: Ground, fresh_user: User) -> None:
    limits = Limits(idle_renewal=0.3, reply_timeout=0.5)
    async with FaultProxy(ground.dovecot.imap) as proxy:
        store = await open_store(target(ground, proxy.port, limits=limits), sign_in(fresh_user))
        await store.open("INBOX")
        waiting = asyncio.create_task(store.wait(30))
        await asyncio.sleep(0.1)
        await proxy.do(Stall())
        with pytest.raises(WireError) as caught:
            await asyncio.wait_for(waiting, 5)
        assert caught.value.code == "timed_out"


async def test_bytes_put_in_between_end_the_connection(ground: Ground, fresh_user: User) -> None:
    rule = Rule("to_client", Insert(b"A1 OK done\r\n"), after=b"ready.\r\n")
    async with FaultProxy(ground.dovecot.imap, rules=[rule]) as proxy:
        with pytest.raises(ProtocolError):
            await open_store(target(ground, proxy.port), sign_in(fresh_user))


async def test_round_trips_to_the_first_body(
    ground: Ground, fresh_user: User, spools: Spools
) -> None:
    """At 20 ms each round trip counts: at most eight until a message is here, dialling included."""
    ground.dovecot.fill(fresh_user, [small(n) for n in range(5)])
    async with FaultProxy(ground.dovecot.imap) as proxy:
        store = await open_store(target(ground, proxy.port), sign_in(fresh_user))
        await store.open("INBOX")
        assert len(await collect(store, await listing(store), spools)) == 5
        assert proxy.transcript.round_trips <= 5
        store.abandon()
