"""Every route of the API that is read, generated from its OpenAPI document: how soon each answers."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from postroom.app import Room
from postroom.db import Tx
from postroom.mail import Draft

__all__ = ["Reads", "furnish", "reads", "spent"]

RUNS, ITEMS = 10_000, 500
_GOES_OUT: Final = frozenset({"/sources/{name}/preview"})
"""What these ask is not in the room: a mail server, the name servers."""
_STREAM: Final = "/events"
_EXAMINES: Final = ("/keys/doctor", "/keys/damaged", "/room-file", "/census")
"""These open or read every record there is: seconds, beside which others are answered."""
_NAMES: Final = {
    "credentials": "c00042", "connections": "bench", "guides": "guided", "sources": "bench-in",
    "services": "bench-out", "jobs": "bench-job", "variables": "BENCH", "notify": "bench-ops",
    "users": "ada",
}  # fmt: skip


async def furnish(room: Room) -> dict[str, str]:
    """One record of each further noun over the connection ``bench``, outbox items and runs; gives
    what an address may name beside names.
    """
    nobody = {"worker_roles": ["elsewhere"]}  # no worker of this room is to be at any of it
    auth = {
        "type": "oauth_device_flow",
        "client_id": "1-2-3",
        "authority": "https://login.microsoftonline.com/common",
    }
    office = {
        "protocol": "imap",
        "host": "outlook.office365.com",
        "auth": auth,
        "account": "ada@x.org",
    }
    await room.connections.add({"name": "guided", "incoming": office, **nobody})
    await room.services.add({"name": "bench-out", "connection": "bench", "from": "a@example.com"})
    await room.jobs.add(
        {"name": "bench-job", "steps": [{"list-folders": {"via": "bench"}}], **nobody}
    )
    ends = {"one": {"value": "a client secret", "valid_until": "2099-01-01"}}
    await room.credentials.create("bench-app", "oauth_client", details={"client_secrets": ends})
    await room.variables.add("BENCH", "value")
    await room.notify.add({"name": "bench-ops", "to": ["a@example.com"], "service": "bench-out"})
    for number in range(ITEMS):
        draft = Draft(None, to="ann@example.com", subject=f"Order {number}", text="t")
        item = await room.email.store("service:bench-out", draft)
    run = await room.runs.begin("bench-job")
    await room.desk.write(_runs)
    return {"item": item, "run": run}


def _runs(tx: Tx) -> None:
    """As many finished runs as a busy job has in some weeks, like the one that there is."""
    columns = (
        "job, job_key, state, reason, cause, parameters, above, depth, attempts, killed, created_by, "
        "created_at, started_at, finished_at, result, error, cancelled_by, due_at, owner, epoch"
    )
    kept = columns.replace("state", "'succeeded'", 1).replace("finished_at", "created_at", 1)
    for number in range(RUNS):
        tx.execute(
            f"INSERT INTO runs (id, {columns}) SELECT :id, {kept} FROM runs WHERE finished_at IS NULL",
            id=f"{number:022x}",
        )


class Reads(NamedTuple):
    """The addresses of what is read, and of what examines the whole room."""

    one: list[str]
    whole: list[str]


def reads(line: http.client.HTTPConnection, head: dict[str, str], known: dict[str, str]) -> Reads:
    """The address of every route that is read, as the document has them."""
    _, body = spent(line, "/api/v1/openapi.json", head)
    document: dict[str, Any] = json.loads(body)
    found = ["/openapi.json", *_addresses(document["paths"], known)]
    whole = [path for path in found if path.startswith(_EXAMINES)]
    return Reads([path for path in found if path not in whole], whole)


def _addresses(paths: dict[str, Any], known: dict[str, str]) -> Iterator[str]:
    for path, methods in paths.items():
        if "get" not in methods or path == _STREAM or path in _GOES_OUT:
            continue
        noun = path.split("/")[1]
        values = {"name": _NAMES.get(noun, ""), "address": "ann@example.com", **known}
        if path == "/credentials/{name}/secrets":
            values["name"] = "bench-app"
        address = path
        for name, value in values.items():
            address = address.replace(f"{{{name}}}", value)
        yield address


def spent(
    line: http.client.HTTPConnection, path: str, headers: dict[str, str] | None = None
) -> tuple[float, bytes]:
    """Milliseconds until the whole answer was there, and what was answered."""
    begun = time.perf_counter()
    line.request("GET", path, headers=headers or {})
    answer = line.getresponse()
    body = answer.read()
    took = (time.perf_counter() - begun) * 1000
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status}: {body[:300]!r}")
    return took, body
