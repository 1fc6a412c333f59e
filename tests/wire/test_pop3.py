"""Collecting by POP3 from real Dovecot, odd servers over a script, faults by the proxy."""

from __future__ import annotations

import asyncio
import contextlib
import io
import poplib
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest

from postroom.errors import (
    FolderError,
    InvalidValue,
    ProtocolError,
    SignInError,
    TlsError,
    WireError,
)
from postroom.net.dial import Step
from postroom.protocols.base import Security, SignIn
from postroom.protocols.content import Held
from postroom.protocols.pop3 import Pop3Store, open_store
from postroom.secret import Secret
from tests.ground import Ground, Pki, User, messages
from tests.ground.faults import Cut, Insert, Replace, Rule
from tests.ground.maildir import read
from tests.ground.proxy import FaultProxy
from tests.ground.scripted import (
    Answer,
    Expect,
    Repeat,
    ScriptedServer,
    Send,
    Silence,
    StartTls,
)
from tests.memory import memory_growth
from tests.wire.outgoing import password, target

__all__: list[str] = []

PORTS: list[tuple[str, Security]] = [("pop3", "starttls"), ("pop3s", "tls"), ("pop3", "none")]


class Spooled:
    """A spool in memory that counts."""

    made: ClassVar[list[Spooled]] = []

    def __init__(self, size: int) -> None:
        self.size, self.pieces, self.largest, self.discarded = size, io.BytesIO(), 0, False
        Spooled.made.append(self)

    def write(self, data: bytes | memoryview, /) -> None:
        self.pieces.write(data)
        self.largest = max(self.largest, len(data))

    def finish(self) -> Held:
        return Held(self.pieces.getvalue())

    def discard(self) -> None:
        self.discarded = True


class Counted(Spooled):
    """A spool that throws away."""

    def write(self, data: bytes | memoryview, /) -> None:
        self.pieces.seek(0)
        super().write(data)


@contextlib.asynccontextmanager
async def opened(
    ground: Ground, user: User, port: int = 0, *, read_only: bool = False
) -> AsyncIterator[Pop3Store]:
    there = target(port or ground.dovecot.pop3, "none", cleartext=True)
    store = await open_store(there, password(user))
    try:
        await store.open("INBOX", read_only=read_only)
        yield store
    finally:
        store.abandon()


async def listed(store: Pop3Store, **more: Any) -> list[str]:
    return [s.id async for page in store.newer("", **more) for s in page.summaries]


async def fetched(
    store: Pop3Store, ids: list[str], spool: Any = Spooled
) -> dict[str, bytes | None]:
    return {
        f.id: f.content.bytes() if f.content else None
        async for batch in store.fetch(ids, spool)
        for f in batch
    }


def expected(user: User) -> list[bytes]:
    """What lies there, with CRLF."""
    return [m.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for m in read(user.maildir)]


# ------------------------------------------------------------------------------- opening


@pytest.mark.parametrize(("port", "security"), PORTS)
async def test_every_security_collects_and_tells_its_steps(
    ground: Ground, fresh_user: User, port: str, security: Security
):
    ground.dovecot.fill(fresh_user, messages.mixed(20))
    steps: list[Step] = []
    there = target(getattr(ground.dovecot, port), security, ground.pki, cleartext=True)
    store = await open_store(there, password(fresh_user), on_step=steps.append)
    state = await store.open("inbox")
    assert (state.name, state.uidvalidity, state.exists) == ("INBOX", 0, 20)
    assert state.next_cursor == f"20 {sum(len(one) for one in messages.mixed(20))}"
    got = await fetched(store, await listed(store))
    await store.close()
    assert sorted(filter(None, got.values())) == sorted(expected(fresh_user))
    names = [step.name for step in steps]
    assert names[0] == "resolve"
    assert names[-1] == "sign-in"
    assert ("tls" in names) == (security != "none")
    shown = "\n".join(store.pump.transcript.lines())
    assert fresh_user.password not in shown
    assert "AUTH PLAIN ****" in shown


async def test_any_password_works_by_sasl_and_by_pass(ground: Ground):
    weird = ground.dovecot.users.weird
    hide = [Rule("to_client", Replace(b"XASL"), before=b"SASL", again=True)]
    for rules in ([], hide):
        async with FaultProxy(ground.dovecot.pop3, rules=rules) as proxy:
            async with opened(ground, weird, proxy.port) as store:
                await store.check()
            assert (b"\nPASS " in proxy.transcript.to_server) == bool(rules)
            assert weird.password not in "\n".join(store.pump.transcript.lines())


