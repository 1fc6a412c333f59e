"""Copies of sent messages in the Sent folder of a real Dovecot: once, and never at a send's expense."""

from __future__ import annotations

import asyncio

import pytest

from postroom.app import Room
from postroom.errors import Refused
from postroom.settings import Settings
from tests.child import Child
from tests.ground import Ground, User, maildir
from tests.ground.proxy import FaultProxy
from tests.journeys.conftest import Cli, connect
from tests.journeys.incoming import soon
from tests.journeys.outgoing import Outgoing


@pytest.fixture
async def post(room: Room, ground: Ground) -> Outgoing:
    user = ground.user()
    await connect(room, ground, user)
    return Outgoing(room, ground, user, ground.user())


def copies(post: Outgoing) -> list[bytes]:
    """What lies in the sender's Sent folder."""
    path = maildir.folder_path(post.user.maildir, "Sent")
    return maildir.read(post.user.maildir, "Sent") if path.exists() else []


async def state(post: Outgoing, item: str) -> str:
    found = (await post.show(item)).sent_copy
    return found.state if found else ""


async def copy_again(post: Outgoing) -> None:
    """As if this process had died between the copy and its settling."""
    await post.room.desk.db.write(
        lambda tx: tx.execute("UPDATE sent_copies SET state = 'waiting', due_at = 0")
    )
    await post.room.email.copy()


async def test_what_was_sent_lies_in_the_sent_folder_once(post: Outgoing) -> None:
    """The same bytes, marked as seen; whoever takes the work over looks first."""
    await post.service()
    item = await post.send()
    assert item.state == "sent"
    await soon(lambda: len(copies(post)) == 1, seconds=8.0)
    [copy] = copies(post)
    stored = await post.room.outbox.content(item.id)
    assert copy.replace(b"\r\n", b"\n") == stored.replace(b"\r\n", b"\n")
    path = maildir.folder_path(post.user.maildir, "Sent")
    assert [file.name.partition(":2,")[2] for file in (path / "cur").iterdir()] == ["S"]
    await asyncio.gather(*post.room.desk.background)
    assert await state(post, item.id) == "kept"
    await copy_again(post)
    assert await state(post, item.id) == "kept"
    assert len(copies(post)) == 1
    post.arrived(1)


async def test_only_what_was_sent_is_copied(post: Outgoing) -> None:
    """Not what failed or waits, and nothing where the service says none or server."""
    await post.service()
    await post.send("unknown@ground.test")
    await post.send("retry@ground.test")
    for policy in ("none", "server"):
        await post.room.services.set("orders-out", {"sent_copy": policy})
        item = await post.send()
        assert item.state == "sent"
        assert await state(post, item.id) == ""
    await post.room.email.copy()
    assert copies(post) == []


async def test_a_mailbox_that_is_down_delays_the_copy_alone(post: Outgoing) -> None:
    """Sent all the same; the copy waits with its reason and is made when the mailbox is back."""
    await post.service()
    async with FaultProxy(post.ground.dovecot.imaps) as mailbox:
        await post.room.connections.set(
            "acme", {"incoming": {"port": str(mailbox.port)}}, rebind=True
        )
        await mailbox.down()
        item = await post.store()
        assert (await post.drain()).sent == 1
        assert await post.room.email.copy() is not None
        found = await post.show(item)
        assert (found.state, found.reason, found.attempts) == ("sent", "", 1)
        assert found.sent_copy is not None
        assert (found.sent_copy.state, bool(found.sent_copy.said)) == ("waiting", True)
        await mailbox.up()
        await copy_again(post)
    assert await state(post, item) == "kept"
    assert len(copies(post)) == 1


async def test_a_worker_makes_copies(post: Outgoing, settings: Settings) -> None:
    """Sent by a worker, copied by it: nobody has to ask."""
    await post.service(sent_copy="append")
    for number in range(3):
        await post.store(subject=f"m{number}")
    arguments = ("--room", str(settings.room), "--kek", str(settings.kek), "worker")
    with Child("-m", "postroom", *arguments):
        await soon(lambda: len(copies(post)) == 3, seconds=10.0)
    post.arrived(3)


async def test_a_connection_used_without_a_service_copies_too(post: Outgoing) -> None:
    """The implicit service has every default."""
    item = await post.room.email.send("connection:acme", post.draft(), wait=10.0)
    await soon(lambda: len(copies(post)) == 1, seconds=8.0)
    assert item.state == "sent"


async def test_append_without_a_mailbox_is_refused_when_it_is_saved(post: Outgoing) -> None:
    """There is no Sent folder to append to."""
    await post.room.connections.set("acme", {"incoming": {"protocol": "none"}}, rebind=True)
    with pytest.raises(Refused) as refused:
        await post.service(sent_copy="append")
    assert refused.value.code == "not_supported"
    await post.service()
    assert await state(post, (await post.send()).id) == ""


def test_a_failed_copy_is_said_and_the_send_is_a_success(
    cli: Cli, wired: User, ground: Ground
) -> None:
    """Exit 0 of the drain; `outbox show` says why there is no copy."""
    assert cli("service", "set", "orders-out", "--sent-copy", "append").status == 0
    assert cli("connection", "set", "acme", "--set", "incoming.read_only=true").status == 0
    to = ground.user().address
    send = ("send", "--via", "orders-out", "--to", to, "--subject", "x", "--text", "t", "--forget")
    item = cli(*send, "--json").json["id"]
    drained = cli("outbox", "drain")
    assert drained.status == 0, drained.err
    assert "read-only" in drained.err
    shown = cli("outbox", "show", item, "--json").json
    assert (shown["state"], shown["sent_copy"]["state"]) == ("sent", "failed")
    assert "read-only" in shown["sent_copy"]["said"]
    assert "failed: This connection is read-only" in cli("outbox", "show", item).out


def test_a_copy_that_is_on_its_way_is_not_called_waiting(
    cli: Cli, wired: User, ground: Ground
) -> None:
    """The answer comes before the copy is made; nothing is wrong, and nobody has to do anything."""
    sent = cli("send", "--via", "orders-out", "--to", wired.address, "--text", "x")
    assert sent.status == 0, sent.err
    assert "waiting" not in sent.out
    assert sent.out.split("sent_copy", 1)[1].split()[0] in ("follows", "kept")
    [item] = cli("outbox", "list", "--json").json["items"]
    assert cli("outbox", "show", item["id"], "--json").json["sent_copy"]["state"] == "kept"
    assert len(maildir.read(wired.maildir, "Sent")) == 1
