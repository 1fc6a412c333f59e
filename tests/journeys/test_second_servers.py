"""The same journeys over Courier and Exim, where they do otherwise than Dovecot and Postfix."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room
from tests.ground import Ground, maildir
from tests.journeys.conftest import connect
from tests.journeys.incoming import Incoming, letter
from tests.journeys.outgoing import Outgoing, message_ids

__all__: list[str] = []

LETTERS = [letter("one"), letter("Größe"), letter("spam")]


async def box_on_courier(room: Room, ground: Ground, sink: Path, **incoming: Any) -> Incoming:
    user = ground.courier.user()
    ground.courier.fill(user, LETTERS)
    await connect(room, ground, user, **incoming)
    return Incoming(room, ground, user, sink)


def collected(box: Incoming) -> list[str]:
    """The subjects of what was collected; the files' names follow no order over POP3."""
    found = [path.read_bytes() for path in (box.sink / "INBOX").glob("*.eml")]
    return sorted(raw.decode().split("Subject: ")[1].split("\r\n")[0] for raw in found)


async def test_collected_from_courier_by_imap_into_folders_that_it_puts_below_inbox(
    room: Room, ground: Ground, tmp_path: Path
) -> None:
    port = str(ground.courier.imaps)
    box = await box_on_courier(room, ground, tmp_path / "orders", port=port)
    await box.source(
        folders={"done": "Done/2026", "ignored": "\\Trash"}, ignore={"subject": {"deny": ["^spam"]}}
    )
    tally = await box.run()
    assert (tally.delivered, tally.failed, tally.ignored) == (2, 0, 1)
    assert collected(box) == ["Größe", "one"]
    assert box.there() == []
    assert sorted(box.there("Done/2026")) == ["Größe", "one"]
    assert box.there("Trash") == ["spam"]
    assert (await box.run()).delivered == 0


@pytest.mark.parametrize("after", ["keep", "delete"])
async def test_collected_from_courier_by_pop3_as_written_and_once(
    room: Room, ground: Ground, tmp_path: Path, after: str
) -> None:
    """A header with 8-bit bytes is no notice of the server's, and what it deletes late is old."""
    port = str(ground.courier.pop3s)
    box = await box_on_courier(room, ground, tmp_path / "orders", protocol="pop3", port=port)
    await box.source(after={"done": after})
    assert (await box.run()).delivered == 3
    assert collected(box) == ["Größe", "one", "spam"]
    ground.courier.fill(box.user, [letter("two")])
    assert (await box.run()).delivered == 1
    assert collected(box) == ["Größe", "one", "spam", "two"]


async def test_sent_over_exim_also_when_it_hangs_up_on_many_refused(
    room: Room, ground: Ground
) -> None:
    """What it did not take for that reason is deferred, and the next drain sends it."""
    user = ground.exim.user()
    await connect(room, ground, user)
    side = {"port": str(ground.exim.smtps), "security": "tls"}
    await room.connections.set("acme", {"outgoing": side}, rebind=True)
    post = Outgoing(room, ground, user, user)
    await post.service()
    items = [await post.store("unknown@ground.test", subject=f"{n}") for n in range(15)]
    wanted = [await post.store(subject=f"somebody {n}") for n in range(3)]
    assert (await post.drain()).deferred > 0
    for item in (*items, *wanted):
        await post.due(item)
    assert (await post.drain()).deferred == 0
    assert post.states() == {"failed": 15, "sent": 3}
    await asyncio.to_thread(maildir.arrived, user.maildir, 3)
    assert message_ids(user) == sorted([(await post.show(item)).message_id for item in wanted])
