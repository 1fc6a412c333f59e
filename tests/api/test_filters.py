"""Filters of lists: each does something, and one that has a closed set refuses what is not in it."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.app import Room
from tests.api.asking import Client
from tests.api.test_matrix import furnish

pytestmark = pytest.mark.bares("file", why="tokens of the tests")

CLOSED = {
    "/credentials": {"types"}, "/ledger": {"states"}, "/outbox": {"states"}, "/runs": {"states"},
    "/audit": {"noun"}, "/events": {"of"},
}  # fmt: skip
"""Filters whose values are known."""
NAMES = {
    "/outbox": {"service": 404}, "/outbox/unattended": {"service": 404}, "/ledger": {"name": 404},
    "/outbox/waiting": {"service": 404}, "/runs": {"job": 404}, "/tokens": {"user": 404},
    "/grants": {"credential": 404},
}  # fmt: skip
"""Filters that name a record: of one that there is not is said so."""
TIMES = {
    "/ledger": {"since", "until"}, "/outbox": {"since", "before"}, "/runs": {"since"}, "/audit": {"since"},
}  # fmt: skip
FREE = {
    "/credentials": {"part"},
    "/ledger": {"message_id", "from", "subject"},
    "/outbox": {"to", "from", "message_id", "run"},
    "/outbox/unattended": {"roles"},  # a process may have any name for what it does
    "/audit": {"name", "action", "actor"},  # of records that are gone too
}
"""Texts that are looked for: nothing is found, and that is an answer."""
MEASURES = {"limit", "after", "ids", "last", "within", "expiring", "unused"}


async def texts(client: Client) -> set[tuple[str, str]]:
    """Every filter of the document that is no number and no switch."""
    paths = (await client.get("/openapi.json")).json()["paths"]
    found = set()
    for path, methods in paths.items():
        for one in methods.get("get", {}).get("parameters", ()):
            schema = one["schema"]
            switch = schema.get("type") in ("boolean", "integer", "number")
            if one["in"] == "query" and not switch and one["name"] not in MEASURES:
                found.add((path, one["name"]))
    return found


async def test_what_is_not_in_a_closed_set_is_refused(client: Client, room: Room) -> None:
    """Every filter of the document, by one of four rules."""
    await furnish(room)
    told: dict[tuple[str, str], Any] = {}
    for path, name in sorted(await texts(client)):
        answer = await client.get(f"{path}?{name}=nope", seconds=2.0)
        told[path, name] = (answer.status_code, answer.json().get("items"), answer.text)
    for places, status in ((CLOSED, 422), (TIMES, 422)):
        for path, names in places.items():
            for name in names:
                assert told.pop((path, name))[0] == status, (path, name)
    for path, named in NAMES.items():
        for name, status in named.items():
            assert told.pop((path, name))[0] == status, (path, name)
    for path, names in FREE.items():
        for name in names:
            status, items, _ = told.pop((path, name))
            assert status == 200, (path, name)
            assert not items or (path, name) == ("/outbox/unattended", "roles"), (path, name)
    assert not told, "a filter without a rule"


async def test_filters_find_what_they_name(client: Client, room: Room) -> None:
    await furnish(room)
    body = {"parameters": {"via": "service:acme", "to": ["bob@example.com"], "text": "x"}}
    item = (await client.post("/commands/send-email", body)).json()["id"]
    for path, found in (
        ("/credentials?types=password", ["acme"]),
        ("/credentials?types=smtp&types=secret", ["other", "server"]),
        ("/credentials?part=ACM", ["acme"]),
        ("/outbox?states=queued", [item]),
        ("/outbox?states=held&states=failed", []),
        ("/outbox?to=bob@", [item]),
        ("/outbox?to=carl@", []),
        ("/outbox?from=ann@", [item]),
        ("/outbox?since=1h", [item]),
        ("/outbox?before=1h", []),
        ("/outbox?service=acme", [item]),
        ("/runs?states=failed", []),
    ):
        items = (await client.get(path)).json()["items"]
        assert [one.get("id") or one["name"] for one in items] == found, path
    nouns = {one["noun"] for one in (await client.get("/audit?noun=variable")).json()["items"]}
    assert nouns == {"variable"}
