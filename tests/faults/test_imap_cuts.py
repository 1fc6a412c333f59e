"""F12: a real Dovecot is cut off at every line, and made to lie: the stored set is the server's set."""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from postroom.errors import WireError
from postroom.sources import arriving, collector, listing
from tests.faults.dose import dose, minutes
from tests.ground import User
from tests.ground.faults import Action, Call, Cut, Insert, Replace, Rule
from tests.ground.proxy import FaultProxy
from tests.ground.wire import How
from tests.journeys.incoming import Incoming, letter

pytestmark = pytest.mark.timeout(minutes(2, 45, 90))
COUNT: Final = 200
SYNC: Final = dose(80, 200, 200)
"""Messages of the sync that is cut behind every line."""


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several pages and several batches in a sync."""
    monkeypatch.setattr(listing, "PAGE", 15)
    monkeypatch.setattr(arriving, "MOST", 15)
    monkeypatch.setattr(collector, "BATCH", 40)


def short(number: int) -> bytes:
    """A message of four lines."""
    return f"Subject: m{number}\r\nMessage-ID: <m{number}@x>\r\n\r\ntext {number}\r\n".encode()


async def through(proxy: FaultProxy, box: Incoming) -> None:
    """Lead the connection through a proxy, in the clear, so that its rules can read."""
    side = {"port": str(proxy.port), "security": "none", "trust": ""}
    await box.room.connections.set("acme", {"incoming": side}, rebind=True)


async def finished(box: Incoming, name: str) -> None:
    """Passes until one is not stopped; three in a row are stopped by nothing."""
    for _ in range(3):
        with contextlib.suppress(WireError):
            await box.run(name)
            return
    raise AssertionError("three passes in a row were stopped")


def stored(sink: Path) -> list[str]:
    """The subjects of all files below a sink; with repetitions, in order of their numbers."""
    found = [
        re.search(rb"^Subject: m(\d+)", path.read_bytes(), re.M) for path in sink.rglob("*.eml")
    ]
    return [f"m{number}" for number in sorted(int(one[1]) for one in found if one)]


def subjects(count: int) -> list[str]:
    return [f"m{number}" for number in range(count)]


# ------------------------------------------------------------------ cut


def lines(total: int, chance: random.Random) -> list[int]:
    """Which lines of the server's to cut behind: of all, in the short dose twenty-eight."""
    every = list(range(1, total + 1))
    few = [*every[:8], *chance.sample(every[8:-4], 16), *every[-4:]]
    return dose(few, every, every)


@pytest.mark.usefixtures("small_pages")
async def test_cut_behind_every_line_of_a_sync(box: Incoming) -> None:
    """F12: whatever the line, the next pass completes the set; nothing is stored or recorded twice."""
    box.fill(*map(short, range(SYNC)))
    chance = random.Random(12)
    async with FaultProxy(box.ground.dovecot.imap) as proxy:
        await through(proxy, box)
        await box.source("whole", sink={"type": "directory", "path": str(box.sink / "whole")})
        await box.run("whole")
        total = proxy.transcript.to_client.count(b"\r\n")
        assert total > 4 * SYNC
        for line in lines(total, chance):
            name = f"line-{line}"
            sink = box.sink / name
            await box.source(name, sink={"type": "directory", "path": str(sink)})
            how: How = chance.choice(("rst", "fin"))
            connection = len(proxy.connections) + 1
            proxy.rules = [
                Rule("to_client", Cut(how), after=b"\r\n", nth=line, connection=connection)
            ]
            with contextlib.suppress(WireError):  # behind the last line there is nothing to lose
                await box.run(name)
            proxy.rules = []
            await finished(box, name)
            assert (line, box.counts(name)) == (line, {"done": SYNC})
            assert (line, stored(sink)) == (line, subjects(SYNC))
            await box.room.sources.delete(name)


async def test_cut_in_the_middle_of_large_messages_nobody_is_blamed(box: Incoming) -> None:
    """F12: cut after ever more bytes, run after run: all of it arrives, and nothing is held."""
    box.fill(*(letter(f"m{n}", size=3_000) for n in range(40)))
    rules = [
        Rule("to_client", Cut("rst" if n % 2 else "fin"), after=500 + 4_000 * n, connection=n + 1)
        for n in range(12)
    ]
    async with FaultProxy(box.ground.dovecot.imap, rules=rules) as proxy:
        await through(proxy, box)
        await box.source(folders={"done": "Done"})
        while box.counts() != {"done": 40}:
            assert len(proxy.connections) <= 13, "it never came through"
            with contextlib.suppress(WireError):
                await box.run()
    assert stored(box.sink) == subjects(40)
    assert sorted(box.there("Done")) == sorted(subjects(40))


