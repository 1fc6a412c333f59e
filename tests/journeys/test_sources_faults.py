"""Collecting when things break: kill -9, cut connections, a full disk, a server that goes away."""

from __future__ import annotations

import asyncio
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room
from postroom.errors import Refused, WireError
from postroom.settings import Settings
from postroom.sources import collector, watcher
from tests.child import Child
from tests.ground import Ground, User, messages
from tests.ground.faults import Cut, Rule
from tests.ground.proxy import FaultProxy
from tests.journeys.conftest import connect
from tests.journeys.incoming import Incoming, letter, soon


@pytest.fixture
def user(ground: Ground) -> User:
    return ground.user()


@pytest.fixture
async def box(room: Room, ground: Ground, user: User, tmp_path: Path) -> Incoming:
    await connect(room, ground, user)
    return Incoming(room, ground, user, tmp_path / "orders")


async def through(proxy: FaultProxy, box: Incoming, protocol: str = "imap", **fields: Any) -> None:
    """Send the connection through a proxy, in the clear, so that its rules can read."""
    side = {"protocol": protocol, "port": str(proxy.port), "security": "none", "trust": ""}
    await box.room.connections.set("acme", {"incoming": side}, rebind=True)
    await box.source(**fields)


COLLECT = """
import asyncio, sys
from pathlib import Path
from postroom.app import open_room
from postroom.settings import Settings

async def main():
    room = await open_room(Settings(Path(sys.argv[1]), sys.argv[2]))
    print("ready", flush=True)
    await room.collecting.run("orders-in")
    print("done", flush=True)
    await room.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["directory", "maildir"])
async def test_kill_9_at_any_moment_loses_nothing_and_doubles_nothing(
    box: Incoming, settings: Settings, kind: str
) -> None:
    """Promise 2: killed a dozen times; then every message is once in the sink, the ledger and Done."""
    count = 300
    sent = [letter(f"m{n}", size=2_000) for n in range(count)]
    box.fill(*sent)
    await box.source(
        folders={"done": "Done"}, sink={"type": kind, "path": str(box.sink)}, max_size="1MiB"
    )
    rng = random.Random(7)
    cut = 0
    for _ in range(6):
        with Child("-c", COLLECT, str(settings.room), str(settings.kek)) as child:
            assert child.line() == "ready"
            await asyncio.sleep(rng.uniform(0.01, 0.25))
            child.kill()
            cut += child.lines() != ["done"]
    assert cut >= 3, "the rounds were too long to show anything"
    with Child("-c", COLLECT, str(settings.room), str(settings.kek)) as child:
        assert child.line() == "ready"
        assert child.line() == "done"
        assert child.wait() == 0
    folder = box.sink / ("INBOX" if kind == "directory" else "new")
    found = [path.read_bytes().replace(b"\r\n", b"\n") for path in folder.iterdir()]
    assert sorted(found) == sorted(one.replace(b"\r\n", b"\n") for one in sent)
    assert box.there() == []
    assert sorted(box.there("Done")) == sorted(f"m{n}" for n in range(count))
    assert box.counts() == {"done": count}


# ------------------------------------------------------------------ cut connections


async def test_a_watcher_survives_a_server_that_goes_away(
    box: Incoming, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut while listening: it backs off, says so, comes back, and collects what came meanwhile."""
    monkeypatch.setattr(watcher, "wait_after", lambda backoff, failures: 0.1)
    async with FaultProxy(box.ground.dovecot.imap) as proxy:
        await through(proxy, box)
        async with box.watching():
            await soon(lambda: box.state() == "listening")
            await proxy.down()
            await soon(lambda: box.state() == "backing off")
            assert box.row()["note"]
            box.fill(letter("meanwhile"))
            await proxy.up()
            await soon(lambda: box.subjects() == ["meanwhile"], seconds=5.0)
            await soon(lambda: box.state() == "listening")
            assert box.row()["note"] == ""


# ------------------------------------------------------------------ POP3


@pytest.fixture
async def pop(box: Incoming) -> Incoming:
    """The same mailbox by POP3; five messages in it, one of them too large."""
    box.fill(*(letter(f"m{n}", size=20_000 if n == 2 else 0) for n in range(5)))
    return box


