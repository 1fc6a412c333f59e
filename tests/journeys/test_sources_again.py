"""Messages that come again: refused by the sink and retried, or moved back after they were done."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room
from tests.ground import Ground, maildir
from tests.ground.proxy import FaultProxy
from tests.journeys.conftest import connect
from tests.journeys.incoming import Incoming, letter, soon


@pytest.fixture
async def box(room: Room, ground: Ground, tmp_path: Path) -> Incoming:
    user = ground.user()
    await connect(room, ground, user)
    return Incoming(room, ground, user, tmp_path / "orders")


def in_the_way(box: Incoming, uid: int = 1) -> Path:
    """A directory where the sink wants to put the file of the first message; gives it."""
    uids = (box.user.maildir / "dovecot-uidlist").read_text()
    validity = uids.split(" V")[1].split()[0]
    path = box.sink / "INBOX" / f"{validity}-{uid}.eml"
    path.mkdir(parents=True)
    return path


async def stuck(box: Incoming, **fields: Any) -> Path:
    """A source whose only message its sink refuses, after a first pass; gives what is in its way."""
    box.fill(letter("one"))
    await box.source("peek", sink={"type": "directory", "path": str(box.sink / "peek")})
    await box.run("peek")
    path = in_the_way(box)
    await box.source(folders={"done": "Done", "error": "Error"}, **fields)
    return path


async def test_a_refused_message_is_tried_again_and_then_delivered(box: Incoming) -> None:
    """``failure: {retry: ...}``: it waits in the folder, and comes through once it can."""
    path = await stuck(box, failure={"retry": {"max": 5, "min": "1s", "max_wait": "1s"}})
    tally = await box.run()
    assert (tally.delivered, tally.failed, tally.later) == (0, 0, 1)
    assert (await box.run()).later == 1, "not before its time"
    assert box.there() == ["one"]
    [entry] = await box.room.ledger.list("orders-in")
    assert (entry.state, entry.retries) == ("pending", 1)
    assert "cannot be written" in entry.reason
    path.rmdir()
    async with box.watching():
        await soon(lambda: box.counts() == {"done": 1}, seconds=5.0)
    assert box.there("Done") == ["one"]


async def test_retries_end_in_the_error_folder(box: Incoming) -> None:
    """After so many it has failed, as with ``rollback`` at once."""
    await stuck(box, failure={"retry": {"max": 2, "min": "1s", "max_wait": "1s"}})
    async with box.watching():
        await soon(lambda: box.counts() == {"failed": 1}, seconds=8.0)
        await soon(lambda: box.there("Error") == ["one"])
    [entry] = await box.room.ledger.list("orders-in")
    assert entry.retries == 2


def move_back(box: Incoming, folder: str = "Done") -> None:
    """Move what lies in a folder back into INBOX, as a mail program does."""
    for part in ("new", "cur"):
        for file in (maildir.folder_path(box.user.maildir, folder) / part).iterdir():
            target = box.user.maildir / "cur" / f"back{file.name}"
            instant = file.stat().st_mtime
            file.rename(target)
            os.utime(target, (instant, instant))


@pytest.mark.parametrize(
    ("reprocess", "counts"),
    [
        ("manual", {"done": 1, "held": 1}),
        ("when_changed", {"done": 1, "held": 1}),
        ("automatic", {"done": 2}),
    ],
)
async def test_a_message_that_was_done_comes_back(
    box: Incoming, reprocess: str, counts: dict[str, int]
) -> None:
    """It has another uid; Message-ID, size and time of arrival tell that it is the same."""
    box.fill(letter("one"))
    await box.source(folders={"done": "Done"}, reprocess=reprocess)
    await box.run()
    assert box.there("Done") == ["one"]
    move_back(box)
    await box.run()
    assert box.counts() == counts
    if "held" in counts:
        [held] = await box.room.ledger.list("orders-in", states=["held"])
        assert "came back: it was processed as" in held.reason
        assert box.there() == ["one"]
        await box.room.ledger.release("orders-in")
        await box.run()
    assert box.counts() == {"done": 2}
    assert box.there() == []


async def test_a_changed_message_is_processed_when_it_comes_back(box: Incoming) -> None:
    """Another content is another message, whatever its Message-ID says: none is ever dropped."""
    box.fill(letter("one"))
    await box.source(folders={"done": "Done"}, reprocess="when_changed")
    await box.run()
    box.fill(letter("one", size=500))
    assert (await box.run()).delivered == 1
    assert box.counts() == {"done": 2}


async def test_a_second_message_with_the_same_message_id_is_processed(box: Incoming) -> None:
    """The same bytes, received again at another time: by default that is another message."""
    box.fill(letter("one"))
    await box.source(folders={"done": "Done"})
    await box.run()
    box.fill(letter("one"))
    box.received("one", 1_767_225_600.0)
    assert (await box.run()).delivered == 1
    assert box.counts() == {"done": 2}


@pytest.mark.parametrize(("reprocess", "files"), [("manual", 1), ("automatic", 2)])
async def test_a_pop3_message_that_comes_back_under_its_uidl(
    box: Incoming, reprocess: str, files: int
) -> None:
    """POP3 lists everything; what was seen to leave may come again if the source wants it."""
    incoming = {"protocol": "pop3", "port": str(box.ground.dovecot.pop3s)}
    await box.room.connections.set("acme", {"incoming": incoming}, rebind=True)
    box.fill(letter("one"))
    await box.source(reprocess=reprocess)
    await box.run()
    assert (await box.run()).delivered == 0, "it is simply still there"
    uids = box.user.maildir / "dovecot-uidlist"
    kept = uids.read_text()
    (file,) = (box.user.maildir / "cur").iterdir()
    aside = box.user.maildir.parent / "aside"
    file.rename(aside)
    await box.run()
    aside.rename(file)
    uids.write_text(kept)
    for index in box.user.maildir.glob("dovecot.index*"):
        index.unlink()
    assert (await box.run()).delivered == files - 1


async def test_a_pop3_mailbox_that_seems_the_same_is_not_listed(box: Incoming) -> None:
    """STAT tells count and size; UIDL, which costs the more the more there is, waits an hour."""
    box.fill(letter("one"), letter("two"))
    own = box.ground.pki.server_context()
    async with FaultProxy(box.ground.dovecot.pop3, tls=own) as proxy:
        incoming = {"protocol": "pop3", "port": str(proxy.port)}
        await box.room.connections.set("acme", {"incoming": incoming}, rebind=True)
        await box.source()

        async def lists(delivered: int) -> bool:
            before = len(proxy.transcript.to_server)
            assert (await box.run()).delivered == delivered
            return b"UIDL" in proxy.transcript.to_server[before:]

        assert await lists(2)
        assert not await lists(0), "nothing has changed"
        box.fill(letter("three"))
        assert await lists(1)
        assert not await lists(0)
        await box.room.desk.db.write(
            lambda tx: tx.execute("UPDATE cursors SET updated_at = updated_at - 3601")
        )
        assert await lists(0), "count and size may lie"
        assert not await lists(0)
