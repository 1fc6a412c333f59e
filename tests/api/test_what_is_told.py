"""What pages tell unasked: what needs a person, when a source looks again, how far a work is."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from postroom.clock import timestamp
from postroom.credentials.tokens import rows as tokens
from postroom.mail import Draft
from postroom.secret import Secret
from tests.api.reader import Reader
from tests.journeys.conftest import connect
from tests.web.mailroom import letter

if TYPE_CHECKING:
    from pathlib import Path

    from postroom.app import Room
    from postroom.db import Tx
    from tests.ground import Ground

OAUTH = {
    "type": "oauth_device_flow", "credential": "app", "scopes": ["offline_access", "mail"],
}  # fmt: skip


async def execute(room: Room, text: str, **values: Any) -> None:
    """Change rows as time does."""
    await room.desk.db.write(lambda tx: tx.execute(text, **values))


async def test_the_overview_tells_of_what_is_stuck_dead_or_waits_for_a_sign_in_and_leads_there(
    reader: Reader, room: Room, ground: Ground, tmp_path: Path
) -> None:
    user = ground.user()
    await connect(room, ground, user)
    ground.dovecot.fill(user, [letter("Order 17"), letter("Order 18")])
    sink = {"type": "directory", "path": str(tmp_path / "orders")}
    await room.sources.add({"name": "orders", "connection": "acme", "sink": sink})
    await room.sources.add({"name": "stuck", "connection": "acme", "sink": sink})
    await room.services.add({"name": "out", "connection": "acme"})
    await room.credentials.create("app", "oauth_client", details=_client())
    side = {
        "protocol": "imap",
        "host": "imap.example.com",
        "user": "ann@example.com",
        "auth": OAUTH,
    }
    await room.connections.add({"name": "theirs", "incoming": side})
    await reader.go("/")
    for word in ("Stuck:", "Not delivered:", "Not sent:", "Sign-in:"):
        assert word not in reader.text

    await room.collecting.run("orders")
    await execute(room, "UPDATE ledger SET state = 'failed', reason = 'the disk is full'")
    half = timestamp() - 1800
    failing = "UPDATE sources SET state = 'failed', note = 'no route', state_since = :at WHERE name = 'stuck'"
    await execute(room, failing, at=half)
    draft = Draft(from_=None, to=["unknown@ground.test"], subject="Offer", text="x")
    await room.email.store("out", draft)
    await room.email.dispatch(["out"])
    await room.desk.db.write(lambda tx: _sign_in_required(room, tx))

    await reader.go("/")
    assert "Stuck: Source stuck collects nothing (failed): no route" in reader.text
    assert (
        "Not delivered: 2 messages of source orders failed on the way to the sink." in reader.text
    )
    assert "Not sent:" in reader.text
    assert (
        "Sign-in: Somebody has to sign in as ann@example.com, for connection theirs." in reader.text
    )
    assert "AADSTS700082" in reader.text
    for said, path, there in (
        ("Source stuck", "/sources/stuck", "no route"),
        ("source orders", "/ledger?", "Order 17"),
        ("service out", "/outbox?", "Offer"),
        ("connection theirs", "/connections/theirs/sign-in", "theirs"),
    ):
        await reader.go("/")
        ways = [each for each in reader.offered if said in each.label and each.to.startswith(path)]
        assert len(ways) == 1, (said, reader.labels())
        await reader.go(ways[0].to)
        assert there in reader.text
    await execute(room, "UPDATE ledger SET state = 'done'")
    await reader.go("/")
    assert "Not delivered:" not in reader.text


def _client() -> dict[str, Any]:
    return {
        "authority": "https://login.example.com", "client_id": "c",
        "token_endpoint": "https://login.example.com/t",
        "client_secrets": {"one": {"value": Secret("a client secret of a while ago")}},
    }  # fmt: skip


def _sign_in_required(room: Room, tx: Tx) -> None:
    side = room.desk.resolver(tx).effective("theirs").incoming
    assert side is not None
    assert side.grant is not None
    tokens.ensure(tx, side.grant, now=timestamp())
    told = "AADSTS700082: it has expired."
    tx.execute("UPDATE sign_ins SET state = 'sign-in required', note = :told", told=told)


async def test_a_source_tells_how_far_it_is_behind_and_when_it_looks_again(
    reader: Reader, room: Room, ground: Ground, tmp_path: Path
) -> None:
    """Nobody does what is due: it is behind since then; once it was done, it has its next time."""
    await connect(room, ground, ground.user())
    sink = {"type": "directory", "path": str(tmp_path / "orders")}
    every = {"every": "3h"}
    await room.sources.add(
        {"name": "orders", "connection": "acme", "sink": sink, "schedule": every}
    )
    two_hours = timestamp() - 7205
    await execute(room, "UPDATE sources SET due_at = :at, created_at = :at", at=two_hours)
    for path in ("/sources", "/sources/orders"):
        await reader.go(path)
        assert "2 hours" in reader.text, reader.text
        assert "due" in reader.text
    assert "Behind 2 hours" in reader.text
    await reader.press("Collect now")
    await reader.watched()
    await reader.go("/sources/orders")
    assert "Behind no" in reader.text
    assert "Looks again in 2 hours" in reader.text or "Looks again in 3 hours" in reader.text
    wake = (await room.sources.show("orders"))["status"]["next_wake"]
    left = dt.datetime.fromisoformat(wake).timestamp() - timestamp()
    assert 2.9 < left / 3600 <= 3.0


async def test_rotation_tells_how_many_keys_are_wrapped_anew_while_it_goes_on(
    reader: Reader, room: Room
) -> None:
    """The part of the page that asks for itself has a number between nothing and all."""
    for number in range(MANY):
        details = {"key": Secret(f"a quiet secret, number {number}")}
        await room.credentials.create(f"c{number}", "generic", description="x", details=details)
    await reader.go("/keys")
    await reader.press("Rotate")
    seen = set()
    while "Under way" in reader.text:
        seen.add(reader.text.partition("wrapped anew ")[2].partition(".")[0])
        await reader.go(reader.path)
    assert "term 2 is active" in reader.text
    assert "data keys were wrapped anew" in reader.text
    counts = [one.split(" of ") for one in seen if " of " in one]
    assert any(0 < int(done) < int(total) for done, total in counts), seen


MANY = 320  # four batches: there are several moments to see it in between


@pytest.mark.parametrize(
    ("preset", "incoming", "outgoing"),
    [
        ("gmail", "imap.gmail.com", "smtp.gmail.com"),
        ("fastmail", "imap.fastmail.com", "smtp.fastmail.com"),
        ("microsoft365", "outlook.office365.com", "smtp.office365.com"),
    ],
)
async def test_a_provider_is_filled_in_by_its_name(
    reader: Reader, preset: str, incoming: str, outgoing: str
) -> None:
    """The list beside the form knows the servers; what is filled in is only there to be saved."""
    await reader.go("/new/connection")
    await reader.press("Fill in", Fill_in_for=preset)
    assert reader.status == 200
    made = next(each.form for each in reader.offered if each.label == "Make it")
    assert made is not None
    values = {each.name: each.value for each in made.fields if each.on}
    assert (values["incoming.host"], values["outgoing.host"]) == (incoming, outgoing)
    assert values["incoming.protocol"] == "imap"
    assert values["outgoing.protocol"] == "smtp"
