"""A person's sign-in while the room around it is changed: what does not concern it leaves it alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from postroom.app import Room
from postroom.errors import PostroomError
from tests.ground import Ground, User
from tests.ground.oauth import OUTLOOK
from tests.journeys.oauth import CA, approving, browsing, connect, expire, register

__all__: list[str] = []


async def _lines(room: Room) -> set[str]:
    text = await room.desk.db.read(lambda tx: tx.value("SELECT destinations FROM sign_ins"))
    return set(json.loads(text))


@pytest.fixture
async def signed_in(
    room: Room, ground: Ground, fresh_user: User, monkeypatch: pytest.MonkeyPatch
) -> Room:
    """One sign-in for two connections; the host of the second stands in the environment."""
    await register(room, ground, ground.oauth.client(public=True), client_secrets=None)
    await connect(room, ground, fresh_user, "oauth_device_flow")
    await room.variables.allow_environment("SECOND_HOST")
    monkeypatch.setenv("SECOND_HOST", "127.0.0.1")
    side: dict[str, Any] = (await room.connections.show("acme"))["effective"]["incoming"]
    auth = {"type": "oauth_device_flow", "credential": "app", "scopes": side["auth"]["scopes"]}
    await room.connections.add({
        "name": "second",
        "incoming": {
            "protocol": "imap", "host": "${env:SECOND_HOST}", "security": "tls", "trust": CA,
            "port": str(ground.oauth_dovecot.imaps), "user": fresh_user.address, "auth": auth,
        },
    })  # fmt: skip
    await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    return room


async def test_a_shell_without_a_variable_changes_no_sign_in(
    signed_in: Room, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What this process cannot resolve is what another one uses."""
    room, agreed = signed_in, await _lines(signed_in)
    assert any("imap://127.0.0.1:" in line for line in agreed)
    monkeypatch.delenv("SECOND_HOST")
    await room.variables.set("UNRELATED", "1")
    file = tmp_path / "room.yaml"
    file.write_text("postroom: 1\nvariables: {UNRELATED: '2'}\n")
    await room.roomfile.apply([file])
    assert await _lines(room) == agreed
    monkeypatch.setenv("SECOND_HOST", "127.0.0.1")
    assert (await room.desk.opener.prepare("second", "incoming")).access is not None


