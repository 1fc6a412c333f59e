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


async def told(heard: bytearray, what: bytes) -> None:
    """Wait until a stream has told that; TimeoutError when it does not."""
    async with asyncio.timeout(20):
        while what not in heard or not heard.endswith(b"\n\n"):
            await asyncio.sleep(0.01)


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
    heard = bytearray()
    listening = asyncio.create_task(
        client.get("/events?of=services&of=outbox", as_="viewer", heard=heard)
    )
    await told(heard, b"event: services\n")
    await client.post(
        "/commands/send-email",
        {"parameters": {"via": "service:acme", "to": "b@example.com", "text": "x"}},
    )
    await told(heard, b"event: outbox\n")
    await room.services.delete("acme", force=True)
    await told(heard, b"event: gone\n")
    listening.cancel()
    found = events(bytes(heard))
    assert next(name for name, _ in found) == "services"
    stored = next(data for name, data in found if name == "outbox")
    assert stored["recipients"][0]["address"] == "b@example.com"
    assert ("gone", {"v": 1, "of": "services", "name": "acme"}) in found
    refused = await client.get("/events?of=secrets")
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_value")
    strange = await client.get("/events?kind=services")
    assert (strange.status_code, strange.json()["code"]) == (422, "unknown_field")


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


# ------------------------------------------------------------------ how they end, and how many there are


async def test_a_log_goes_on_behind_what_was_read(client: Client, room: Room) -> None:
    """As a browser asks that was cut off: with the id of the last event it has."""
    await furnish(room)
    await room.jobs.add({"name": "job", "steps": [{"list-folders": {"via": "acme"}}]})
    run = await room.runs.begin("job")
    await room.runs.here(run)
    path = f"/runs/{run}/log"
    whole = [told["line"] for name, told in events((await client.get(path, headers=STREAM)).content)
             if name == "line"]  # fmt: skip
    assert len(whole) > 1
    again = await client.get(path, headers={**STREAM, "Last-Event-ID": str(whole[0])})
    assert [told["line"] for name, told in events(again.content) if name == "line"] == whole[1:]


async def test_a_quiet_stream_says_that_it_is_there(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postroom.api.events.ALIVE_SECONDS", 0.2)
    answer = await client.get("/events?of=services", seconds=3)
    assert answer.content.count(b": waiting\n\n") >= 2


async def test_a_stream_ends_with_its_token(client: Client, room: Room) -> None:
    """T45: whoever is thrown out hears no more, not even of what happens at that moment."""
    await furnish(room)
    listening = asyncio.create_task(client.get("/events?of=services", as_="viewer", seconds=20))
    await asyncio.sleep(1.0)
    (token,) = [one["id"] for one in await room.tokens.list() if one["user"] == "viewer"]
    await room.tokens.revoke(token)
    await room.services.delete("acme", force=True)
    name, told = events((await asyncio.wait_for(listening, 10)).content)[-1]
    assert (name, told["code"]) == ("problem", "not_signed_in")


async def test_streams_are_counted(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """T50: nobody takes all there are, and what ended counts no more."""
    monkeypatch.setattr("postroom.api.events.MOST_OF_ONE", 3)
    opened = [client.get("/events", as_="viewer", seconds=2.5) for _ in range(5)]
    found = await asyncio.gather(*opened)
    refused = [one for one in found if b"too_many" in one.content]
    assert len(refused) == 2
    assert (await client.get("/events", as_="viewer", seconds=2)).status_code == 200


async def test_who_takes_nothing_is_let_go(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """T50: a reader that stands still holds its stream for a time, and no longer."""
    monkeypatch.setattr("postroom.api.events.MOST_OF_ONE", 1)
    monkeypatch.setattr("postroom.api.streams.SLOW_SECONDS", 0.3)
    never, begun = asyncio.Event(), asyncio.Event()
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": "/events", "raw_path": b"/events", "root_path": "",
        "query_string": b"", "client": ("127.0.0.1", 1), "server": ("room", 80),
        "headers": [(b"host", b"room"), (b"authorization", f"Bearer {client.tokens['viewer']}".encode())],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        await never.wait()
        return {}

    async def send(message: Any) -> None:
        begun.set()
        if message["type"] == "http.response.body":
            await never.wait()

    stuck = asyncio.create_task(client.app(scope, receive, send))
    await begun.wait()
    await asyncio.wait_for(stuck, 10)
    assert (await client.get("/events", as_="viewer", seconds=2)).status_code == 200


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
