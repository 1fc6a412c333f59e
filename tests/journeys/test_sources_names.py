"""What messages are called in lists, and sinks whose path says something of each message."""

from __future__ import annotations

from pathlib import Path

import pytest

from postroom.app import Room
from postroom.errors import PostroomError
from tests.ground import Ground, User
from tests.journeys.conftest import Cli, connect
from tests.journeys.incoming import Incoming, letter


@pytest.fixture
async def box(room: Room, ground: Ground, tmp_path: Path) -> Incoming:
    user = ground.user()
    await connect(room, ground, user)
    return Incoming(room, ground, user, tmp_path / "orders")


def test_the_ledger_calls_messages_by_their_name(cli: Cli, wired: User, ground: Ground) -> None:
    """As the template says, in the table and in JSON; a change of it changes what is shown."""
    ground.dovecot.fill(wired, [letter("Order 7")])
    cli("source", "run", "orders-in")
    [one] = cli("source", "ledger", "orders-in", "--json").json["items"]
    assert one["name"].startswith("Order 7 (from: ada@partner.example, received: 20")
    assert cli("source", "set", "orders-in", "--name-template", "<${mail:subject}>").status == 0
    assert "<Order 7>" in cli("source", "ledger", "orders-in").out
    wrong = cli("source", "set", "orders-in", "--name-template", "${mail:sbject}")
    assert wrong.status == 2
    assert "sbject" in wrong.err


@pytest.mark.parametrize("kind", ["directory", "maildir"])
async def test_a_sink_path_by_sender(box: Incoming, kind: str) -> None:
    """Each sender has a directory of their own, and nobody's subject leaves the sink."""
    box.fill(letter("one"), letter("two", sender="eve@evil.example"), letter("../../../escape"))
    path = str(box.sink / "${mail:from}" / "${mail:subject}")
    await box.source(sink={"type": kind, "path": path})
    assert (await box.run()).delivered == 3
    inside = "INBOX" if kind == "directory" else "new"
    for place in ("ada@partner.example/one", "eve@evil.example/two"):
        assert len(list((box.sink / place / inside).iterdir())) == 1
    assert len(list((box.sink / "ada@partner.example" / "_.._.._escape" / inside).iterdir())) == 1
    assert not list(box.sink.parent.rglob("escape"))


async def test_a_message_taken_again_lies_in_the_same_place(box: Incoming) -> None:
    """Also by date: it is when the message was first seen, whenever it is taken."""
    box.fill(letter("one"))
    path = str(box.sink / "${date:%Y-%m-%d-%H%M%S}")
    await box.source(sink={"type": "directory", "path": path})
    await box.run()
    first = list(box.sink.rglob("*.eml"))
    await box.room.ledger.reset("orders-in")
    await box.run()
    assert list(box.sink.rglob("*.eml")) == first
    assert len(first) == 1


@pytest.mark.parametrize("kind", ["directory", "maildir"])
async def test_one_path_that_cannot_be_written_stops_one_message(box: Incoming, kind: str) -> None:
    """F13: a file lies where one sender's directory should be: that message failed, with the reason."""
    box.fill(letter("one"), letter("two", sender="eve@evil.example"), letter("three"))
    box.sink.mkdir()
    (box.sink / "eve@evil.example").write_text("in the way")
    await box.source(sink={"type": kind, "path": str(box.sink / "${mail:from}")})
    tally = await box.run()
    assert (tally.delivered, tally.failed) == (2, 1)
    [failed] = await box.room.ledger.list("orders-in", states=["failed"])
    assert (failed.subject, failed.attempts) == ("two", 1)
    assert failed.reason == "cannot be written: Not a directory"
    (box.sink / "eve@evil.example").unlink()
    await box.room.ledger.reset("orders-in")
    assert (await box.run()).delivered == 3


async def test_facts_of_a_message_stand_nowhere_else(box: Incoming) -> None:
    """A folder is one for all messages."""
    with pytest.raises(PostroomError, match="may not stand here"):
        await box.source(folders={"done": "Done/${mail:from}"})
