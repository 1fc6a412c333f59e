"""Server-sent events: steps of an operation, what changes in the room, the log of a run."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

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