@pytest.mark.parametrize("hidden", [False, True])
async def test_a_wrong_password_is_refused(ground: Ground, fresh_user: User, hidden: bool):
    rules = [Rule("to_client", Replace(b"XASL"), before=b"SASL", again=True)] if hidden else []
    async with FaultProxy(ground.dovecot.pop3, rules=rules) as proxy:
        there = target(proxy.port, "none", cleartext=True)
        with pytest.raises(SignInError) as caught:
            await open_store(there, SignIn("password", fresh_user.address, Secret("wr0ng-pa55")))
    error = caught.value
    assert (error.code, error.step, error.temporary) == ("sign_in_failed", "sign-in", False)
    assert "wr0ng-pa55" not in repr(error.as_json())


@pytest.mark.parametrize("variant", ["wronghost", "expired", "selfsigned"])
@pytest.mark.parametrize(("port", "security"), PORTS[:2])
async def test_no_sign_in_behind_a_bad_certificate(
    ground: Ground, fresh_user: User, variant: str, port: str, security: Security
):
    """T60: wrong host, expired, self-signed."""
    instance = getattr(ground.dovecot, variant)
    with pytest.raises(TlsError) as caught:
        await open_store(
            target(getattr(instance, port), security, ground.pki), password(fresh_user)
        )
    assert caught.value.code.startswith("certificate_")


async def test_no_sign_in_without_tls_unless_it_was_permitted():
    async with ScriptedServer([Silence()]) as server:
        with pytest.raises(SignInError) as caught:
            await open_store(target(server.port, "none"), SignIn("password", "u", Secret("p")))
        assert caught.value.code == "cleartext_sign_in"
        assert not server.sessions


@pytest.mark.parametrize(("user", "secret"), [("a\r\nDELE 1", "p"), ("a", "p\nq"), ("a\0", "p")])
async def test_line_breaks_are_refused_before_dialling(user: str, secret: str):
    async with ScriptedServer([Silence()]) as server:
        with pytest.raises(InvalidValue):
            await open_store(
                target(server.port, "none", cleartext=True),
                SignIn("password", user, Secret(secret)),
            )
        assert not server.sessions


@pytest.mark.parametrize(
    "rules",
    [
        [Rule("to_client", Replace(b"XTLS"), before=b"STLS")],
        [Rule("to_client", Replace(b"-ERR no\r\n"), before=b"+OK Begin TLS negotiation now.\r\n")],
        [Rule("to_client", Insert(b"+OK more\r\n"), after=b"negotiation now.\r\n")],
        [Rule("to_client", Insert(b"+O"), after=b"negotiation now.\r\n")],
        [Rule("to_client", Cut(), before=b"+OK Begin TLS")],
    ],
    ids=["stripped", "refused", "whole line behind", "half a line behind", "cut"],
)
async def test_whoever_meddles_with_starttls_gets_no_sign_in(
    ground: Ground, fresh_user: User, rules: list[Rule]
):
    """T62, T63: on the real server's words."""
    async with FaultProxy(ground.dovecot.pop3, rules=rules) as proxy:
        with pytest.raises(WireError) as caught:
            await open_store(
                target(proxy.port, "starttls", ground.pki, reply_timeout=2), password(fresh_user)
            )
        assert caught.value.code in ("tls_unavailable", "connection_lost", "protocol_error")
        for word in (b"AUTH", b"USER", b"PASS"):
            assert word not in proxy.transcript.to_server


@pytest.mark.parametrize(
    ("script", "code", "step", "temporary"),
    [
        ([Send(b"-ERR [SYS/TEMP] busy\r\n")], "deferred", "greeting", True),
        ([Send(b"* OK IMAP4rev1\r\n"), Silence()], "protocol_error", "greeting", False),
        ([Silence()], "timed_out", "greeting", True),
        ([Repeat(b"+", pause=0.05)], "timed_out", "greeting", True),
        (
            [Send(b"+OK\r\n"), Expect(b"CAPA"), Send(b"+OK\r\n" + b"X\r\n" * 4_000_000), Silence()],
            "too_large", "capabilities", False,
        ),
    ],
)  # fmt: skip
async def test_servers_that_do_not_let_us_in(script, code, step, temporary):
    async with ScriptedServer(script, record=False) as server:
        there = target(server.port, "none", cleartext=True, reply_timeout=0.5)
        with pytest.raises(WireError) as caught:
            await open_store(there, SignIn("password", "u", Secret("p")))
        error = caught.value
        assert (error.code, error.step, error.temporary) == (code, step, temporary)


