"""Rounds of telling: one message for a cause and one when it is over, whatever comes in between."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room, open_room
from postroom.clock import timestamp
from postroom.errors import Refused
from postroom.notices import rows
from postroom.secret import Secret
from postroom.services.outbox import first_id
from postroom.settings import Settings
from tests.ground import Pki
from tests.ground.hooks import Hooks, hooks
from tests.journeys.test_notify import A_WHILE_AGO, next_round


@pytest.fixture
async def hook(room: Room, pki: Pki) -> AsyncIterator[Hooks]:
    """A webhook that takes what it is told, and a way to it by the name of "hook"."""
    details = {"certificate": pki.ca.read_text()}
    await room.credentials.create("ca", "trusted_certificate", details=details)
    async with hooks(pki) as found:
        await room.notify.add({"name": "hook", "url": f"{found.url}/x", "trust": "ca"})
        yield found


@pytest.fixture
async def source(room: Room, tmp_path: Path) -> str:
    """A source that nobody collects, which is due in an hour."""
    incoming = {"protocol": "imap", "host": "imap.example.com", "auth": {"type": "none"}}
    outgoing = {"protocol": "smtp", "host": "smtp.example.com", "auth": {"type": "none"}}
    await room.connections.add({"name": "acme", "incoming": incoming, "outgoing": outgoing})
    sink = {"type": "directory", "path": str(tmp_path / "orders")}
    await room.sources.add({"name": "in", "connection": "acme", "sink": sink})
    await execute(room, "UPDATE sources SET due_at = :due", due=timestamp() + 9000)
    return "in"


async def execute(room: Room, text: str, **values: Any) -> None:
    await room.desk.db.write(lambda tx: tx.execute(text, **values))


def told(hook: Hooks, word: str) -> list[tuple[str, str]]:
    return [(event, said) for event, said in hook.said() if word in said]


# ------------------------------------------------------------------------------ jobs


async def ran(room: Room, state: str, *, ago: float) -> None:
    """The schedule of the job began a run, which ended so."""
    await execute(
        room,
        "INSERT INTO runs (id, job, job_key, state, reason, cause, parameters, depth, attempts, "
        "killed, created_by, created_at, result, error, cancelled_by, due_at, epoch, finished_at) "
        "VALUES (:id, 'Nightly', 'nightly', :state, 'it broke', 'schedule', '{}', 0, 1, 0, '', 0, '', "
        "'', '', 0, 0, :at)",
        id=first_id(timestamp() - ago), state=state, at=timestamp() - ago,
    )  # fmt: skip


@pytest.fixture
async def job(room: Room) -> None:
    """A job whose last run failed, half a day ago."""
    await room.variables.add("x", "y")
    await room.connections.add(
        {
            "name": "out",
            "outgoing": {"protocol": "smtp", "host": "smtp.example.com", "auth": {"type": "none"}},
        }
    )
    await room.jobs.add({"name": "Nightly", "steps": [{"test-connection": {"via": "out"}}]})
    await ran(room, "failed", ago=43200)


async def test_a_job_is_told_when_it_fails_and_when_it_is_over_and_when_it_fails_again(
    room: Room, hook: Hooks, job: None
) -> None:
    await next_round(room)
    await next_round(room)
    assert [event for event, _ in told(hook, "Nightly")] == ["began"]
    await ran(room, "succeeded", ago=36000)
    await next_round(room)
    assert told(hook, "Nightly")[1:] == [("over", "Job Nightly runs well again.")]
    await ran(room, "failed", ago=10)
    await next_round(room)
    await next_round(room)
    assert [event for event, _ in told(hook, "Nightly")] == ["began", "over", "began"]


async def test_a_job_that_was_deleted_is_over(room: Room, hook: Hooks, job: None) -> None:
    await next_round(room)
    await room.jobs.delete("Nightly", force=True)
    await next_round(room)
    assert told(hook, "Nightly")[1:] == [("over", "Job Nightly was deleted.")]
    assert [one["over_at"] for one in await room.notify.notices() if one["cause"] == "job"] != [
        None
    ]


# ------------------------------------------------------------------------------ sources


async def stands(room: Room, state: str, *, ago: float = 0.0, failures: int = 3) -> None:
    await execute(
        room,
        "UPDATE sources SET state = :state, state_since = :since, note = '', failures = :failures, "
        "successes = :successes",
        state=state, since=timestamp() - ago, failures=failures, successes=int(not failures),
    )  # fmt: skip


async def test_a_source_that_is_tried_again_and_fails_again_is_told_of_once(
    room: Room, hook: Hooks, source: str
) -> None:
    """It collects for a moment, then the connection breaks, then the server refuses: it is all one."""
    await stands(room, "backing off", ago=1200)
    await next_round(room)
    assert [event for event, _ in told(hook, "Source in")] == ["began"]
    for state in ("collecting", "backing off", "connecting", "failed", "waiting for sign-in"):
        await stands(room, state)
        await next_round(room)
    assert [event for event, _ in told(hook, "Source in")] == ["began"]
    await stands(room, "idle", failures=0)
    await next_round(room)
    assert told(hook, "Source in")[1:] == [("over", "Source in collects again.")]


async def test_a_source_that_nobody_takes_is_not_well_when_the_last_worker_ends(
    room: Room, hook: Hooks, source: str
) -> None:
    await execute(room, "UPDATE sources SET due_at = :due", due=timestamp() - 1200)
    await next_round(room)
    assert [event for event, _ in told(hook, "Source in")] == ["began"]
    await execute(room, "DELETE FROM workers")
    await execute(room, "UPDATE duties SET due_at = 0, owner = NULL")
    await execute(room, "UPDATE sources SET state = 'listening'")
    kept = {one["cause"]: one for one in (await room.telling.check())["notices"]}
    assert kept["source"]["over_at"] is None
    assert [event for event, _ in told(hook, "Source in")] == ["began"]


async def test_a_source_that_was_deleted_is_over(room: Room, hook: Hooks, source: str) -> None:
    await stands(room, "failed", ago=1200)
    await next_round(room)
    await room.sources.delete("in")
    await next_round(room)
    assert told(hook, "Source in")[1:] == [("over", "Source in was deleted.")]


async def test_what_is_broken_is_no_way_while_it_is_tried_again(
    room: Room, hook: Hooks, source: str
) -> None:
    """Of another cause nobody is told over the connection of a source that is being tried again."""
    await room.services.add({"name": "alerts", "connection": "acme", "from": "us@example.com"})
    await room.notify.delete("hook")
    await room.notify.add(
        {
            "name": "mail",
            "service": "alerts",
            "to": ["ops@example.com"],
            "causes": ["source", "job"],
        }
    )
    await stands(room, "failed", ago=1200)
    await next_round(room)
    await stands(room, "collecting")
    await room.jobs.add({"name": "Nightly", "steps": [{"test-connection": {"via": "acme"}}]})
    await ran(room, "failed", ago=60)
    await next_round(room)
    assert list(await room.outbox.list()) == []


# ------------------------------------------------------------------------------ ways


async def test_an_email_that_was_late_once_is_a_way_again_for_what_comes_next(
    room: Room, hook: Hooks
) -> None:
    """Its service was held for a quarter of an hour; the next step of the expiry goes by email again."""
    outgoing = {"protocol": "smtp", "host": "smtp.example.com", "auth": {"type": "none"}}
    await room.connections.add({"name": "out", "outgoing": outgoing})
    await room.services.add({"name": "alerts", "connection": "out", "from": "us@example.com"})
    await room.notify.add(
        {"name": "mail", "service": "alerts", "to": ["ops@example.com"], "causes": ["expiry"]}
    )
    await room.notify.set("hook", {"instead_of": "mail"})
    await room.credentials.create("key", "secret", details={"value": Secret("a-key-that-ends-4c")})

    async def emails() -> int:
        return sum("Credential key" in one.subject for one in await room.outbox.list())

    async def ends(days: int) -> None:
        on = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=days)
        await room.credentials.change("key", expires_at=on.isoformat())
        room.telling._look_at["expiry"] = 0.0
        await next_round(room)

    await ends(13)
    assert await emails() == 1
    await execute(room, A_WHILE_AGO)
    await next_round(room)
    await next_round(room)
    assert [event for event, _ in told(hook, "Credential key")] == ["began"]
    assert await emails() == 1
    await ends(6)
    assert await emails() == 2
    assert [event for event, _ in told(hook, "Credential key")] == ["began"]


# ------------------------------------------------------------------------------ several processes


async def test_what_another_process_found_long_ago_ends_nothing_and_begins_nothing(
    room: Room, hook: Hooks, settings: Settings
) -> None:
    """Each looks through credentials and the record now and then: an old look is nobody's news."""
    await room.credentials.create("key", "secret", details={"value": Secret("a-key-that-ends-4c")})
    other = await open_room(settings)
    try:
        await next_round(other)  # all is well, as it finds
        on = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=5)
        await room.credentials.change("key", expires_at=on.isoformat())
        await execute(room, "UPDATE audit SET actor = 'nobody' WHERE position = 3")
        await next_round(room)
        assert len(told(hook, "Credential key")) == len(told(hook, "not whole")) == 1
        await next_round(other)
        await next_round(room)
        assert {event for event, _ in hook.said()} == {"began"}
        # the other looks anew, and finds it replaced; the first, which looked before, does not know
        on = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=90)
        await room.credentials.change("key", expires_at=on.isoformat())
        other.telling._look_at["expiry"] = 0.0
        await next_round(other)
        await next_round(room)
        await next_round(room)
        assert [event for event, _ in told(hook, "Credential key")] == ["began", "over"]
    finally:
        await other.close()


