"""F13: POP3 is cut off behind every line, has no UIDL, or gives an old one to a new message."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from pathlib import Path
from typing import Final

import pytest

from postroom.errors import FolderError, WireError
from tests.faults.dose import dose, minutes
from tests.ground.faults import Cut, Replace, Rule
from tests.ground.proxy import FaultProxy
from tests.ground.scripted import Answer, ScriptedServer, Send, Step
from tests.ground.wire import How
from tests.journeys.incoming import Incoming, letter, soon

pytestmark = pytest.mark.timeout(minutes(2, 15, 60))
COUNT: Final = 12
NAMES: Final = [f"m{number}" for number in range(COUNT)]


async def by_pop3(box: Incoming, port: int) -> None:
    """Lead the connection there, by POP3, in the clear."""
    side = {"protocol": "pop3", "port": str(port), "security": "none", "trust": ""}
    await box.room.connections.set("acme", {"incoming": side}, rebind=True)


def stored(sink: Path) -> list[str]:
    """The subjects of all files below a sink, with repetitions."""
    found = (
        re.search(rb"^Subject: (\w+)", path.read_bytes(), re.M) for path in sink.rglob("*.eml")
    )
    return sorted(one[1].decode() for one in found if one)


async def finished(box: Incoming, name: str) -> None:
    """Passes until one is not stopped: a server may hold its lock for a moment after a cut."""
    for _ in range(5):
        with contextlib.suppress(WireError):
            await box.run(name)
            return
        await asyncio.sleep(0.1)
    raise AssertionError("five passes in a row were stopped")


# ------------------------------------------------------------------ cut


async def test_cut_behind_every_line(box: Incoming) -> None:
    """F13: whatever the line, deletions before QUIT roll back; all is stored once, then deleted."""
    chance = random.Random(13)
    async with FaultProxy(box.ground.dovecot.pop3) as proxy:
        await by_pop3(box, proxy.port)
        await box.source("whole", after={"done": "delete"})
        box.fill(*map(letter, NAMES))
        await box.run("whole")
        assert box.there() == []
        await box.room.sources.delete("whole")
        total = proxy.transcript.to_client.count(b"\r\n")
        every = list(range(1, total + 1))
        few = sorted({*every[:6], *chance.sample(every, 8), *every[-COUNT:]})
        for line in dose(few, every, every * 4):
            name, sink = (
                f"line-{len(proxy.connections)}",
                box.sink.parent / f"{len(proxy.connections)}",
            )
            await box.source(
                name, after={"done": "delete"}, sink={"type": "directory", "path": str(sink)}
            )
            box.fill(*map(letter, NAMES))
            how: How = chance.choice(("rst", "fin"))
            connection = len(proxy.connections) + 1
            proxy.rules = [
                Rule("to_client", Cut(how), after=b"\r\n", nth=line, connection=connection)
            ]
            with contextlib.suppress(WireError):
                await box.run(name)
            proxy.rules = []
            await soon(lambda: sorted(box.there()) in (sorted(NAMES), []))
            await finished(box, name)
            assert (line, box.counts(name)) == (line, {"done": COUNT})
            assert (line, stored(sink)) == (line, sorted(NAMES))
            assert (line, box.there()) == (line, [])
            await box.room.sources.delete(name)


async def test_cut_before_quit_loses_nothing(box: Incoming) -> None:
    """F13: deletions roll back: delivered stays delivered, and the next run deletes them."""
    box.fill(*map(letter, NAMES))
    rule = Rule("to_server", Cut("rst"), before=b"QUIT\r\n", connection=1)
    async with FaultProxy(box.ground.dovecot.pop3, rules=[rule]) as proxy:
        await by_pop3(box, proxy.port)
        await box.source(after={"done": "delete"})
        with pytest.raises(WireError):
            await box.run()
        assert box.counts() == {"delivered": COUNT}
        await soon(lambda: len(box.there()) == COUNT)
        files = {path: path.stat().st_mtime_ns for path in (box.sink / "INBOX").iterdir()}
        assert (await box.run()).delivered == 0
        assert box.there() == []
    assert box.counts() == {"done": COUNT}
    assert {path: path.stat().st_mtime_ns for path in (box.sink / "INBOX").iterdir()} == files


async def test_cut_in_the_middle_of_a_message(box: Incoming) -> None:
    """F13: the next run completes it; nothing is deleted before it is durable."""
    box.fill(*(letter(name, size=3_000) for name in NAMES))
    rule = Rule("to_client", Cut("rst"), after=12_000, connection=1)
    async with FaultProxy(box.ground.dovecot.pop3, rules=[rule]) as proxy:
        await by_pop3(box, proxy.port)
        await box.source(after={"done": "delete"})
        with pytest.raises(WireError):
            await box.run()
        await soon(lambda: len(box.there()) == COUNT)
        await box.run()
        assert box.there() == []
    assert box.counts() == {"done": COUNT}
    assert stored(box.sink) == sorted(NAMES)


# ------------------------------------------------------------------ UIDL


async def test_without_uidl_nothing_is_collected_and_nothing_deleted(box: Incoming) -> None:
    """F13: nothing else tells messages apart, so it says so, and the mailbox stays as it is."""
    box.fill(*map(letter, NAMES))
    rules = [
        Rule("to_client", Replace(b"XIDL\r\n"), before=b"UIDL\r\n", again=True),
        Rule("to_server", Replace(b"XIDL\r\n"), before=b"UIDL\r\n", again=True),
    ]
    async with FaultProxy(box.ground.dovecot.pop3, rules=rules) as proxy:
        await by_pop3(box, proxy.port)
        await box.source(after={"done": "delete"})
        with pytest.raises(FolderError, match="UIDL") as refused:
            await box.run()
    assert not refused.value.temporary
    assert box.counts() == {}
    assert sorted(box.there()) == sorted(NAMES)


def maildrop(*messages: tuple[bytes, str]) -> list[Step]:
    """A POP3 server with these messages, each under the UIDL that is said of it."""
    raw = [letter(subject, size=len(subject)) for _, subject in messages]
    numbered = list(enumerate(raw, 1))
    table = {
        rb"CAPA": b"+OK\r\nUIDL\r\nTOP\r\nUSER\r\n.\r\n",
        rb"(USER|PASS|DELE|NOOP) .*": b"+OK\r\n",
        rb"STAT": b"+OK %d %d\r\n" % (len(raw), sum(map(len, raw))),
        rb"UIDL": b"+OK\r\n%s.\r\n"
        % b"".join(b"%d %s\r\n" % (n, uidl) for n, (uidl, _) in enumerate(messages, 1)),
        rb"LIST": b"+OK\r\n%s.\r\n" % b"".join(b"%d %d\r\n" % (n, len(m)) for n, m in numbered),
        rb"QUIT": b"+OK bye\r\n",
        **{b"RETR %d" % n: b"+OK\r\n%s.\r\n" % m for n, m in numbered},
        **{b"TOP %d 0" % n: b"+OK\r\n%s.\r\n" % m for n, m in numbered},
    }
    return [Send(b"+OK ready\r\n"), Answer(table, until=rb"QUIT")]


@pytest.mark.parametrize("action", ["delete", "keep"])
async def test_a_uidl_that_another_message_had(box: Incoming, action: str) -> None:
    """F13: RFC 1939 lets a server use a UIDL again once its message is gone: both are stored, once."""
    drops = [
        maildrop((b"a", "one"), (b"b", "two")),
        *([] if action == "delete" else [maildrop((b"b", "two"))]),
        maildrop((b"a", "another"), (b"b", "two"))
        if action == "keep"
        else maildrop((b"a", "another")),
    ]
    async with ScriptedServer(*drops) as server:
        await by_pop3(box, server.port)
        await box.source(after={"done": action})
        for _ in range(len(drops) + 2):
            await box.run()
    assert stored(box.sink) == ["another", "one", "two"]
    assert box.counts() == {"done": 3}


async def test_a_uidl_given_twice_at_once_is_refused(box: Incoming) -> None:
    """F13: nobody could say which of the two is meant, so nothing is taken or deleted."""
    async with ScriptedServer(maildrop((b"a", "one"), (b"a", "two"))) as server:
        await by_pop3(box, server.port)
        await box.source(after={"done": "delete"})
        with pytest.raises(WireError):
            await box.run()
        assert b"DELE" not in server.transcript.to_server
    assert stored(box.sink) == []