@pytest.mark.parametrize(
    ("said", "temporary"),
    [
        (b"[AUTH] no", False),
        (b"no", False),
        (b"[IN-USE] locked", True),
        (b"[LOGIN-DELAY] wait", True),
        (b"[SYS/TEMP] busy", True),
        (b"[SYS/PERM] never", False),
    ],
)
async def test_a_refused_sign_in_says_whether_to_try_again(said: bytes, temporary: bool):
    async with ScriptedServer(script(PASS=b"-ERR " + said + b"\r\n")) as server:
        with pytest.raises(SignInError) as caught:
            await scripted(server)
        assert caught.value.temporary is temporary


# ------------------------------------------------------------------------------- collecting


async def test_ids_stay_the_same_and_headers_come_along(ground: Ground, fresh_user: User):
    ground.dovecot.fill(fresh_user, [messages.small(n) for n in range(7)])
    async with opened(ground, fresh_user) as store:
        pages = [page async for page in store.newer("", headers=["Subject", "x-no"], page=3)]
        assert [len(page.summaries) for page in pages] == [3, 3, 1]
        first = [s for page in pages for s in page.summaries]
        blocks = await store.read_headers([s.id for s in first])
    assert all(s.headers.startswith(b"Subject: ") and s.size > 2000 for s in first)
    assert sorted(blocks.values()) == sorted(
        m[: m.index(b"\r\n\r\n") + 4] for m in expected(fresh_user)
    )
    async with opened(ground, fresh_user) as store:
        assert await listed(store) == [s.id for s in first]
        assert [s.id for s in await store.summaries([first[4].id, "gone", first[1].id])] == [
            first[4].id,
            first[1].id,
        ]


async def test_it_reads_the_bytes_poplib_reads(ground: Ground, fresh_user: User):
    tricky = [b"Subject: d\r\n\r\n.\r\n..\r\n.x\r\n\r\n", b"Subject: e\r\n\r\n", *messages.mixed(8)]
    ground.dovecot.fill(fresh_user, tricky)

    def oracle() -> list[bytes]:
        client = poplib.POP3("127.0.0.1", ground.dovecot.pop3)
        client.user(fresh_user.address)
        client.pass_(fresh_user.password)
        count, _ = client.stat()
        try:
            return [b"\r\n".join(client.retr(n + 1)[1]) + b"\r\n" for n in range(count)]
        finally:
            client.quit()

    async with opened(ground, fresh_user) as store:
        got = list((await fetched(store, await listed(store))).values())
    assert got == await asyncio.to_thread(oracle)


async def test_messages_come_in_the_order_asked_and_those_gone_as_none(
    ground: Ground, fresh_user: User
):
    ground.dovecot.fill(fresh_user, [messages.small(n) for n in range(30)])
    async with opened(ground, fresh_user) as store:
        ids = (await listed(store))[::-1]
        asked = [*ids[:10], "no-such-id", *ids[10:]]
        got = await fetched(store, asked)
        assert list(got) == asked
        assert [key for key, content in got.items() if content is None] == ["no-such-id"]


async def test_a_session_goes_on_after_a_fetch_that_was_left_early(
    ground: Ground, fresh_user: User
):
    ground.dovecot.fill(fresh_user, [messages.small(n) for n in range(300)])
    async with opened(ground, fresh_user) as store:
        ids = await listed(store)
        async with contextlib.aclosing(store.fetch(ids, Spooled)) as run:
            async for batch in run:
                assert batch
                break
        got = await fetched(store, ids[-3:])
        assert all(got.values())
        assert list(got) == ids[-3:]


async def test_sixty_megabytes_stream_through_little_memory(ground: Ground, fresh_user: User):
    big = messages.large(60_000_000).raw
    ground.dovecot.fill(fresh_user, [messages.small(1), big, messages.small(2)])
    size = len(big)
    del big
    Spooled.made.clear()
    async with opened(ground, fresh_user) as store:
        ids = await listed(store)
        with memory_growth() as growth:
            async for _ in store.fetch(ids, Counted):
                pass
    (spool,) = Spooled.made
    assert abs(spool.size - size) < size // 50
    assert spool.largest <= 64 * 1024
    assert growth() < 8 * 1024 * 1024


