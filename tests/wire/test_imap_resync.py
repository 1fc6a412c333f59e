"""QRESYNC and CONDSTORE (RFC 7162) against servers that have lost count, or say what is not so."""

from __future__ import annotations

import pytest

from postroom.errors import InvalidValue
from postroom.protocols.base import Changes, FolderState, Limits, SignIn, Since
from postroom.protocols.imap import open_store
from postroom.secret import Secret
from tests.ground import Ground, User
from tests.ground.messages import small
from tests.ground.proxy import FaultProxy
from tests.ground.scripted import Answer, Expect, ScriptedServer, Send, Step
from tests.wire.imap_ground import listing, opened, sign_in, target

USER = SignIn("password", "user", Secret("pass-word-1"))
QUICK = Limits(reply_timeout=2, connect_timeout=2)
ALL = b"IMAP4rev1 ENABLE CONDSTORE QRESYNC IDLE ESEARCH"
SINCE = {"INBOX": Since(7, "20/100")}


def begun(capabilities: bytes = ALL, enabled: bytes = b"CONDSTORE QRESYNC") -> list[Step]:
    """Greeting, sign-in and ENABLE, if there is something to enable."""
    asked: list[Step] = [
        Expect(rb"(?P<enable>\w+) ENABLE .*"),
        Send(b"* ENABLED " + enabled + b"\r\n{enable} OK x\r\n"),
    ]
    return [
        Send(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n"),
        Expect(rb"(?P<tag>\w+) AUTHENTICATE PLAIN \S+"),
        Send(b"{tag} OK [CAPABILITY " + capabilities + b"] in\r\n"),
        *(asked if b"ENABLE" in capabilities else []),
    ]


def folder(modseq: bytes, more: bytes = b"", validity: int = 7) -> bytes:
    """An answer to EXAMINE."""
    return (
        b"* 3 EXISTS\r\n* OK [UIDVALIDITY %d] x\r\n* OK [UIDNEXT 21] x\r\n* OK [%s] x\r\n"
        % (validity, modseq)
        + more
        + b"{tag} OK [READ-ONLY] x\r\n"
    )


async def examined(server: ScriptedServer, since: dict[str, Since] | None = None) -> FolderState:
    store = await open_store(target(None, server.port, host="127.0.0.1", limits=QUICK), USER)
    try:
        return await store.open("INBOX", since=SINCE if since is None else since)
    finally:
        store.abandon()


ASKED = Expect(rb'(?P<tag>\w+) EXAMINE "INBOX" \(QRESYNC \(7 100 1:20\)\)')
PLAIN = Expect(rb'(?P<tag>\w+) EXAMINE "INBOX"')


async def told(*steps: Step) -> Changes | None:
    async with ScriptedServer([*begun(), *steps]) as server:
        return (await examined(server)).changes


async def test_what_changed_comes_with_the_folder() -> None:
    changes = await told(
        ASKED,
        Send(
            folder(
                b"HIGHESTMODSEQ 120",
                b"* VANISHED (EARLIER) 3:5,9,40\r\n"
                b"* 2 FETCH (UID 7 FLAGS (\\Seen) MODSEQ (118))\r\n"
                b"* 3 FETCH (UID 44 FLAGS () MODSEQ (119))\r\n",
            )
        ),
    )
    assert changes is not None
    assert changes.gone is not None
    assert list(changes.gone) == ["7-3", "7-4", "7-5", "7-9"], "40 is above the cursor"
    assert dict(changes.flags) == {"7-7": frozenset({"seen"})}
    assert changes.cursor == "20/120"


@pytest.mark.parametrize(
    ("modseq", "cursor"),
    [
        (b"HIGHESTMODSEQ 99", "20/99"),  # the server lost count: its index was made anew
        (b"NOMODSEQ", "20"),  # this folder has none (any more)
        (b"HIGHESTMODSEQ x", "20"),
        (b"HIGHESTMODSEQ 0", "20"),
        (b"ALERT", "20"),
    ],
)
async def test_a_modseq_that_fell_or_is_none_is_not_believed(modseq: bytes, cursor: str) -> None:
    """F12: HIGHESTMODSEQ reset; the plain way is taken, from the new modseq on."""
    more = b"* VANISHED (EARLIER) 1:20\r\n"
    lost = "/" in cursor  # the next time it can tell
    assert await told(ASKED, Send(folder(modseq, more))) == Changes(cursor, lost=lost)


async def test_another_uidvalidity_is_another_folder() -> None:
    """F12: UIDVALIDITY change; what vanished is not told of the messages we know."""
    more = b"* VANISHED (EARLIER) 1:20\r\n"
    assert await told(ASKED, Send(folder(b"HIGHESTMODSEQ 500", more, validity=8))) is None


async def test_a_server_that_announces_what_it_does_not_know() -> None:
    """Once it says BAD, the folder is opened as if there were no QRESYNC, now and later."""
    script: list[Step] = [
        *begun(),
        ASKED,
        Send(b"{tag} BAD Unknown parameter\r\n"),
        PLAIN,
        Send(folder(b"HIGHESTMODSEQ 100")),
        PLAIN,
        Send(folder(b"HIGHESTMODSEQ 100")),
    ]
    async with ScriptedServer(script) as server:
        store = await open_store(target(None, server.port, host="127.0.0.1", limits=QUICK), USER)
        for _ in "12":
            assert (await store.open("INBOX", since=SINCE)).changes == Changes("20/100", None, {})
        store.abandon()


async def test_a_server_that_does_not_enable_it() -> None:
    """It is asked once more, since its ENABLE is not waited for; its BAD is enough."""
    script: list[Step] = [
        *begun(enabled=b"CONDSTORE"),
        Expect(rb'(?P<tag>\w+) EXAMINE "INBOX" \(QRESYNC .*'),
        Send(b"{tag} BAD not enabled\r\n"),
        PLAIN,
        Send(folder(b"HIGHESTMODSEQ 100")),
    ]
    async with ScriptedServer(script) as server:
        assert (await examined(server)).changes == Changes("20/100", None, {})


async def test_only_condstore_tells_flags_and_not_what_has_gone() -> None:
    """CONDSTORE without QRESYNC: one round trip, and only when something has changed."""
    script: list[Step] = [
        *begun(b"IMAP4rev1 ENABLE CONDSTORE", b"CONDSTORE"),
        PLAIN,
        Send(folder(b"HIGHESTMODSEQ 120")),
        Expect(rb"(?P<tag>\w+) UID FETCH 1:20 \(FLAGS\) \(CHANGEDSINCE 100\)"),
        Send(b"* 2 FETCH (UID 7 MODSEQ (118) FLAGS (\\Seen))\r\n{tag} OK x\r\n"),
        PLAIN,
        Send(folder(b"HIGHESTMODSEQ 120")),
    ]
    async with ScriptedServer(script) as server:
        store = await open_store(target(None, server.port, host="127.0.0.1", limits=QUICK), USER)
        changes = (await store.open("INBOX", since=SINCE)).changes
        assert changes == Changes("20/120", None, {"7-7": frozenset({"seen"})})
        later = {"INBOX": Since(7, changes.cursor)}
        assert (await store.open("INBOX", since=later)).changes == Changes("20/120", None, {})
        store.abandon()


async def test_the_real_server_without_qresync_tells_flags_alone(
    ground: Ground, fresh_user: User
) -> None:
    """FETCH CHANGEDSINCE on Dovecot; what has gone is for the daily look."""
    ground.dovecot.fill(fresh_user, (small(n) for n in range(5)))
    port = ground.dovecot.condstore.imap
    async with opened(ground, fresh_user, port=port) as store:
        state = await store.open("INBOX", read_only=False)
        since = {"INBOX": Since(state.uidvalidity, state.next_cursor)}
        ids = await listing(store)
        assert (await store.open("INBOX", since=since)).changes == Changes(state.next_cursor)
        await store.open("INBOX", read_only=False)
        await store.delete(ids[:1])
        await store.flag(ids[2:3], add=["answered"])
        later = await store.open("INBOX", since=since)
    assert later.changes is not None
    assert later.changes.gone is None
    assert {key: set(flags) for key, flags in later.changes.flags.items()} == {ids[2]: {"answered"}}
    assert later.changes.cursor == f"5/{later.modseq}"


async def test_vanished_may_name_every_uid_there_can_be() -> None:
    """T68: as ranges, cut at what we know; nothing is made of them."""
    changes = await told(
        ASKED, Send(folder(b"HIGHESTMODSEQ 120", b"* VANISHED (EARLIER) 1:4294967295\r\n"))
    )
    assert changes is not None
    assert changes.gone is not None
    assert len(changes.gone) == 20


async def test_vanished_may_be_longer_than_any_line() -> None:
    """A folder of 60,000 where every other message was deleted: one line of 200 KB."""
    gone = b",".join(b"%d" % uid for uid in range(1, 60_001, 2))
    since = {"INBOX": Since(7, "60000/100")}
    script: list[Step] = [
        *begun(),
        Expect(rb'(?P<tag>\w+) EXAMINE "INBOX" \(QRESYNC \(7 100 1:60000\)\)'),
        Send(folder(b"HIGHESTMODSEQ 120", b"* VANISHED (EARLIER) " + gone + b"\r\n")),
    ]
    async with ScriptedServer(script, record=False) as server:
        changes = (await examined(server, since)).changes
    assert changes is not None
    assert changes.gone is not None
    assert len(changes.gone) == 30_000
    assert "7-59999" in changes.gone
    assert "7-60000" not in changes.gone


async def test_a_cursor_of_another_protocol_is_no_reason_to_stop() -> None:
    """The source collected by POP3 before: no UIDVALIDITY, a cursor that IMAP cannot read."""
    async with ScriptedServer([*begun(), PLAIN, Send(folder(b"HIGHESTMODSEQ 1"))]) as server:
        assert (await examined(server, {"INBOX": Since(0, "5 1000")})).changes is None
    async with ScriptedServer([*begun(), Answer({})]) as server:
        with pytest.raises(InvalidValue):
            await examined(server, {"INBOX": Since(7, "5 1000")})


async def test_vanished_unasked_counts_the_messages_down() -> None:
    """With QRESYNC on, an expunge is told as VANISHED instead of EXPUNGE."""
    script: list[Step] = [
        *begun(),
        PLAIN,
        Send(folder(b"HIGHESTMODSEQ 100")),
        Expect(rb"(?P<tag>\w+) NOOP"),
        Send(b"* VANISHED 1:2\r\n{tag} OK x\r\n"),
        Expect(rb"(?P<tag>\w+) NOOP"),
        Send(b"* 2 EXISTS\r\n{tag} OK x\r\n"),
    ]
    async with ScriptedServer(script) as server:
        store = await open_store(target(None, server.port, host="127.0.0.1", limits=QUICK), USER)
        await store.open("INBOX")
        assert await store.check() is False
        assert await store.check() is True
        store.abandon()


async def test_a_poll_with_nothing_new_is_one_round_trip_and_little(
    ground: Ground, fresh_user: User
) -> None:
    """On the real server, open or new: EXAMINE alone, and nothing of its answer per message."""
    ground.dovecot.fill(fresh_user, (small(n) for n in range(300)))
    async with opened(ground, fresh_user, folder="INBOX") as store:
        state = await store.open("INBOX")
        since = {"INBOX": Since(state.uidvalidity, state.next_cursor)}
    async with FaultProxy(("127.0.0.1", ground.dovecot.imap)) as proxy:
        where = target(ground, proxy.port, host="127.0.0.1")
        store = await open_store(where, sign_in(fresh_user))
        heard = proxy.transcript
        first = len(heard.to_server)
        for _ in "12":
            told, asked = len(heard.to_client), len(heard.to_server)
            trips = heard.round_trips
            state = await store.open("INBOX", since=since)
            assert state.changes is not None
            assert list(state.changes.gone or ()) == []
            assert state.changes.cursor == state.next_cursor
            assert await listing(store, state.changes.cursor) == []
            assert heard.round_trips - trips == 1
            said = heard.to_server[asked:]
            # ENABLE and ID, which nobody waits for, leave with the first EXAMINE
            assert (b' ID ("name" "postroom")' in said) == (asked == first)
            assert said.splitlines()[-1].split()[1] == b"EXAMINE"
            assert len(said) + len(heard.to_client) - told < 2048
        await store.close()