async def test_another_host_in_a_shell_stops_no_other_change(
    signed_in: Room, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A place that nobody agreed to gets no token, and is not asked about by who changes another."""
    room, agreed = signed_in, await _lines(signed_in)
    monkeypatch.setenv("SECOND_HOST", "elsewhere.test")
    await room.variables.set("UNRELATED", "1")
    file = tmp_path / "room.yaml"
    file.write_text("postroom: 1\nvariables: {UNRELATED: '2'}\n")
    await room.roomfile.apply([file])
    with pytest.raises(PostroomError) as caught:
        await room.desk.opener.prepare("second", "incoming")
    assert caught.value.code == "destination_not_bound"
    assert await _lines(room) == agreed


async def test_a_change_that_concerns_it_asks_for_its_own_lines(
    signed_in: Room, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, agreed = signed_in, await _lines(signed_in)
    monkeypatch.delenv("SECOND_HOST")
    port = str(ground.oauth_postfix.tokens)
    change = {"outgoing": {"port": port, "security": "starttls"}}
    with pytest.raises(PostroomError) as caught:
        await room.connections.set("acme", change)
    assert caught.value.code == "secret_reentry_required"
    assert [f":{port};" in line for line in caught.value.facts["lines"]] == [True]
    await room.connections.set("acme", change, rebind=True)
    now = await _lines(room)
    assert now - agreed == set(caught.value.facts["lines"])
    # the port of before serves nothing any more; what is out of sight here does elsewhere
    gone = agreed - now
    assert [f":{ground.oauth_postfix.tokens_tls};" in line for line in gone] == [True]
    assert any("imap://127.0.0.1:" in line for line in now)


async def test_scopes_that_nobody_consented_to_stop_no_others(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """One sign-in, two connections with scopes of their own: each has a token of its own."""
    client = ground.oauth.client(public=True)
    await register(room, ground, client, client_secrets=None)
    for name, scope in (("reading", "IMAP.AccessAsUser.All"), ("sending", "SMTP.Send")):
        await connect(
            room, ground, fresh_user, "oauth_device_flow", name=name,
            scopes=["offline_access", f"{OUTLOOK}/{scope}"],
        )  # fmt: skip
    await room.signins.sign_in("reading", approving(ground.oauth, fresh_user.address))
    assert (await room.desk.opener.prepare("reading", "incoming")).access is not None
    ground.oauth.fault(
        "token:refresh_token", client=client, times=9, aadsts=65001, error="invalid_grant",
        text="no consent",
    )  # fmt: skip
    with pytest.raises(PostroomError) as caught:
        await room.desk.opener.prepare("sending", "outgoing")
    assert caught.value.code == "sign_in_failed"
    assert "consent" in caught.value.hint
    assert (await room.desk.opener.prepare("reading", "incoming")).access is not None
    [row] = await room.signins.list()
    assert row["state"] == "signed in"
    asked = ground.oauth.counts(client)["token:refresh_token"]
    with pytest.raises(PostroomError):
        await room.desk.opener.prepare("sending", "outgoing")
    assert ground.oauth.counts(client)["token:refresh_token"] == asked  # it is not asked to death
    ground.oauth.mend()  # somebody has consented
    await expire(room)
    assert (await room.desk.opener.prepare("reading", "incoming")).access is not None
    assert (await room.desk.opener.prepare("sending", "outgoing", anew=True)).access is not None


async def test_a_test_of_one_connection_asks_no_other_server_again(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """A server that has a fault is left in peace, whatever somebody tries elsewhere."""
    mine, other = ground.oauth.client(), ground.oauth.client()
    await register(room, ground, mine)
    await room.credentials.create("other-app", "oauth_client", details={
        "authority": ground.oauth.issuer, "client_id": other.id, "trust": CA,
        "client_secrets": {"one": {"value": other.secret}},
    })  # fmt: skip
    await connect(room, ground, fresh_user, "oauth_client_credentials")
    await connect(
        room, ground, fresh_user, "oauth_client_credentials", name="other", credential="other-app"
    )
    for client in (mine, other):
        ground.oauth.fault("token", client=client, status=503, headers={}, body="busy", times=2)
    for name in ("acme", "other"):
        with pytest.raises(PostroomError, match="fault of its own"):
            await room.desk.opener.prepare(name, "incoming")
    await room.connections.test("acme")
    asked = ground.oauth.counts(other)["token:client_credentials"]
    with pytest.raises(PostroomError, match="failed a moment ago"):
        await room.desk.opener.prepare("other", "incoming")
    assert ground.oauth.counts(other)["token:client_credentials"] == asked
    assert ground.oauth.counts(mine)["token:client_credentials"] > asked


@pytest.mark.parametrize("listed", [None, ["offline_access", "email"]])
async def test_who_signed_in_is_asked_of_a_server_that_can_say(
    room: Room, ground: Ground, fresh_user: User, listed: list[str] | None
) -> None:
    """A server that does not know the scopes of OpenID is not asked for them; the mail server knows."""
    client = ground.oauth.client(public=True, redirect_uris=["http://localhost"])
    await register(room, ground, client, client_secrets=None)
    await connect(room, ground, fresh_user, "oauth_authorization_code")
    if listed is not None:
        ground.oauth.fault("discovery", replace={"scopes_supported": listed})
    visits: list[asyncio.Task[Any]] = []
    addresses: list[str] = []
    open_it = browsing(ground.oauth, fresh_user.address, visits)

    def tell(step: Any) -> None:
        addresses.append(step.url)
        open_it(step)

    await room.signins.sign_in("acme", tell)
    await asyncio.gather(*visits)
    asked = set(parse_qs(urlsplit(addresses[0]).query)["scope"][0].split())
    identity = {"openid", "profile", "email"}
    assert asked & identity == identity & set(listed or identity)
    store = await room.desk.opener.open_store("acme")
    await store.close()


async def test_signing_out_shows_the_secret_that_the_server_wants(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """It was asked for when the person signed in, so nothing is refused first."""
    client = ground.oauth.client()
    await register(room, ground, client)
    await connect(room, ground, fresh_user, "oauth_device_flow")
    await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    assert await room.signins.sign_out("acme")
    assert [one["status"] for one in ground.oauth.seen(client) if one["kind"] == "revoke"] == [200]


async def test_two_who_prove_one_secret_ask_once(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    client = ground.oauth.client()
    await register(room, ground, client)
    await connect(room, ground, fresh_user, "oauth_client_credentials")
    found = await asyncio.gather(*(room.client_secrets.prove("app", "one") for _ in range(3)))
    assert [one.proven for one in found] == [True] * 3
    assert ground.oauth.counts(client)["token:client_credentials"] == 1


async def test_a_secret_that_a_person_s_sign_in_has_shown_was_presented(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """From then on nobody corrects unasked where it goes."""
    client = ground.oauth.client()
    await register(room, ground, client)
    await connect(room, ground, fresh_user, "oauth_device_flow")
    assert (await room.credentials.show("app"))["presented_at"] is None
    await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    assert (await room.credentials.show("app"))["presented_at"] is not None
    assert [one["state"] for one in await room.client_secrets.list("app")] == ["current"]


async def test_an_id_token_that_is_not_believed_stands_in_the_audit(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """The token is good all the same: what was stored before may be used up already."""
    client = ground.oauth.client(public=True)
    await register(room, ground, client, client_secrets=None)
    await connect(room, ground, fresh_user, "oauth_device_flow")
    await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    given = {"access_token": "at", "token_type": "Bearer", "expires_in": 600, "id_token": "none"}
    ground.oauth.fault(
        "token:refresh_token", client=client, status=200, body=given,
        headers={"content-type": "application/json"},
    )  # fmt: skip
    await room.desk.opener.prepare("acme", "incoming", anew=True)
    [row] = await room.audit.list(noun="sign-in", action="refresh")
    assert "id token" in row["detail"]["problem"]