async def test_what_was_there_before_the_cut_is_not_read_again(box: Incoming) -> None:
    """F12: what had arrived whole is delivered, the rest with the next run, and the source says why."""
    box.fill(*(letter(f"m{n}", size=3_000) for n in range(60)))
    rule = Rule("to_client", Cut("rst"), after=90_000, connection=1)
    async with FaultProxy(box.ground.dovecot.imap, rules=[rule]) as proxy:
        await through(proxy, box)
        await box.source()
        with pytest.raises(WireError) as lost:
            await box.run()
        assert lost.value.temporary
        some = box.counts()
        assert set(some) == {"done"}
        assert 10 < some["done"] < 60
        assert box.state() == "backing off"
        assert (await box.run()).delivered == 60 - some["done"]
    assert stored(box.sink) == subjects(60)


@pytest.mark.parametrize("side", ["before", "after"])
async def test_a_cut_around_the_move_moves_once(box: Incoming, side: str) -> None:
    """F12: lost before or after the server has moved them: delivered once, moved once."""
    box.fill(letter("one"), letter("two"))
    rule = (
        Rule("to_server", Cut("rst"), before=b"UID MOVE", connection=1)
        if side == "before"
        else Rule("to_client", Cut("rst"), before=b"* OK [COPYUID", connection=1)
    )
    async with FaultProxy(box.ground.dovecot.imap, rules=[rule]) as proxy:
        await through(proxy, box)
        await box.source(folders={"done": "Done"})
        with pytest.raises(WireError):
            await box.run()
        assert box.counts() == {"delivered": 2}
        assert (await box.run()).delivered == 0
    assert box.counts() == {"done": 2}
    assert box.there() == []
    assert box.there("Done") == ["one", "two"]


# ------------------------------------------------------------------ numbered anew


async def test_a_move_that_was_due_is_done_under_new_numbers(box: Incoming) -> None:
    """F12: delivered, not yet moved, and the folder is numbered anew: moved, not delivered again."""
    box.fill(letter("one"), letter("two"))
    rule = Rule("to_server", Cut("rst"), before=b"UID MOVE", connection=1)
    async with FaultProxy(box.ground.dovecot.imap, rules=[rule]) as proxy:
        await through(proxy, box)
        await box.source(folders={"done": "Done"})
        with pytest.raises(WireError):
            await box.run()
        box.renumber()
        assert (await box.run()).delivered == 0
    assert box.there() == []
    assert box.there("Done") == ["one", "two"]
    assert len(box.files()) == 2


@pytest.mark.usefixtures("small_pages")
async def test_another_uidvalidity_and_a_cut_at_any_line(box: Incoming) -> None:
    """F12: the folder is numbered anew, and that pass is cut off, again and again: nothing comes twice."""
    box.fill(*map(short, range(40)))
    chance = random.Random(13)
    async with FaultProxy(box.ground.dovecot.imap) as proxy:
        await through(proxy, box)
        await box.source()
        await box.run()
        for number in range(40, 40 + dose(10, 100, 400)):
            box.renumber()
            box.fill(short(number))
            line = chance.randint(5, 5 * number)
            connection = len(proxy.connections) + 1
            proxy.rules = [
                Rule("to_client", Cut("rst"), after=b"\r\n", nth=line, connection=connection)
            ]
            with contextlib.suppress(WireError):
                await box.run()
            await finished(box, "orders-in")
            assert (line, stored(box.sink)) == (line, subjects(number + 1))


async def test_another_uidvalidity_while_it_is_read(box: Incoming) -> None:
    """F12: listed under one UIDVALIDITY, read under another: each is stored once, under either."""
    box.fill(*map(short, range(COUNT)))

    async def renumber() -> None:
        box.renumber()
        proxy.connections[0].end("rst")  # as a server does whose index is gone
        await asyncio.Event().wait()

    rule = Rule("to_client", Call(renumber), before=b" BODY[] {", nth=60, connection=1)
    async with FaultProxy(box.ground.dovecot.imap, rules=[rule]) as proxy:
        await through(proxy, box)
        await box.source()
        with pytest.raises(WireError):
            await box.run()
        await finished(box, "orders-in")
    assert stored(box.sink) == subjects(COUNT)


# ------------------------------------------------------------------ others at the same mailbox


async def expunging(user: User, port: int, uids: str) -> None:
    """Somebody else deletes messages, by a session of their own."""

    def work() -> None:
        with imaplib.IMAP4("127.0.0.1", port) as client:
            client.login(user.address, user.password)
            client.select("INBOX")
            client.uid("STORE", uids, "+FLAGS", r"(\Deleted)")
            client.expunge()

    await asyncio.to_thread(work)


