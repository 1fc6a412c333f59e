"""Tokens that are kept: how long one takes, and how many requests a thousand connections make."""

from __future__ import annotations

import asyncio
from typing import Any

from postroom.app import open_room
from postroom.connections.connection import Connection
from postroom.connections.store import create
from postroom.db import Tx
from postroom.fields import parse
from postroom.secret import Secret
from tests.bench import peers
from tests.bench.collecting import Say
from tests.bench.figures import Figure, Samples
from tests.bench.rooms import Place, Scratch, work
from tests.ground import Ground
from tests.ground.oauth import GRAPH, OUTLOOK

__all__ = ["tokens"]

AUDIENCES = (OUTLOOK, GRAPH)
LOOKS = 500


def tokens(connections: int, runs: int, disk: Scratch, say: Say) -> list[Figure]:
    """Figures of so many connections that share one client, half of them for each audience."""
    kept: list[float] = []
    syncs: list[float] = []
    asked: list[float] = []
    with Ground() as ground:
        for run in range(runs):
            with disk.new() as base:
                place = Place(base)
                client = ground.oauth.client()
                asyncio.run(_made(place, ground, client.id, client.secret, connections))
                found = work(place, "tokens", connections=connections, looks=LOOKS)
                requests = ground.oauth.counts(client)["token:client_credentials"]
                syncs.append(1000 / peers.sync_rate(base))
            kept.append(found["kept_ms"])
            asked.append(requests)
            say(
                f"tokens, run {run + 1}: a kept one {kept[-1]:.2f} ms, {connections} connections at "
                f"once {found['all_ms']:,.0f} ms and {requests} requests"
            )
    one_sync = Samples("one fdatasync of the disk", syncs)
    return [
        Figure("give a kept access token, its audit row durable", "time", kept, one_sync, "< 1 ms"),
        Figure(
            f"token requests of {connections:,} connections, one client, {len(AUDIENCES)} audiences",
            "count", asked, aim=f"{len(AUDIENCES)}",
        ),
    ]  # fmt: skip


async def _made(place: Place, ground: Ground, client: str, secret: str, count: int) -> None:
    """A room with one client and so many connections, which are dialled by nobody."""
    room = await open_room(place.settings, make=True)
    ca: dict[str, Any] = {"certificate": ground.pki.ca.read_text()}
    await room.credentials.create("ca", "trusted_certificate", details=ca)
    details: dict[str, Any] = {
        "authority": ground.oauth.issuer, "client_id": client, "trust": "ca",
        "client_secrets": {"one": {"value": Secret(secret)}},
    }  # fmt: skip
    await room.credentials.create("app", "oauth_client", details=details)

    def all_at_once(tx: Tx) -> None:
        for number in range(count):
            create(tx, parse(Connection, _connection(number)))

    await room.desk.change(all_at_once, rebind=True)
    await room.close()


def _connection(number: int) -> dict[str, Any]:
    scope = f"{AUDIENCES[number % len(AUDIENCES)]}/.default"
    auth = {"type": "oauth_client_credentials", "credential": "app", "scopes": [scope]}
    incoming = {
        "protocol": "imap", "host": "imap.example.com", "security": "tls",
        "user": f"mailbox{number}@example.com", "auth": auth,
    }  # fmt: skip
    return {"name": f"c{number:05}", "incoming": incoming}
