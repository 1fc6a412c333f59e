"""A person's sign-in while the room around it is changed: what does not concern it leaves it alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room
from postroom.errors import PostroomError
from tests.ground import Ground, User
from tests.journeys.oauth import CA, approving, connect, register

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