@pytest.mark.parametrize("at", [b"FLAGS", b"BODY[] {"], ids=["listing", "reading"])
async def test_expunged_while_we_look(box: Incoming, at: bytes) -> None:
    """F12: what is left is stored, once; what went is stored or said to have vanished, never waited for."""
    box.fill(*map(short, range(COUNT)))
    port = box.ground.dovecot.imap

    async def work() -> None:
        await expunging(box.user, port, "50:150")

    rule = Rule("to_client", Call(work), before=at, nth=30, connection=1)
    async with FaultProxy(port, rules=[rule]) as proxy:
        await through(proxy, box)
        await box.source()
        with contextlib.suppress(WireError):
            await box.run()
        await finished(box, "orders-in")
    counts = box.counts()
    found = stored(box.sink)
    assert set(counts) <= {"done", "vanished"}
    assert counts["done"] == len(found)
    assert sum(counts.values()) in (COUNT, COUNT - 101), (
        "not listed at all, when it went before that"
    )
    assert len(set(found)) == len(found)
    assert set(box.there()) <= set(found)


# ------------------------------------------------------------------ lies

_ROW: Final = (
    b'* 7 FETCH (UID 7 FLAGS () INTERNALDATE "24-Nov-2026 19:16:37 +0000" RFC822.SIZE 9)\r\n'
)
_Lie = tuple[bytes, Callable[[], Action]]
LIES: Final[dict[str, _Lie]] = {
    "fewer than there are": (b"* 40 EXISTS", lambda: Replace(b"* 3 EXISTS")),
    "more than there are": (b"* 40 EXISTS", lambda: Replace(b"* 4000 EXISTS")),
    "none at all": (b"* 40 EXISTS", lambda: Replace(b"* 0 EXISTS")),
    "a UIDNEXT long past": (b"[UIDNEXT 41]", lambda: Replace(b"[UIDNEXT 2]")),
    "a UIDNEXT far ahead": (b"[UIDNEXT 41]", lambda: Replace(b"[UIDNEXT 4000000000]")),
    "a HIGHESTMODSEQ set back": (b"HIGHESTMODSEQ ", lambda: Replace(b"HIGHESTMODSEQ 1] x [")),
    "EXISTS goes down while listing": (b"* 9 FETCH (", lambda: Insert(b"* 2 EXISTS\r\n")),
    "EXPUNGE of what is there": (b"* 9 FETCH (", lambda: Insert(b"* 1 EXPUNGE\r\n" * 5)),
    "the same row twice": (b"* 9 FETCH (", lambda: Insert(_ROW * 3)),
    "a row of a message that is not there": (
        b"* 9 FETCH (",
        lambda: Insert(_ROW.replace(b"UID 7", b"UID 700")),
    ),
    "a row without its UID": (b"* 9 FETCH (", lambda: Insert(_ROW.replace(b"UID 7 ", b""))),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_server_that_lies(box: Incoming, lie: str) -> None:
    """F12: what is on the server is stored, once each, also with the pass after the lie at the latest."""
    box.fill(*map(short, range(40)))
    pattern, action = LIES[lie]
    rule = Rule("to_client", action(), before=pattern, connection=1)
    async with FaultProxy(box.ground.dovecot.imap, rules=[rule]) as proxy:
        await through(proxy, box)
        await box.source()
        with contextlib.suppress(WireError):
            await box.run()
        assert len(proxy.connections) == 1
        box.fill(short(40))
        await finished(box, "orders-in")
        await finished(box, "orders-in")
    assert stored(box.sink) == subjects(41)
    assert set(box.counts()) <= {"done", "vanished"}
    assert box.counts()["done"] == 41


async def test_gaps_between_the_numbers(box: Incoming) -> None:
    """F12: most numbers are gone from between the others; what is there comes, and what comes later."""
    box.fill(*map(short, range(COUNT)))
    async with FaultProxy(box.ground.dovecot.imap) as proxy:
        await through(proxy, box)
        await box.source()
        await expunging(box.user, box.ground.dovecot.imap, "2:99,101:150,152:199")
        await box.run()
        assert stored(box.sink) == ["m0", "m99", "m150", "m199"]
        box.fill(short(200))
        await expunging(box.user, box.ground.dovecot.imap, "100,151,200")
        await box.run()
    assert stored(box.sink) == ["m0", "m99", "m150", "m199", "m200"]
    assert box.counts() == {"done": 5}
