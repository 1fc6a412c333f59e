"""Collecting when things break: a server that goes away, POP3, a full disk."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room
from postroom.errors import Refused
from postroom.sources import collector, watcher
from tests.ground import Ground, User, messages
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


# ------------------------------------------------------------------ a server that goes away


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


async def test_another_host_while_it_connects_is_not_mistaken_for_the_old_mailbox(
    box: Incoming,
) -> None:
    """Claimed with one host and opened with another: nothing is recorded for the old mailbox."""
    box.fill(letter("one"), letter("two"))
    await box.source()
    [claim] = await box.room.collecting.claim(["orders-in"], 1)
    watcher = await box.room.collecting.watcher(claim)
    await box.room.connections.set("acme", {"incoming": {"host": "localhost"}}, rebind=True)
    with pytest.raises(Refused, match="changed while it was connecting"):
        await watcher.once()
    assert box.counts() == {}
    assert (await box.run()).delivered == 2
    assert box.counts() == {"done": 2}


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