async def test_what_was_told_by_whoever_ended_before_noting_it_is_told_again_under_the_same_id(
    room: Room, hook: Hooks, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once: a webhook sees by the id that it is the same, and an email is not doubled."""
    outgoing = {"protocol": "smtp", "host": "smtp.example.com", "auth": {"type": "none"}}
    await room.connections.add({"name": "out", "outgoing": outgoing})
    await room.services.add({"name": "alerts", "connection": "out", "from": "us@example.com"})
    await room.notify.add({"name": "mail", "service": "alerts", "to": ["ops@example.com"]})
    settle = rows.settle

    def ended(*_: object) -> None:
        raise Refused("It was killed.")

    monkeypatch.setattr(rows, "settle", ended)
    with pytest.raises(Refused):
        await next_round(room)
    monkeypatch.setattr(rows, "settle", settle)
    other = await open_room(settings)
    try:
        await next_round(other)
    finally:
        await other.close()
    first, again = [one for one in hook.requests if "certificate" in one.json["said"]]
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert len(list(await room.outbox.list())) == 1


async def test_a_way_that_does_not_answer_is_asked_once_a_round(
    room: Room, hook: Hooks, job: None
) -> None:
    """Of ten causes each would wait for it, and the others and the pings for them."""
    for name in ("one", "two"):
        on = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=5)).isoformat()
        await room.credentials.create(
            name, "secret", expires_at=on, details={"value": Secret(f"a-key-that-ends-{name}")}
        )
    hook.status = 500
    await next_round(room)
    assert len(hook.requests) == 1
    hook.status = 204
    await next_round(room)
    assert len(hook.requests) == 1 + 3  # all but the one that waits for its next try
