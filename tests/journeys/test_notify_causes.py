"""Each cause as the tables of a room tell it, and no message twice for one and the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room
from postroom.clock import timestamp
from postroom.credentials.tokens import rows as tokens
from postroom.db import Tx
from postroom.notices.causes import Found, at_work, audit_failure, step_of
from postroom.services.outbox import first_id

AUTH = {
    "type": "oauth_device_flow",
    "authority": "https://login.example.com",
    "client_id": "app",
    "scopes": ["offline_access", "mail"],
}


@pytest.fixture
async def watched(room: Room, tmp_path: Path) -> Room:
    """A connection on which somebody signs in, a source over it, a service over another; a worker."""
    (await room.desk.seat()).work(())
    incoming = {
        "protocol": "imap",
        "host": "imap.example.com",
        "user": "ann@example.com",
        "auth": AUTH,
    }
    await room.connections.add({"name": "theirs", "incoming": incoming})
    sink = {"type": "directory", "path": str(tmp_path / "orders")}
    await room.sources.add({"name": "in", "connection": "theirs", "sink": sink})
    outgoing = {"protocol": "smtp", "host": "smtp.example.com", "auth": {"type": "none"}}
    await room.connections.add({"name": "out", "outgoing": outgoing})
    await room.services.add({"name": "alerts", "connection": "out"})
    return room


def found(room: Room, *, later: float = 0.0) -> dict[str, Found]:
    def body(tx: Tx) -> list[Found]:
        return at_work(tx, room.desk.resolver(tx), now=timestamp() + later)

    return {one.kind: one for one in room.desk.db.read_now(body)}


async def execute(room: Room, text: str, **values: Any) -> None:
    await room.desk.db.write(lambda tx: tx.execute(text, **values))


async def test_a_room_in_which_all_is_well_has_no_cause(watched: Room) -> None:
    assert found(watched) == {}


async def test_a_sign_in_is_told_once_and_not_as_a_source_that_fails(watched: Room) -> None:
    def required(tx: Tx) -> None:
        side = watched.desk.resolver(tx).effective("theirs").incoming
        assert side is not None
        assert side.grant is not None
        tokens.ensure(tx, side.grant, now=timestamp())
        tx.execute(
            "UPDATE sign_ins SET state = 'sign-in required', note = 'AADSTS700082: it has expired.'"
        )
        tx.execute("UPDATE sources SET state = 'waiting for sign-in', state_since = 0")

    await watched.desk.db.write(required)
    causes = found(watched)
    assert causes.keys() == {"sign-in"}
    one = causes["sign-in"]
    assert one.said.startswith("Somebody has to sign in as ann@example.com, for connection theirs.")
    assert one.do == "Sign in: postroom connection signin theirs"
    assert (one.broken, "connection:theirs" in one.things.own) == (True, True)


@pytest.mark.parametrize("state", ["backing off", "failed", "waiting for sign-in"])
async def test_a_source_is_told_of_after_a_quarter_of_an_hour(watched: Room, state: str) -> None:
    now = timestamp()
    await execute(
        watched,
        "UPDATE sources SET state = :state, note = 'no route', state_since = :since, due_at = :due",
        state=state, since=now - 14 * 60, due=now + 9000,
    )  # fmt: skip
    assert found(watched) == {}
    await execute(watched, "UPDATE sources SET state_since = state_since - 90")
    one = found(watched)["source"]
    assert one.said == f"Source in collects nothing ({state}): no route"
    assert one.things.hosts == {"imap.example.com"}


async def test_dead_letters_are_told_by_source_and_by_service(watched: Room) -> None:
    for number in range(12):
        await execute(
            watched,
            "INSERT INTO ledger (source, store, folder, message, state, reason, attempts, size, "
            "subject, sender, message_id, delivered_to, after_due, due_at, retries, first_seen_at, "
            "updated_at) SELECT id, 'x', 'INBOX', :number, 'failed', '', 1, 1, '', '', '', '', '', 0, "
            "0, 0, 0 FROM sources",
            number=str(number),
        )
    assert (
        found(watched)["ledger"].said == "12 messages of source in failed on the way to the sink."
    )
    assert found(watched)["ledger"].stage == 2
    for state, finished in (("sent", 10.0), ("ambiguous", 20.0)):
        await execute(
            watched,
            "INSERT INTO outbox (id, service, state, reason, message_id, subject, sender, size, utf8, "
            "digest, attempts, created_by, created_at, queued_at, updated_at, finished_at, due_at, "
            "epoch) VALUES (:id, 'alerts', :state, '', '', '', '', 1, 0, :digest, 1, '', 0, 0, 0, "
            ":finished, 0, 0)",
            id=state, state=state, finished=finished, digest=b"",
        )  # fmt: skip
    one = found(watched)["outbox"]
    assert one.said.startswith("1 message of service alerts failed, or nobody knows")
    assert (one.broken, "service:alerts" in one.things.own) == (True, True)
    await execute(watched, "UPDATE outbox SET finished_at = 30 WHERE state = 'sent'")
    assert not found(watched)["outbox"].broken  # it has sent since: a wrong recipient, perhaps


@pytest.mark.parametrize("cause", ["schedule", "message", "manual"])
async def test_a_job_that_fails_by_itself_is_told_until_it_has_gone_well_for_an_hour(
    watched: Room, cause: str
) -> None:
    await watched.jobs.add({"name": "Nightly", "steps": [{"test-connection": {"via": "out"}}]})
    at = timestamp()
    for begun, state in ((at - 7200, "succeeded"), (at - 60, "failed"), (at - 30, "succeeded")):
        await execute(
            watched,
            "INSERT INTO runs (id, job, job_key, state, reason, cause, parameters, depth, attempts, "
            "killed, created_by, created_at, result, error, cancelled_by, due_at, epoch, finished_at) "
            "VALUES (:id, 'Nightly', 'nightly', :state, 'the other side closed', :cause, '{}', 0, 1, "
            "0, '', 0, '', '', '', 0, 0, :at)",
            id=first_id(begun), state=state, cause=cause, at=begun,
        )  # fmt: skip
        if cause != "manual" and state == "failed":
            one = found(watched)["job"]
            assert one.said == "The last run of job Nightly that failed: the other side closed."
            assert one.do == f"See why: postroom job log {first_id(begun)}"
            assert "job" in found(watched, later=90000.0)  # none went well since
    assert ("job" in found(watched)) == (cause != "manual")
    assert "job" not in found(watched, later=3600.0)
    await execute(watched, "UPDATE runs SET state = 'failed'")
    await watched.jobs.delete("nightly", force=True)
    assert "job" not in found(watched)


async def test_without_a_worker_that_is_the_cause_and_not_every_source(
    room: Room, watched: Room
) -> None:
    await execute(watched, "UPDATE sources SET due_at = 0")
    assert found(watched).keys() == {"source"}  # a worker lives, and takes it not
    assert found(watched, later=3600.0).keys() == {"worker"}


def test_the_steps_of_an_end() -> None:
    days = (31, 30, 15, 14, 8, 7, 4, 3, 2, 1, 0, -1, -400)
    assert [step_of(each) for each in days] == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]


def test_what_is_wrong_with_the_record_is_one_cause() -> None:
    assert audit_failure([]) == []
    (one,) = audit_failure(["Row 3 was changed", "Row 9 is missing", "x"])
    assert one.said == "The audit record is not whole: Row 3 was changed. And 2 more."
