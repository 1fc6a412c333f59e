"""A served room in the library: the same methods, the same types, the same errors as an opened one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import postroom
from postroom.app import Room
from postroom.errors import InvalidValue, NotThere, Refused, RoomError, UnknownField
from postroom.operations.documents import encoded
from tests.api.conftest import Served
from tests.api.test_matrix import CANARY, furnish

pytestmark = pytest.mark.bares(
    "file", why="the tokens of the tests are not sealed: they are hashed"
)


@pytest.fixture
async def remote(served: Served) -> AsyncIterator[Any]:
    async with postroom.aopen(served.url, token=served.tokens["admin"]) as room:
        yield room


READS = [
    ("credentials", "list", ()), ("credentials", "show", ("acme",)), ("credentials", "usage", ("acme",)),
    ("versions", "list", ("acme",)), ("client_secrets", "list", ("app",)), ("connections", "list", ()),
    ("connections", "show", ("acme",)), ("connections", "log", ("acme",)), ("signins", "list", ()),
    ("services", "list", ()), ("services", "show", ("acme",)), ("services", "usage", ("acme",)),
    ("sources", "list", ()), ("ledger", "list", ()), ("outbox", "list", ()), ("jobs", "list", ()),
    ("runs", "list", ()), ("variables", "list", ()), ("variables", "get", ("acme",)),
    ("variables", "usage", ("acme",)), ("roomfile", "export", ()), ("keys", "status", ()),
    ("keys", "damaged", ()), ("converting", "census", ()), ("erasing", "plan", ("ann@example.com",)),
    ("outbox", "waiting", ()), ("outbox", "unattended", ()), ("commands", "describe", ()),
    ("users", "list", ()), ("tokens", "list", ()), ("grants", "list", ()),
]  # fmt: skip


async def test_what_is_read_from_afar_is_what_is_read_here(served: Served, remote: Any) -> None:
    await furnish(served.room)
    for noun, method, given in READS:
        there = await getattr(getattr(remote, noun), method)(*given)
        here = getattr(getattr(served.room, noun), method)(*given)
        here = await here if asyncio.iscoroutine(here) else here
        assert type(there) is type(here), (noun, method)
        assert there == here, (noun, method)
        if hasattr(here, "next"):
            assert vars(there) == vars(here), (noun, method)


async def test_a_test_tells_its_steps_from_afar(served: Served, remote: Any) -> None:
    await furnish(served.room)
    heard: list[Any] = []
    report = await remote.connections.test("acme", on_step=lambda *told: heard.append(told))
    here = await served.room.connections.test("acme")
    assert not report.ok
    assert [(place, step.name) for place, step in heard] == [
        (side.place, step.name) for side in here.sides for step in side.steps
    ]
    assert [type(side.error) for side in report.sides] == [type(side.error) for side in here.sides]
    assert [encoded(side.error)["code"] for side in report.sides] == [
        encoded(side.error)["code"] for side in here.sides
    ]
    assert report.sides[0].advice == here.sides[0].advice


async def test_a_record_lives_and_dies_from_afar(served: Served, remote: Any) -> None:
    saved = await remote.credentials.create(
        "far", "password", details={"user_name": "ann", "password": postroom.Secret(CANARY)}
    )
    assert saved.credential.state == "complete"
    here = await served.room.credentials.get("far")
    assert type(saved.credential) is type(here)
    assert encoded(saved.credential) == encoded(here)
    await remote.credentials.set("far", {"user_name": "bob"}, description="of bob")
    shown = await served.room.credentials.show("far")
    assert (shown["fields"]["user_name"], shown["description"]) == ("bob", "of bob")
    await remote.variables.add("HOST", "a")
    done = await remote.variables.set("HOST", "b")
    assert done == (True, ())
    await remote.credentials.delete("far")
    assert await served.room.credentials.list() == []


@pytest.mark.parametrize(
    ("call", "kind", "code"),
    [
        (lambda room: room.credentials.show("none"), NotThere, "not_found"),
        (
            lambda room: room.connections.add({"name": "x", "typ": "standard"}),
            UnknownField,
            "unknown_field",
        ),
        (lambda room: room.services.add({"name": "?"}), InvalidValue, "invalid_value"),
        (lambda room: room.variables.add("acme", "x"), Refused, "name_taken"),
        (lambda room: room.credentials.delete("acme"), Refused, "in_use"),
    ],
)
async def test_an_error_from_afar_is_the_same(
    served: Served, remote: Any, call: Any, kind: type, code: str
) -> None:
    await furnish(served.room)
    told = []
    for room in (served.room, remote):
        with pytest.raises(kind) as caught:
            await call(room)
        error: Any = caught.value
        told.append((type(error), error.as_json()))
    assert told[0] == told[1]
    assert told[1][1]["code"] == code


async def test_what_wants_the_rooms_files_says_so(remote: Any) -> None:
    with pytest.raises(Refused, match="writes a file where the room is") as caught:
        await remote.backup.create("x")
    assert caught.value.code == "not_supported"
    with pytest.raises(AttributeError):
        remote.credentials.shwo("acme")


async def test_rights_are_those_of_the_token(served: Served) -> None:
    async with postroom.aopen(served.url, token=served.tokens["viewer"]) as room:
        assert await room.credentials.list() == []
        with pytest.raises(Refused) as caught:
            await room.variables.add("a", "b")
        assert caught.value.code == "not_permitted"
    async with postroom.aopen(served.url, token="pr_nobody") as room:
        with pytest.raises(Refused) as caught:
            await room.credentials.list()
        assert caught.value.code == "not_signed_in"


async def test_the_synchronous_library_opens_a_served_room(served: Served) -> None:
    await furnish(served.room)

    def program() -> tuple[Any, Any]:
        with postroom.open(served.url, token=served.tokens["operator"]) as room:
            return room.credentials.show("acme"), room.outbox.list()

    shown, listed = await asyncio.to_thread(program)
    assert shown["fields"]["password"].startswith("****")
    assert (listed.total, listed.next) == (0, None)


async def test_a_message_is_sent_from_afar_with_files_from_here(
    served: Served, room: Room, tmp_path: Any
) -> None:
    """T54: what is attached is read where the program is; a path is nothing that a request may say."""
    await furnish(room)
    (tmp_path / "bill.txt").write_text("the bill")
    async with postroom.aopen(served.url, token=served.tokens["operator"]) as far:
        item = await far.service("service:acme").send_and_forget(
            to="bob@example.com", subject="Hello", text="x", attachments=[tmp_path / "bill.txt"]
        )
        assert b"bill.txt" in await room.outbox.content(item)
        assert encoded(await far.outbox.show(item)) == encoded(await room.outbox.show(item))
        for command, given in (
            (
                "send-email",
                {"via": "service:acme", "to": "b@example.com", "attachments": ["/etc/passwd"]},
            ),
            ("save-email", {"via": "acme", "ids": ["1"], "to": "/tmp/x"}),
        ):
            with pytest.raises(Refused) as caught:
                await far.commands.run(command, given)
            assert caught.value.code == "not_supported"


def test_http_is_for_this_machine_alone() -> None:
    with (
        pytest.raises(postroom.PostroomError),
        postroom.open("http://room.example.com", token="pr_x"),
    ):
        pass
    with pytest.raises(RoomError, match="no token"), postroom.open("https://room.example.com"):
        pass