async def test_pop3_deletes_what_is_done_and_nothing_else(pop: Incoming) -> None:
    """Delivered messages are deleted with QUIT; a held one stays on the server (DESIGN 4.3)."""
    async with FaultProxy(pop.ground.dovecot.pop3) as proxy:
        await through(proxy, pop, "pop3", after={"done": "delete"}, max_size="10KiB")
        tally = await pop.run()
        assert (tally.delivered, tally.held) == (4, 1)
        assert pop.there() == ["m2"]
        assert pop.counts() == {"done": 4, "held": 1}
        pop.fill(letter("new"))
        assert (await pop.run()).delivered == 1
        assert pop.there() == ["m2"]
        await pop.room.ledger.release("orders-in")
        assert (await pop.run()).delivered == 1
        assert pop.there() == []


async def test_pop3_keeps_and_knows_what_it_has(pop: Incoming) -> None:
    """Without deleting, every message comes once, by its UIDL, however often one looks."""
    async with FaultProxy(pop.ground.dovecot.pop3) as proxy:
        await through(proxy, pop, "pop3", ignore={"subject": {"deny": ["m3"]}})
        assert (await pop.run()).delivered == 4
        assert (await pop.run()).delivered == 0
        pop.fill(letter("new"))
        assert (await pop.run()).delivered == 1
    assert pop.counts() == {"done": 5, "ignored": 1}
    assert len(list((pop.sink / "INBOX").glob("*.eml"))) == 5


async def test_pop3_cut_before_quit_loses_nothing(pop: Incoming) -> None:
    """Deletions roll back: delivered stays delivered, and the next run deletes them (F13)."""
    rule = Rule("to_server", Cut("rst"), before=b"QUIT\r\n", connection=1)
    async with FaultProxy(pop.ground.dovecot.pop3, rules=[rule]) as proxy:
        await through(proxy, pop, "pop3", after={"done": "delete"})
        with pytest.raises(WireError):
            await pop.run()
        assert pop.counts() == {"delivered": 5}
        await soon(lambda: len(pop.there()) == 5)
        files = {path: path.stat().st_mtime_ns for path in (pop.sink / "INBOX").iterdir()}
        assert (await pop.run()).delivered == 0
        assert pop.there() == []
    assert pop.counts() == {"done": 5}
    assert {path: path.stat().st_mtime_ns for path in (pop.sink / "INBOX").iterdir()} == files


async def test_pop3_cut_in_the_middle_of_a_message(pop: Incoming) -> None:
    """The next run completes it; nothing is deleted before it is durable (F13)."""
    rule = Rule("to_client", Cut("rst"), after=12_000, connection=1)
    async with FaultProxy(pop.ground.dovecot.pop3, rules=[rule]) as proxy:
        await through(proxy, pop, "pop3", after={"done": "delete"})
        with pytest.raises(WireError):
            await pop.run()
        await soon(lambda: len(pop.there()) == 5)
        await pop.run()
        assert pop.there() == []
    assert pop.counts() == {"done": 5}
    assert len(list((pop.sink / "INBOX").glob("*.eml"))) == 5


async def test_pop3_settles_every_outcome(pop: Incoming) -> None:
    """Deleting what is ignored does not wait for a run without anything done."""
    async with FaultProxy(pop.ground.dovecot.pop3) as proxy:
        await through(
            proxy,
            pop,
            "pop3",
            after={"done": "delete", "ignored": "delete"},
            ignore={"subject": {"deny": ["m1"]}},
        )
        await pop.run()
    assert pop.there() == []


# ------------------------------------------------------------------ a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(path)]
    if subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("only root may mount a small file system")
    yield path
    subprocess.run(["umount", str(path)], check=True)


async def test_a_full_disk_blames_nobody(
    box: Incoming, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often the sink is full, no message is held for it; with room, all arrive."""
    monkeypatch.setattr(collector, "BATCH", 8)
    sent = list(messages.mixed(40, seed=5, largest=60_000))
    box.fill(*sent)
    await box.source(sink={"type": "directory", "path": str(small_disk)})
    for _ in range(5):
        with pytest.raises(Refused, match="disk is full") as full:
            await box.run()
        assert full.value.code == "room_full"
    counts = box.counts()
    assert set(counts) == {"done", "pending"}
    tries = box.room.desk.db.read_now(lambda tx: tx.value("SELECT max(attempts) FROM ledger"))
    assert tries == 1, "a message that was only waiting is not blamed"
    assert box.row()["state"] == "failed"
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    assert (await box.run()).delivered == counts["pending"]
    found = [path.read_bytes().replace(b"\r\n", b"\n") for path in box.files(small_disk)]
    assert sorted(found) == sorted(one.replace(b"\r\n", b"\n") for one in sent)