async def test_reading_is_pipelined(ground: Ground, fresh_user: User):
    ground.dovecot.fill(fresh_user, [messages.small(n) for n in range(200)])
    async with (
        FaultProxy(ground.dovecot.pop3, latency=0.02) as proxy,
        opened(ground, fresh_user, proxy.port) as store,
    ):
        ids = await listed(store)
        before = proxy.transcript.round_trips
        assert len(await fetched(store, ids)) == 200
        assert proxy.transcript.round_trips - before <= 3


async def test_without_pipelining_it_waits_for_each_answer():
    retr = b"+OK\r\nSubject: x\r\n\r\n.\r\n"
    async with ScriptedServer(script(UIDL=TWO, LIST=TWO, RETR=retr)) as server:
        store = await scripted(server)
        got = await fetched(store, await listed(store))
        assert got == dict.fromkeys(("a", "b"), b"Subject: x\r\n\r\n")
        await store.close()
        sent = [e.data for e in server.transcript.events if e.direction == "to_server"]
        assert b"RETR 1\r\n" in sent
        assert b"RETR 2\r\n" in sent


# ------------------------------------------------------------------------------- deleting


async def test_only_closing_deletes(ground: Ground, fresh_user: User):
    ground.dovecot.fill(fresh_user, [messages.small(n) for n in range(5)])
    async with opened(ground, fresh_user) as store:
        ids = await listed(store)
        assert await store.delete(ids[:2])
        assert await listed(store) == ids[2:]
        store.abandon()
    async with opened(ground, fresh_user) as store:
        assert await listed(store) == ids
        assert await store.delete([ids[0], ids[3], "gone"])
        await store.close()
    async with opened(ground, fresh_user) as store:
        assert await listed(store) == [ids[1], ids[2], ids[4]]


async def test_a_cut_before_quit_is_confirmed_is_told(ground: Ground, fresh_user: User):
    ground.dovecot.fill(fresh_user, [messages.small(n) for n in range(3)])
    rules = [Rule("to_server", Cut(), before=b"QUIT")]
    async with (
        FaultProxy(ground.dovecot.pop3, rules=rules) as proxy,
        opened(ground, fresh_user, proxy.port) as store,
    ):
        ids = await listed(store)
        await store.delete(ids)
        with pytest.raises(WireError) as caught:
            await store.close()
        assert (caught.value.step, caught.value.temporary) == ("close", True)
    async with opened(ground, fresh_user) as store:
        assert await listed(store) == ids


async def test_read_only_deletes_nothing(ground: Ground, fresh_user: User):
    ground.dovecot.fill(fresh_user, [messages.small(1)])
    async with opened(ground, fresh_user, read_only=True) as store:
        with pytest.raises(FolderError) as caught:
            await store.delete(await listed(store))
        assert caught.value.code == "read_only"


async def test_another_folder_is_missing(ground: Ground, fresh_user: User):
    async with opened(ground, fresh_user) as store:
        with pytest.raises(FolderError) as caught:
            await store.open("Done")
        assert caught.value.code == "folder_missing"


@pytest.mark.parametrize(
    "rule",
    [
        Rule("to_client", Cut(), after=30_000),
        Rule("to_client", Cut("fin"), after=30_000),
    ],
)
async def test_a_cut_in_the_middle_gives_what_came_and_then_the_error(
    ground: Ground, fresh_user: User, rule: Rule
):
    ground.dovecot.fill(fresh_user, [messages.small(n) for n in range(50)])
    got = []

    async def read_on(store: Pop3Store, ids: list[str]) -> None:
        async for batch in store.fetch(ids, Spooled):
            got.extend(batch)

    async with (
        FaultProxy(ground.dovecot.pop3, rules=[rule]) as proxy,
        opened(ground, fresh_user, proxy.port) as store,
    ):
        ids = await listed(store)
        with pytest.raises(WireError) as caught:
            await read_on(store, ids)
    assert caught.value.code == "connection_lost"
    assert caught.value.temporary
    whole = expected(fresh_user)
    assert 5 < len(got) < 50
    assert all(f.content is not None and f.content.bytes() in whole for f in got)


