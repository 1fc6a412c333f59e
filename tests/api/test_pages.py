"""Lists: every one comes in pages, in one way, however long it is; from afar they are whole again."""

from __future__ import annotations

from typing import Any

import pytest

import postroom
from postroom.app import NOUNS, Room
from postroom.errors import InvalidValue
from postroom.mail import Draft
from postroom.operations.asking import all_asked
from postroom.operations.documents import encoded
from postroom.operations.page import MOST, cut
from tests.api.asking import Client
from tests.api.conftest import Served
from tests.api.test_matrix import address, furnish

pytestmark = pytest.mark.bares("file", why="tokens of the tests")
LISTS = {one.door.path: one for one in all_asked(NOUNS).values() if one.pages}
LINES = 7


async def fill(room: Room) -> dict[str, str]:
    """Several of what rooms have many of; gives what an address may name."""
    await furnish(room)
    side = {"protocol": "imap", "host": "127.0.0.1", "port": "1"}
    for n in range(LINES):
        name = f"{'bB'[n % 2]}{n}"  # sorted without regard to case
        await room.credentials.create(name, "secret", details={"value": f"v{n}"})
        await room.credentials.set("acme", {"password": f"another password {n}"})
        await room.connections.add({"name": name, "incoming": side})
        await room.services.add({"name": name, "connection": "acme"})
        await room.users.add(f"u{name}", "viewer")
        await room.tokens.add(name, user=f"u{name}")
        await room.jobs.add({"name": name, "steps": [{"list-folders": {"via": "acme"}}]})
        item = await room.email.store("service:acme", Draft(None, to="a@example.com", text=name))
        run = await room.runs.begin(name)
        await room.runs.cancel(run)
    return {"item": item, "run": run}


async def walked(client: Client, path: str, limit: int) -> list[list[Any]]:
    pages, after = [], ""
    while True:
        joint = "&" if "?" in path else "?"
        answer = await client.get(f"{path}{joint}limit={limit}{after}")
        assert answer.status_code == 200, (path, answer.text)
        told = answer.json()
        assert len(told["items"]) <= limit, path
        pages.append(told["items"])
        if told["next"] is None:
            return pages
        after = f"&after={told['next']}"


async def test_pages_of_every_list_make_up_the_list(client: Client, room: Room) -> None:
    """Generated: each list is walked three at a time, and none is missing, none is there twice."""
    known = await fill(room)
    long = 0
    for path in LISTS:
        for name, value in known.items():
            path = path.replace(f"{{{name}}}", value)
        path = path.replace("{name}/secrets", "app/secrets").replace(
            "s/{name}/sess", "s/viewer/sess"
        )
        path = address(path)
        [whole] = await walked(client, path, MOST)
        pages = await walked(client, path, 3)
        assert [one for page in pages for one in page] == whole, path
        assert all(len(page) == 3 for page in pages[:-1]), path
        long += len(pages) > 1
    assert long >= 9, long


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x"])
async def test_a_page_has_a_bound(client: Client, limit: str) -> None:
    for path in LISTS:
        if "{" not in path:
            assert (await client.get(f"{path}?limit={limit}")).status_code == 422, path


async def test_an_after_that_no_page_said_is_refused(client: Client, room: Room) -> None:
    await furnish(room)
    for path in ("/connections", "/users", "/runs", "/outbox", "/ledger", "/audit"):
        answer = await client.get(f"{path}?after=surely-not")
        assert answer.status_code == 422, path
        assert "surely-not" not in answer.text


async def test_a_list_without_a_limit_is_a_page(client: Client, room: Room) -> None:
    for n in range(105):
        await room.credentials.create(f"c{n:03}", "secret")
    told = (await client.get("/credentials")).json()
    assert (len(told["items"]), told["next"]) == (100, "c099")
    told = (await client.get("/credentials?unused=0")).json()
    assert len(told["items"]) == 100
    rest = (await client.get(f"/credentials?unused=0&after={told['next']}")).json()
    assert (rest["items"][0]["name"], rest["next"]) == ("c100", None)


async def test_from_afar_a_list_is_whole(
    served: Served, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library walks the pages: what it gives is what an opened room gives."""
    monkeypatch.setattr("postroom.library.wire.MOST", 3)
    run = (await fill(room))["run"]
    async with postroom.aopen(served.url, token=served.tokens["admin"]) as far:
        for noun, given in (
            ("credentials", {}), ("credentials", {"limit": 5}), ("connections", {}), ("users", {}),
            ("tokens", {}), ("audit", {}), ("audit", {"limit": 7, "noun": "user"}), ("runs", {}),
            ("runs", {"limit": 4}), ("outbox", {}), ("outbox", {"limit": 6}), ("services", {}),
        ):  # fmt: skip
            there = await getattr(far, noun).list(**given)
            here = await getattr(room, noun).list(**given)
            assert type(there) is type(here), (noun, given)
            assert [encoded(one) for one in there] == [encoded(one) for one in here], (noun, given)
            assert getattr(there, "next", None) == getattr(here, "next", None), (noun, given)
        assert await far.runs.log(run) == await room.runs.log(run)
        with pytest.raises(InvalidValue):
            await far.credentials.list(limit=0)


def test_a_page_goes_on_where_the_last_one_ended() -> None:
    """What comes and goes in front moves no page; what is gone is gone on behind."""
    names = [{"name": name} for name in "bdfhk"]
    first = cut(names, limit=2)
    assert ([one["name"] for one in first], first.next is not None) == (["b", "d"], True)
    more = cut([{"name": "a"}, *names], limit=2, after=str(first.next))
    assert [one["name"] for one in more] == ["f", "h"]
    gone = cut([names[0], *names[2:]], limit=9, after=str(first.next))
    assert [one["name"] for one in gone] == ["h", "k"]
    assert cut(names, limit=9, after="5.0123456789abcdef") == []
    assert cut(names, limit=None) == names
