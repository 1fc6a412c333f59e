"""The library: the same room for programs, asynchronous and synchronous."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import postroom
from postroom.library import AsyncService, SyncRoom
from postroom.operations.doors import DOORS
from tests.ground.maildir import arrived
from tests.journeys.conftest import Account, Cli

if TYPE_CHECKING:
    from tests.ground import Ground, User


def test_a_synchronous_program_sends_and_reads(cli: Cli, wired: User, ground: Ground) -> None:
    """DESIGN 4.9, word for word."""
    ground.dovecot.fill(wired, [b"Subject: unread\r\n\r\nhello\r\n"], flags="")
    other = ground.user()
    with postroom.open(cli.settings.room, kek=cli.settings.kek) as room:
        item = room.service("orders-out").send(to=other.address, subject="Hello", text="...")
        found = [(message.subject, message.attachments)
                 for message in room.connection("acme").folder("INBOX").search("unseen")]  # fmt: skip
        assert room.connection("acme").test().ok
        assert [one["name"] for one in room.services.list()] == ["orders-out"]
    assert item.state == "sent"
    assert found == [("unread", [])]
    assert b"Subject: Hello" in arrived(other.maildir)[0]


def test_a_program_that_does_not_wait(cli: Cli, wired: User, ground: Ground) -> None:
    """``send_and_forget`` gives the id of what is stored; whoever drains the outbox sends it."""
    other = ground.user()
    with postroom.open(cli.settings.room, kek=cli.settings.kek) as room:
        item = room.service("orders-out").send_and_forget(
            to=other.address, subject="Later", text="x"
        )
        assert room.outbox.show(item).state == "queued"
    assert cli("outbox", "drain").status == 0
    assert b"Subject: Later" in arrived(other.maildir)[0]


def test_leaving_an_iteration_early_closes_the_connection(
    cli: Cli, wired: User, ground: Ground
) -> None:
    ground.dovecot.fill(wired, [b"Subject: %d\r\n\r\nx\r\n" % n for n in range(5)])
    with postroom.open(cli.settings.room, kek=cli.settings.kek) as room:
        for message in room.connection("acme").folder().search("all"):
            assert message.subject == "4"
            break
        assert room.connection("acme").folders()


def test_the_synchronous_methods_have_the_asynchronous_signatures(cli: Cli) -> None:
    with postroom.open(cli.settings.room, kek=cli.settings.kek) as room:
        sync = inspect.signature(type(room.service("x")).send)
        assert sync == inspect.signature(AsyncService.send)
        assert isinstance(room, SyncRoom)


def test_the_versions_of_a_credential_are_there_too(cli: Cli) -> None:
    with postroom.open(cli.settings.room, kek=cli.settings.kek) as room:
        room.credentials.create("token", "secret", details={"value": "the first value of it"})
        room.credentials.set("token", {"value": "the second value of it"})
        assert room.versions.restore("token", 1) == 3
        assert [one["version"] for one in room.versions.list("token")] == [3, 2, 1]


def test_the_keys_that_open_the_room_are_there_too(cli: Cli, tmp_path: Path) -> None:
    """The part of a noun that has operations of its own; nothing there gives a key away."""
    with postroom.open(cli.settings.room, kek=cli.settings.kek) as room:
        [first] = room.keys.kek.list()
        added = room.keys.kek.add(f"file:{tmp_path / 'second'}", make=True)
        assert {one["id"] for one in room.keys.kek.list()} == {first["id"], added}
        for noun in (room.keys, room.keys.kek):
            assert not {name for name in dir(noun) if "keyring" in name or name == "all"}
        assert room.keys.status()["state"] == "open"


def test_errors_come_through_as_they_are(cli: Cli) -> None:
    with (
        postroom.open(cli.settings.room, kek=cli.settings.kek) as room,
        pytest.raises(postroom.PostroomError) as caught,
    ):
        room.service("nowhere").send(to="a@example.com")
    assert caught.value.code == "not_found"


def test_a_token_is_not_taken_and_ignored(tmp_path: Path) -> None:
    """A token says who asks a room that is served; here it would say nothing."""
    with pytest.raises(postroom.PostroomError, match="token is for a room that is served"):
        postroom.open(tmp_path, token="t")


async def test_messages_are_moved_flagged_and_deleted(account: Account) -> None:
    """Reading leaves a message unseen; changes touch exactly the named ids."""
    account.ground.dovecot.fill(account.user, [b"Subject: %d\r\n\r\nx\r\n" % n for n in range(3)])
    settings = account.room.settings
    async with postroom.aopen(settings.room, kek=settings.kek) as room:
        inbox = room.connection("acme").folder("INBOX")
        ids = {message.subject: message.id async for message in inbox.search("all")}
        await inbox.move([ids["0"]], "Kept", create=True)
        await inbox.flag([ids["1"]], add=["flagged"])
        assert await inbox.delete([ids["2"]])
        left = [(message.subject, message.flags) async for message in inbox.search("all")]
        moved = [message.subject async for message in
                 room.connection("acme").folder("Kept").search("unseen")]  # fmt: skip
    assert left == [("1", frozenset({"flagged"}))]
    assert moved == ["0"]


def test_a_room_here_has_what_one_afar_has(cli: Cli) -> None:
    """One program for both: every noun with a door, and each of its methods."""
    with postroom.open(cli.settings.room, kek=cli.settings.kek) as room:
        for door in DOORS:
            assert callable(getattr(getattr(room, door.noun), door.method)), door
        assert room.users.list() == []
