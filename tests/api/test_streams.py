"""Server-sent events: steps of an operation, what changes in the room, the log of a run."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from postroom.api.events import OF_ONE
from postroom.app import Room
from tests.api.asking import Client
from tests.api.test_matrix import furnish

pytestmark = pytest.mark.bares("file", why="tokens of the tests")
STREAM = {"Accept": "text/event-stream"}


def events(content: bytes) -> list[tuple[str, Any]]:
    found = []
    for block in content.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line[1:])
        if "event" in lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


async def test_steps_come_before_the_result(client: Client, room: Room) -> None:
    await furnish(room)
    answer = await client.post("/connections/acme/test", {}, headers=STREAM)
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = events(answer.content)
    assert [name for name, _ in found][-1] == "result"
    assert {name for name, _ in found[:-1]} == {"step"}
    assert found[-1][1]["ok"] is False
    assert found[-1][1]["sides"][0]["error"]["code"] == "connect_refused"


async def test_a_stream_ends_with_its_problem(client: Client, room: Room) -> None:
    await furnish(room)
    name, told = events((await client.post("/credentials/acme/test", {}, headers=STREAM)).content)[
        -1
    ]
    assert (name, told["code"], told["status"]) == ("problem", "not_supported", 409)
    alone = await client.post("/connections/acme/sign-in", {})
    assert (alone.status_code, alone.json()["code"]) == (406, "not_acceptable")


async def test_what_changes_is_told(client: Client, room: Room) -> None:
    await furnish(room)
    listening = asyncio.create_task(
        client.get("/events?of=services&of=outbox", as_="viewer", seconds=4)
    )
    await asyncio.sleep(1.2)
    await client.post(
        "/commands/send-email",
        {"parameters": {"via": "service:acme", "to": "b@example.com", "text": "x"}},
    )
    await asyncio.sleep(1.2)
    await room.services.delete("acme", force=True)
    found = events((await listening).content)
    assert next(name for name, _ in found) == "services"
    stored = next(told for name, told in found if name == "outbox")
    assert stored["recipients"][0]["address"] == "b@example.com"
    assert ("gone", {"v": 1, "of": "services", "name": "acme"}) in found
    refused = await client.get("/events?of=secrets")
    assert refused.status_code == 422


async def test_the_log_of_a_run_is_followed(client: Client, room: Room) -> None:
    await furnish(room)
    await room.jobs.add({"name": "job", "steps": [{"list-folders": {"via": "acme"}}]})
    begun = await client.post("/jobs/job/runs", {})
    assert begun.status_code == 201
    run = begun.json()["value"]
    following = asyncio.create_task(client.get(f"/runs/{run}/log", headers=STREAM))
    await asyncio.sleep(0.6)
    await room.runs.cancel(run)
    name, told = events((await following).content)[-1]
    assert (name, told["state"]) == ("result", "cancelled")


async def test_one_person_does_not_take_every_stream(client: Client, room: Room) -> None:
    """T50: so many streams of one; others are told what changes all the same."""
    held = [
        asyncio.create_task(client.get("/events?of=services", as_="viewer", seconds=6))
        for _ in range(OF_ONE)
    ]
    await asyncio.sleep(1)
    more = await client.get("/events?of=services", as_="viewer")
    assert (more.status_code, more.json()["code"]) == (429, "too_many")
    other = await client.get("/events?of=services", as_="editor", seconds=1)
    assert other.status_code == 200
    await asyncio.gather(*held)
    assert (await client.get("/events", as_="viewer", seconds=1)).status_code == 200


async def test_a_log_is_not_told_to_a_token_that_is_none_any_more(
    client: Client, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T45: a stream that was begun with it ends too."""
    monkeypatch.setattr("postroom.api.events.SIGNED_IN_SECONDS", 0.5)
    await furnish(room)
    await room.jobs.add({"name": "waits", "steps": [{"read-email": {"via": "acme", "id": "1"}}]})
    run = await room.runs.begin("waits")  # nobody does it: there is no worker
    reading = asyncio.create_task(
        client.get(f"/runs/{run}/log", as_="viewer", headers=STREAM, seconds=20)
    )
    await asyncio.sleep(0.5)
    for one in await room.tokens.list():
        await room.tokens.revoke(one["id"])
    name, told = events((await reading).content)[-1]
    assert (name, told["code"]) == ("problem", "not_signed_in")
