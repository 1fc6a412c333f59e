"""What ends of sign-ins and of client secrets, and what goes on in their place."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from postroom.app import Room
from postroom.clock import now, timestamp
from postroom.connections.presets import of_authority
from postroom.db import Tx
from postroom.secret import Secret
from tests.ground import Ground, User
from tests.journeys.oauth import approving, connect, register

MONTH = 30 * 86_400.0


async def test_a_sign_in_ends_by_the_rule_of_its_provider(
    room: Room, ground: Ground, fresh_user: User, tmp_path: Path
) -> None:
    """Last refreshed 80 days ago at a server that ends them after 90; where no rule is known, nothing."""
    client = ground.oauth.client(public=True)
    await register(room, ground, client, client_secrets=None)
    await connect(room, ground, fresh_user, "oauth_device_flow")
    sink = {"type": "directory", "path": str(tmp_path / "orders")}
    await room.sources.add({"name": "orders-in", "connection": "acme", "sink": sink})
    await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))

    async def tokens() -> list[tuple[int, list[str]]]:
        found = await room.credentials.list(expiring=MONTH)
        return [(one["days"], one["stops"]) for one in found if one["kind"] == "refresh token"]

    assert await tokens() == []

    def age(tx: Tx) -> None:
        then = timestamp() - 80 * 86_400
        authority = "https://login.microsoftonline.com/11111111-2222-4333-8444-555555555555"
        tx.execute("UPDATE sign_ins SET authority = :a, refreshed_at = :t", a=authority, t=then)

    await room.desk.db.write(age)
    assert await tokens() == [(10, ["source orders-in"])]

    def end(tx: Tx) -> None:
        tx.execute("UPDATE sign_ins SET state = 'sign-in required'")

    await room.desk.db.write(end)
    assert await tokens() == [(0, ["source orders-in"])]


async def test_a_client_secret_stops_nothing_while_a_proven_one_lasts_longer(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    one, two = "value-of-the-first-secret-0001", "value-of-the-second-secret-0002"
    client = ground.oauth.client(secrets=[one, two], mailbox=fresh_user.address)
    soon, later = (str(now().date() + dt.timedelta(days=days)) for days in (9, 700))
    secrets = {"one": {"value": Secret(one), "valid_until": soon}}
    await register(room, ground, client, client_secrets=secrets)
    await connect(room, ground, fresh_user, "oauth_client_credentials")
    await room.services.add({"name": "orders-out", "connection": "acme"})

    async def ends() -> list[tuple[str, list[str], str]]:
        found = await room.credentials.list(expiring=MONTH)
        return [(i["what"], i["stops"], i["instead"]) for i in found if i["name"] == "app"]

    place = "client_secrets.one.valid_until"
    assert await ends() == [(place, ["service orders-out"], "")]
    assert (await room.client_secrets.add("app", Secret(two), "two", valid_until=later)).proven
    assert await ends() == [(place, [], "two")]


def test_an_authorization_server_is_known_by_its_preset() -> None:
    cases = {
        "https://login.microsoftonline.com/example.com": 90,
        "https://login.microsoftonline.com/consumers": 90,
        "https://accounts.google.com": 180,
        "https://accounts.google.com.evil.test": None,
        "https://login.example.com": None,
    }
    for authority, days in cases.items():
        preset = of_authority(authority)
        assert (preset.refresh_days if preset else None) == days, authority
