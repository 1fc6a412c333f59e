"""What monitoring asks: alive, ready and figures; who may hear what, and nothing that is a secret."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from postroom.app import Room, open_room
from postroom.mail import Draft
from postroom.operations.metrics import MOST_NAMES
from postroom.secret import Secret
from postroom.serving.health import health_routes
from postroom.settings import Settings
from tests.api.asking import Client

PASSWORD = "hunter2-of-the-figures-7c1d"


@pytest.fixture
def watched(room: Room, people: dict[str, str]) -> Client:
    return Client(Starlette(routes=health_routes(room)), people)


def figures(text: str) -> dict[tuple[str, str], float]:
    """Each figure by its name and its label."""
    return {
        (sample.name, "".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_without_a_token_it_is_ok_or_not_and_nothing_else(
    room: Room, watched: Client
) -> None:
    """T55: what anybody may ask says nothing of the room."""
    alive = await watched.ask("GET", "/healthz", as_=None)
    assert (alive.status_code, alive.json()) == (200, {"ok": True})
    ready = await watched.ask("GET", "/readyz", as_=None)
    assert (ready.status_code, ready.json()) == (503, {"ok": False})
    refused = await watched.ask("GET", "/metrics", as_=None)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (
        401,
        'Bearer realm="postroom"',
    )
    assert "postroom_" not in refused.text
    wrong = await watched.ask(
        "GET", "/metrics", as_=None, headers={"Authorization": "Bearer pr_no"}
    )
    assert wrong.status_code == 401
    (await room.desk.seat()).work(())
    room.health._seen = None
    ready = await watched.ask("GET", "/readyz", as_=None)
    assert (ready.status_code, ready.json()) == (200, {"ok": True})


@pytest.mark.parametrize("role", ["admin", "editor", "operator", "viewer", "auditor"])
async def test_who_may_view_hears_why(watched: Client, role: str) -> None:
    found = (await watched.ask("GET", "/readyz", as_=role)).json()
    wrong = {one["name"]: one["why"] for one in found["checks"] if not one["ok"]}
    assert wrong == {"worker": "No worker runs: nothing is collected, sent or run by itself."}
    assert (await watched.ask("GET", "/metrics", as_=role)).status_code == 200


async def test_a_token_that_may_not_view_hears_nothing(room: Room, watched: Client) -> None:
    """T25: a token has what it was given, not what its user has."""
    made = await room.tokens.add("sender", verbs=["send"], user="admin")
    header = {"Authorization": f"Bearer {made['token']}"}
    for path in ("/metrics", "/readyz"):
        answer = await watched.ask("GET", path, as_=None, headers=header)
        assert answer.status_code == 403
        assert "checks" not in answer.json()


async def test_a_token_in_an_address_is_refused_here_too(watched: Client, people: Any) -> None:
    """T45: one place reads tokens, for the API and for what monitoring asks."""
    token = people["viewer"]
    for as_ in (None, "viewer"):
        answer = await watched.ask("GET", f"/metrics?access_token={token}", as_=as_)
        assert (answer.status_code, "postroom_" in answer.text) == (401, False)
    answer = await watched.ask("GET", "/readyz?token=x", as_="viewer")
    assert (answer.status_code, "checks" in answer.text) == (401, False)


async def test_a_room_that_cannot_work_is_not_ready(
    room: Room, settings: Settings, tmp_path: Path
) -> None:
    (await room.desk.seat()).work(())
    assert (await room.health.ready())["ok"]
    locked = await open_room(settings._replace(kek=f"env:NOBODY_{os.getpid()}"))
    try:
        wrong = [one for one in (await locked.health.ready())["checks"] if not one["ok"]]
        assert [one["name"] for one in wrong] == ["key"]
        assert figures((await locked.health.metrics()).decode())["postroom_locked", ""] == 1
    finally:
        await locked.close()
    room.health._seen = None
    settings.room.joinpath("room.db").rename(tmp_path / "away.db")
    wrong = [one for one in (await room.health.ready())["checks"] if not one["ok"]]
    assert [one["name"] for one in wrong] == ["room"]


async def test_the_figures_are_those_of_the_room(room: Room, watched: Client) -> None:
    await fill(room)
    (await room.desk.seat()).work(())
    answer = await watched.ask("GET", "/metrics", as_="viewer")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = figures(answer.text)
    assert found["postroom_workers", ""] == 1
    assert found["postroom_sources", "idle"] == MOST_NAMES + 5
    assert found["postroom_outbox_messages", "queued"] == 2
    assert found["postroom_outbox_oldest_seconds", "queued"] >= 0
    assert found["postroom_service_waiting", "alerts"] == 1
    assert found["postroom_next_expiry_days", ""] == 9
    assert found["postroom_audit_rows_total", ""] > 10
    assert found["process_resident_memory_bytes", ""] > 0


async def test_labels_are_bounded_and_no_address_is_in_them(room: Room, watched: Client) -> None:
    """T31: neither secrets nor addresses, and a room of many sources makes no flood."""
    await fill(room)
    text = (await watched.ask("GET", "/metrics", as_="viewer")).text
    sources = [key for key in figures(text) if key[0] == "postroom_source_lag_seconds"]
    assert len(sources) == MOST_NAMES
    assert "@" not in text
    assert PASSWORD not in text
    assert "credential:" not in text


async def fill(room: Room) -> None:
    """More sources than have a line of their own, an email that waits, one of an implicit service."""
    ends = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=9)).isoformat()
    details: dict[str, Any] = {
        "host": "127.0.0.1", "port": 9, "email_address": "orders@example.com",
        "user_name": "orders@example.com", "password": Secret(PASSWORD), "tls": True,
    }  # fmt: skip
    await room.credentials.create(
        "mailer", "smtp", description="x", expires_at=ends, details=details
    )
    side = {"protocol": "imap", "host": "127.0.0.1", "auth": {"type": "none"}}
    await room.connections.add({"name": "acme", "incoming": side})
    for number in range(MOST_NAMES + 5):
        name = f"in-{number}"
        sink = {"type": "directory", "path": str(room.desk.data_dir.parent / name)}
        await room.sources.add({"name": name, "connection": "acme", "sink": sink,
                                "folders": {"input": name}})  # fmt: skip
    await room.services.add({"name": "alerts", "connection": "credential:mailer"})
    draft = Draft(None, to="ann@example.com", subject="s", text="t")
    for via in ("service:alerts", "credential:mailer"):
        await room.email.store(via, draft)


async def test_a_hidden_name_is_no_label(room: Room, watched: Client) -> None:
    """T48: sources and services over a restricted credential are named for who sees them alone."""
    await room.credentials.create("payroll", "password", details={"user_name": "x"})
    side = {"protocol": "imap", "host": "127.0.0.1", "port": "1"}
    auth = {"type": "secret", "credential": "payroll"}
    await room.connections.add({"name": "hidden", "incoming": {**side, "auth": auth}})
    await room.connections.add({"name": "open", "incoming": {**side, "auth": {"type": "none"}}})
    for name in ("hidden", "open"):
        sink = {"type": "directory", "path": str(room.settings.room.parent / name)}
        await room.sources.add({"name": f"{name}-in", "connection": name, "sink": sink})
    assert "hidden-in" in (await watched.ask("GET", "/metrics", as_="viewer")).text
    await room.grants.restrict("payroll")
    for role, there in (("admin", True), ("viewer", False), ("auditor", False), ("admin", True)):
        text = (await watched.ask("GET", "/metrics", as_=role)).text
        assert ("hidden-in" in text) is there, role
        assert "open-in" in text


async def test_the_next_end_is_of_what_is_there_for_whoever_asks(
    room: Room, watched: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T48: a date of a restricted credential is no figure for whoever has no grant."""
    monkeypatch.setattr("postroom.operations.health.LOOK_SECONDS", -1.0)
    for name, days in (("payroll", 3), ("orders", 30)):
        ends = (dt.datetime.now(dt.UTC) + dt.timedelta(days=days)).date().isoformat()
        await room.credentials.create(
            name,
            "password",
            expires_at=ends,
            details={"user_name": "x", "password": Secret("a word for it")},
        )

    async def days_for(role: str) -> float:
        return figures((await watched.ask("GET", "/metrics", as_=role)).text)[
            "postroom_next_expiry_days", ""
        ]

    assert await days_for("viewer") == 3
    await room.grants.restrict("payroll")
    assert [await days_for(role) for role in ("viewer", "admin", "viewer")] == [30, 3, 30]
