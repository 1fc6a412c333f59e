"""The preview: what would happen to real messages on the server and why, and that nothing does."""

from __future__ import annotations

from pathlib import Path

import pytest

from postroom.app import Room
from postroom.errors import Refused
from tests.ground import Ground, User
from tests.journeys.conftest import Cli, connect
from tests.journeys.incoming import Incoming, letter


@pytest.fixture
async def box(room: Room, ground: Ground, tmp_path: Path) -> Incoming:
    user = ground.user()
    await connect(room, ground, user)
    return Incoming(room, ground, user, tmp_path / "orders")


async def foreseen(box: Incoming, last: int = 50) -> list[tuple[str, str, str]]:
    """What the preview says, oldest first: would, why, then."""
    found = await box.room.collecting.preview("orders-in", last=last)
    return [(one.would, one.why, one.then) for one in reversed(found.newest)]


async def test_what_would_happen_and_why(box: Incoming) -> None:
    """Every rule answers for itself; afterwards nothing has changed, here or there."""
    box.fill(letter("order"), letter("spam"), letter("huge", size=5_000))
    await box.source(
        folders={"done": "Done"},
        after={"ignored": "delete"},
        ignore={"subject": {"deny": ["^spam"]}},
        max_size="2KiB",
    )
    order, spam, huge = await foreseen(box)
    assert order == ("collect", "no rule keeps it back", "moves to Done")
    assert spam == ("ignore", "Subject matches the deny rule '^spam'", "is deleted")
    assert huge[0] == "hold"
    assert "too large" in huge[1]
    assert (await foreseen(box, last=1)) == [huge]
    assert box.counts() == {}
    assert box.there() == ["order", "spam", "huge"]
    assert box.flags() == ["", "", ""]
    assert box.row()["mailbox"] == ""
    assert not box.sink.exists()
    tally = await box.run()
    assert (tally.delivered, tally.ignored, tally.held) == (1, 1, 1), "as it was foreseen"


async def test_what_is_remembered_is_told(box: Incoming) -> None:
    """What was collected stays; what came since would be collected."""
    box.fill(letter("one"))
    await box.source(stable_time="1h")
    await box.run()
    await box.room.sources.set("orders-in", {"stable_time": "0s"})
    box.fill(letter("two"))
    (first, second) = await foreseen(box)
    assert first[:2] == ("collect", "listed already; the next pass takes it: 1")
    assert second[:2] == ("collect", "no rule keeps it back")


async def test_start_new_leaves_what_is_there(box: Incoming) -> None:
    """Before the first pass and after it."""
    box.fill(letter("old"))
    await box.source(start="new")
    assert await foreseen(box) == [("leave", "was there before the start", "stays")]
    await box.run()
    box.fill(letter("new"))
    old, new = await foreseen(box)
    assert (old[0], new[0]) == ("leave", "collect")
    await box.run()
    assert (await foreseen(box))[1][:2] == ("leave", "was collected already: 1")


async def test_a_preview_over_pop3(box: Incoming) -> None:
    """The same answers; and what POP3 cannot do is said before anything is done."""
    incoming = {"protocol": "pop3", "port": str(box.ground.dovecot.pop3s)}
    await box.room.connections.set("acme", {"incoming": incoming}, rebind=True)
    box.fill(letter("one"))
    await box.source(after={"done": "delete"})
    assert await foreseen(box) == [("collect", "no rule keeps it back", "is deleted")]
    assert box.there() == ["one"]
    with pytest.raises(Refused, match=r"after\.done is seen"):
        await box.room.sources.set("orders-in", {"after": {"done": "seen"}})


async def test_what_came_back_is_foreseen(box: Incoming) -> None:
    """It would be held, and the entry that it was is named."""
    box.fill(letter("one"))
    await box.source(folders={"done": "Done"})
    await box.run()
    (file,) = (box.user.maildir / ".Done").glob("*/*[0-9]*")
    file.rename(box.user.maildir / "cur" / file.name)
    assert await foreseen(box) == [("hold", "came back: it was processed as 1", "stays")]


async def test_what_was_moved_away_and_back_since_the_last_pass_is_foreseen(box: Incoming) -> None:
    """The server tells the preview, as it will tell the pass, that the old uid vanished."""
    box.fill(letter("one"))
    await box.source()
    await box.run()
    async with box.store() as store:
        folder = await store.open("INBOX", read_only=False)
        there = await store.move([f"{folder.uidvalidity}-1"], "Archive")
        await store.open("Archive", read_only=False)
        await store.move(list(there.values()), "INBOX")
    assert await foreseen(box) == [("hold", "came back: it was processed as 1", "stays")]
    assert await foreseen(box) == [("hold", "came back: it was processed as 1", "stays")]
    assert (await box.run()).held == 1, "as it was foreseen"


def test_the_verb(cli: Cli, wired: User, ground: Ground) -> None:
    """A table for people, an object for programs."""
    empty = cli("source", "preview", "orders-in")
    assert "no message in the folder" in empty.out + empty.err
    ground.dovecot.fill(wired, [letter("Order 7"), letter("Order 8")])
    [one] = cli("source", "preview", "orders-in", "--last", "1", "--json").json["items"]
    assert one["would"] == "collect"
    assert one["name"].startswith("Order 8 (from: ada@partner.example")
    table = cli("source", "preview", "orders-in")
    assert table.out.index("Order 8") < table.out.index("Order 7")
    assert "INBOX holds 2 messages; the first pass takes them all (start: all)." in table.err


@pytest.mark.parametrize(
    ("start", "first"),
    [("all", "takes them all (start: all)"), ("new", "takes what was received from now on"),
     ("{since: 2026-01-01}", "takes what was received since 2026-01-01")],
)  # fmt: skip
def test_the_count_is_shown_before(
    cli: Cli, wired: User, ground: Ground, start: str, first: str
) -> None:
    """DESIGN 4.3: how many messages are there already, and what ``start`` makes of them."""
    ground.dovecot.fill(wired, [letter(f"Order {one}") for one in range(3)])
    assert cli("source", "set", "orders-in", "--set", f"start={start}").status == 0
    before = cli("source", "preview", "orders-in", "--last", "2")
    said = " ".join(before.err.split())
    assert f"INBOX holds 3 messages; the first pass {first}. The newest 2 are shown." in said
    assert cli("source", "run", "orders-in").status == 0
    after = cli("source", "preview", "orders-in", "--json").json
    assert (after["folder"], after["messages"], len(after["items"])) == ("INBOX", 3, 3)
    assert "first pass" not in cli("source", "preview", "orders-in").err