# ------------------------------------------------------------------------------- odd servers

TWO = b"+OK\r\n1 a\r\n2 b\r\n.\r\n"


def script(**replies: bytes) -> list:
    """A server without CAPA."""
    table = {"USER": b"+OK\r\n", "PASS": b"+OK\r\n", "STAT": b"+OK 2 100\r\n"} | replies
    answers = {rb"%s( .*)?" % word.encode(): reply for word, reply in table.items()}
    return [Send(b"+OK\r\n"), Answer({**answers, rb"QUIT": b"+OK\r\n", rb".*": b"-ERR what?\r\n"})]


async def scripted(server: ScriptedServer) -> Pop3Store:
    there = target(server.port, "none", cleartext=True, reply_timeout=2)
    store = await open_store(there, SignIn("password", "u", Secret("p")))
    await store.open("INBOX", read_only=False)
    return store


@pytest.mark.parametrize("reply", [b"+OK\r\n", b"-ERR not now\r\n"])
async def test_utf8_is_asked_for_where_it_is_offered_and_only_after_tls(pki: Pki, reply: bytes):
    answers = dict(script(UTF8=reply)[1].table)
    after = Answer({rb"CAPA": b"+OK\r\nUTF8\r\n.\r\n"} | answers)
    steps = [
        Send(b"+OK\r\n"), Expect(b"CAPA"), Send(b"+OK\r\nSTLS\r\nUTF8\r\n.\r\n"), Expect(b"STLS"),
        Send(b"+OK\r\n"), StartTls(), after,
    ]  # fmt: skip
    async with ScriptedServer(steps, tls=pki.server_context(), starttls=True) as server:
        there = target(server.port, "starttls", pki, reply_timeout=2)
        store = await open_store(there, SignIn("password", "u", Secret("p")))
        await store.open("INBOX")
        await store.close()
    words = [line.split()[0] for line in server.transcript.to_server.split(b"\r\n") if line]
    assert words == [
        b"CAPA",
        b"STLS",
        b"CAPA",
        b"UTF8",
        b"USER",
        b"PASS",
        b"CAPA",
        b"STAT",
        b"QUIT",
    ]


async def test_a_server_without_uidl_is_not_collected_from():
    async with ScriptedServer(script(LIST=TWO)) as server:
        store = await scripted(server)
        with pytest.raises(FolderError) as caught:
            await listed(store)
        assert caught.value.code == "not_supported"
        assert "UIDL" in caught.value.sentence
        await store.close()


async def test_a_server_that_gives_an_id_twice_is_not_collected_from():
    async with ScriptedServer(script(LIST=TWO, UIDL=b"+OK\r\n1 a\r\n2 a\r\n.\r\n")) as server:
        store = await scripted(server)
        with pytest.raises(FolderError, match="same unique id"):
            await listed(store)
        await store.close()


async def test_a_message_that_is_refused_but_still_listed_does_not_count_as_gone():
    there = script(UIDL=TWO, RETR=b"-ERR [SYS/TEMP] disk\r\n")[1].table
    answers = {rb"LIST": TWO, rb"LIST .*": b"+OK 1 50\r\n"} | there
    async with ScriptedServer([Send(b"+OK\r\n"), Answer(answers)]) as server:
        store = await scripted(server)
        with pytest.raises(FolderError) as caught:
            await fetched(store, await listed(store))
        assert caught.value.temporary
        store.abandon()


async def test_a_message_that_is_no_longer_listed_is_gone():
    answers = dict(script(UIDL=TWO, RETR=b"-ERR no such message\r\n")[1].table)
    async with ScriptedServer([Send(b"+OK\r\n"), Answer({rb"LIST": TWO} | answers)]) as server:
        store = await scripted(server)
        assert await fetched(store, await listed(store)) == {"a": None, "b": None}
        await store.close()


async def test_an_answer_nobody_asked_for_ends_the_connection():
    twice = b"+OK 2 100\r\n+OK 2 100\r\n"
    async with ScriptedServer(script(STAT=twice)) as server:
        there = target(server.port, "none", cleartext=True, reply_timeout=2)
        store = await open_store(there, SignIn("password", "u", Secret("p")))
        with pytest.raises(ProtocolError):
            await store.open("INBOX")
