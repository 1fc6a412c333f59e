"""Tags: every door that changes one definition is for what was seen, and the others say that they are not."""

from __future__ import annotations

import re
from typing import Any

import pytest

from postroom.app import Room
from postroom.operations.doors import DOORS
from postroom.secret import Secret
from tests.api.asking import Client
from tests.api.test_matrix import furnish as furnish_some

pytestmark = pytest.mark.bares("file", why="tokens of the tests")
OLD = {"If-Match": f'"{"0" * 32}"'}
CHANGE: dict[str, tuple[str, dict[str, Any]]] = {
    "sources": ("PATCH", {"description": "x"}), "jobs": ("PATCH", {"description": "x"}),
    "notify": ("PATCH", {"description": "x"}), "users": ("PATCH", {"address": "x@example.com"}),
}  # fmt: skip


async def furnish(room: Room) -> None:
    await furnish_some(room)
    steps = [{"test-connection": {"via": "acme"}}]
    for name in ("acme", "begun"):
        await room.jobs.add({"name": name, "steps": steps})
    sink = {"type": "job", "job": "begun"}
    await room.sources.add({"name": "acme", "connection": "acme", "start": "all", "sink": sink})
    await room.notify.add({"name": "acme", "service": "acme", "to": ["bob@example.com"]})
    await room.users.add("acme", "viewer")


@pytest.mark.parametrize("noun", [*CHANGE])
async def test_a_change_is_for_what_was_seen(client: Client, room: Room, noun: str) -> None:
    await furnish(room)
    path, (method, change) = f"/{noun}/acme", CHANGE[noun]
    tag = (await client.get(path)).headers["etag"]
    done = await client.ask(method, path, json=change, headers={"If-Match": tag})
    assert done.status_code in (200, 204), done.text
    assert (await client.get(path)).headers["etag"] != tag
    for again, body in ((method, change), ("DELETE", None)):
        late = await client.ask(again, path, json=body, headers={"If-Match": tag})
        assert (late.status_code, late.json()["code"]) == (412, "changed_since"), again
    now = (await client.get(path)).headers["etag"]
    gone = await client.delete(path, headers={"If-Match": f'"{"1" * 32}", {now}'})
    assert gone.status_code in (200, 204), gone.text


async def test_what_changes_by_itself_changes_no_tag(client: Client, room: Room) -> None:
    await furnish(room)
    await room.users.set("acme", password=Secret("a quite long pass phrase"))
    tag = (await client.get("/users/acme")).headers["etag"]
    await room.people.sign_in("acme", Secret("a quite long pass phrase"))
    shown = await client.get("/users/acme")
    assert shown.json()["sessions"] == 1
    assert shown.headers["etag"] == tag


async def test_the_document_says_where_a_tag_is_taken_and_nowhere_is_one_passed_over(
    client: Client, room: Room
) -> None:
    """Every door that changes something, asked for what nobody has seen: 412, or 422 where it has none."""
    await furnish(room)
    before = await room.roomfile.export()
    paths = (await client.get("/openapi.json")).json()["paths"]
    needed = {"new_name": "x", "name": "x", "value": "x", "role": "viewer", "items": ["x"],
              "address": "a@example.com", "type": "secret", "files": {}, "label": "x",
              "fingerprint": "00", "place": "incoming", "grantee": "user:acme", "details": {},
              "asked": {"auth": "secret"}}  # fmt: skip
    taken, passed = 0, []
    for door in DOORS:
        if door.http == "GET":
            continue
        told = paths[door.path][door.http.lower()]
        has = any(one["name"] == "If-Match" for one in told["parameters"])
        content = told.get("requestBody", {}).get("content", {}).get("application/json", {})
        schema = content.get("schema", {})
        body = {one: needed[one] for one in schema.get("required", ()) if one in needed}
        path = re.sub(
            r"\{(\w+)\}", lambda found: "1" if found[1] == "version" else "acme", door.path
        )
        path = path.replace("/commands/acme", "/commands/list-email")
        answer = await client.ask(door.http, path, json=body, headers=OLD)
        if has:
            taken += answer.status_code == 412
            if not 400 <= answer.status_code < 500:
                passed.append((door.http, door.path))
        else:
            assert answer.status_code == 422, (door, answer.text)
    assert passed == []
    assert taken > 25
    assert await room.roomfile.export() == before
