"""What a notification tells is what whoever saved it last might read: names of what is hidden from them,
the audit record and which ports answer are not theirs."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from postroom.access import ROLES, Person
from postroom.app import Room
from postroom.clock import timestamp
from postroom.secret import Secret
from tests.ground import Pki
from tests.ground.hooks import Hooks, hooks
from tests.journeys.test_notify import next_round


@pytest.fixture
async def eve(room: Room) -> Room:
    """The room as an editor works on it."""
    await room.users.add("eve", "editor")
    user = await room.desk.db.read(lambda tx: tx.value("SELECT id FROM users WHERE name = 'eve'"))
    return room.acting(Person("user:eve", "editor", ROLES["editor"], user))


@pytest.fixture
async def hook(room: Room, pki: Pki) -> AsyncIterator[Hooks]:
    """Whoever saves a notification here hears of causes about what is hidden, and what is not."""
    details = {"certificate": pki.ca.read_text()}
    await room.credentials.create("ca", "trusted_certificate", details=details)
    ends = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=5)).isoformat()
    for name in ("payroll", "orders"):
        fields = {"user_name": "a", "password": Secret(f"never-told-{name}")}
        await room.credentials.create(name, "password", expires_at=ends, details=fields)
    await room.grants.restrict("payroll")
    async with hooks(pki) as found:
        yield found


async def saved(room: Room, hook: Hooks, name: str = "hers", **fields: object) -> None:
    await room.notify.add({"name": name, "url": f"{hook.url}/{name}", "trust": "ca", **fields})


def heard(hook: Hooks, name: str = "hers") -> str:
    """All that came to one notification."""
    return "\n".join(one.body.decode() for one in hook.requests if one.target == f"/{name}")


async def changed_record(room: Room) -> None:
    await room.desk.db.write(
        lambda tx: tx.execute("UPDATE audit SET actor = 'nobody' WHERE position = 3")
    )


async def test_an_editor_s_notification_tells_what_they_see(
    room: Room, eve: Room, hook: Hooks
) -> None:
    """T48: not of a credential that is restricted, nor of the audit record; an administrator's does."""
    await saved(eve, hook)
    await saved(room, hook, "ours")
    await changed_record(room)
    await next_round(room)
    assert "Credential orders: expires" in heard(hook)
    assert "payroll" not in heard(hook)
    assert "audit" not in heard(hook)
    for word in ("orders", "payroll", "audit record is not whole"):
        assert word in heard(hook, "ours")
    assert {one["name"]: one["saved_by"] for one in await room.notify.list()} == {
        "hers": "eve", "ours": "",
    }  # fmt: skip
    told = {one["name"] for one in await eve.notify.notices()}
    assert told & {"payroll", "audit"} == set()


async def test_with_a_grant_it_tells_of_that_too_and_no_more_without(
    room: Room, eve: Room, hook: Hooks
) -> None:
    """T48: what was begun to be told is told to be over; what begins after it is not."""
    await saved(eve, hook)
    await room.grants.give("payroll", "user:eve")
    await next_round(room)
    assert "Credential payroll" in heard(hook)
    await room.grants.take("payroll", "user:eve")
    for days in (2, 90):
        later = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=days)
        await room.credentials.change("payroll", expires_at=later.isoformat())
        room.telling._look_at["expiry"] = 0.0
        await next_round(room)
    assert "expires in 2 days" not in heard(hook)
    assert "Credential payroll: what was to expire" in heard(hook)


async def test_of_whom_is_shut_out_it_tells_as_of_nobody(
    room: Room, eve: Room, hook: Hooks
) -> None:
    """T48: grants are a person's, and theirs end with them."""
    await saved(eve, hook)
    await room.grants.give("payroll", "user:eve")
    await room.users.set("eve", disabled=True)
    await next_round(room)
    assert "orders" in heard(hook)
    assert "payroll" not in heard(hook)


async def test_who_saves_it_last_counts(room: Room, eve: Room, hook: Hooks) -> None:
    """T48: an editor changes an administrator's, and it tells no more than they see; and back."""
    await saved(room, hook, "hers")
    await eve.notify.set("hers", {"description": "mine now"})
    await next_round(room)
    assert "payroll" not in heard(hook)
    await room.notify.set("hers", {"description": "ours"})
    await next_round(room)
    assert "payroll" in heard(hook)


async def test_what_an_administrator_s_was_told_is_not_over_for_who_changes_it(
    room: Room, eve: Room, hook: Hooks
) -> None:
    """T48: the address is another's now, who never heard that it began."""
    await saved(room, hook, "ours")
    await next_round(room)
    assert "payroll" in heard(hook, "ours")
    await eve.notify.set("ours", {"url": f"{hook.url}/hers"})
    await room.credentials.change("payroll", expires_at="2090-01-01")
    room.telling._look_at["expiry"] = 0.0
    await next_round(room)
    assert "payroll" not in heard(hook)


async def test_an_editor_s_notification_that_stands_in_hears_no_more(
    room: Room, eve: Room, hook: Hooks
) -> None:
    """T48: the other one cannot be told; this one is, of what its editor sees."""
    await room.notify.add({"name": "first", "command": ["/bin/false"]})
    await saved(eve, hook, instead_of="first")
    await next_round(room)
    await next_round(room)  # a way that failed is asked for one thing a round
    assert "orders" in heard(hook)
    assert "payroll" not in heard(hook)
    lasting = {one["name"]: one["told"] for one in await room.notify.notices()}
    assert [one["ok"] for one in lasting["payroll"]] == [False]


async def test_a_token_that_may_not_see_to_people_saves_as_its_user(
    room: Room, hook: Hooks
) -> None:
    """T48: an administrator's token of less sees what was granted to them, and so does what it saves."""
    await room.users.add("root", "admin")
    user = await room.desk.db.read(lambda tx: tx.value("SELECT id FROM users WHERE name = 'root'"))
    token = Person("token:x of root", "admin", frozenset({"view", "edit", "audit"}), user, "x")
    await saved(room.acting(token), hook)
    await next_round(room)
    assert "orders" in heard(hook)
    assert "payroll" not in heard(hook)


async def test_why_no_server_answers_is_not_told(
    room: Room, eve: Room, hook: Hooks, tmp_path: Path
) -> None:
    """T59: a source at any host and port of whoever edits is no scanner, also by what is told later."""
    await saved(eve, hook, causes=["source"])
    incoming = {"protocol": "imap", "host": "127.0.0.1", "port": "9", "auth": {"type": "none"}}
    await room.connections.add({"name": "near", "incoming": incoming})
    sink = {"type": "directory", "path": str(tmp_path / "orders")}
    await room.sources.add({"name": "in", "connection": "near", "sink": sink})
    await saved(room, hook, "ours", causes=["source"])
    note = "No mail server answers at 127.0.0.1:9. connect: Connection refused."
    since = timestamp() - 1200
    await room.desk.db.write(
        lambda tx: tx.execute(
            "UPDATE sources SET state = 'backing off', note = :note, state_since = :since",
            note=note, since=since,
        )
    )  # fmt: skip
    await next_round(room)
    assert "Source in collects nothing" in heard(hook)
    assert "refused" not in heard(hook)
    assert "refused" in heard(hook, "ours")
