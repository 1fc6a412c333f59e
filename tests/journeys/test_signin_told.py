"""What somebody reads who signs in: the address, the code, who it was, and the other ways."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from postroom.app import Room, open_room
from postroom.errors import InvalidValue, PostroomError
from postroom.settings import Settings
from tests.ground import Ground, User
from tests.journeys.conftest import Cli
from tests.journeys.oauth import connect, register
from tests.journeys.terminal import Terminal

DEVICE, CODE = "oauth_device_flow", "oauth_authorization_code"


async def _ready(room: Room, ground: Ground, user: User, flow: str = DEVICE, **auth: Any) -> Any:
    client = ground.oauth.client(public=True, redirect_uris=["http://localhost"])
    await register(room, ground, client, client_secrets=None)
    await connect(room, ground, user, flow, **auth)
    return client


def _in_room(settings: Settings, body: Callable[[Room], Any]) -> Any:
    async def main() -> Any:
        room = await open_room(settings)
        try:
            return await body(room)
        finally:
            await room.close()

    return asyncio.run(main())


def test_a_newcomer_reads_it_in_a_terminal(cli: Cli, ground: Ground, fresh_user: User) -> None:
    _in_room(cli.settings, lambda room: _ready(room, ground, fresh_user))
    where = ("--room", str(cli.settings.room), "--kek", str(cli.settings.kek))
    with Terminal("connection", "signin", "acme", *where) as screen:
        screen.until("Only the owner of the account should type it")
        code = re.search(r"type this code:\s+(\S+)", screen.seen)
        assert code is not None
        assert f"Sign in there as {fresh_user.address}" in " ".join(screen.seen.split())
        assert "█" in screen.seen or "▄" in screen.seen  # the QR code
        screen.until(" left")  # the time that remains
        ground.oauth.approve(code[1], fresh_user.address)
        screen.until(f"Signed in as {fresh_user.address}, for acme.")
        screen.until("postroom connection test acme")


# ------------------------------------------------------------------ where the device flow is forbidden


@pytest.mark.parametrize("number", [530034, 530036, 50199])
async def test_a_tenant_that_forbids_the_device_flow_is_told_with_the_other_ways(
    room: Room, ground: Ground, fresh_user: User, number: int
) -> None:
    client = await _ready(room, ground, fresh_user)
    ground.oauth.fault(
        "device", client=client, aadsts=number, error="access_denied", text="blocked"
    )
    with pytest.raises(PostroomError) as caught:
        await room.signins.sign_in("acme", lambda _step: None)
    assert "postroom connection signin acme --how browser" in caught.value.hint
    assert "postroom connection signin acme --link" in caught.value.hint
    assert f"AADSTS{number}" in getattr(caught.value, "said", "")


@pytest.mark.parametrize("error", ["unauthorized_client", "unsupported_grant_type"])
async def test_a_server_without_numbers_that_forbids_it_is_told_with_them_too(
    room: Room, ground: Ground, fresh_user: User, error: str
) -> None:
    """RFC 6749, 5.2: what any other server than Entra says."""
    client = await _ready(room, ground, fresh_user)
    body = {"error": error, "error_description": "not for this client"}
    ground.oauth.fault("device", client=client, status=400, headers={}, body=body)
    with pytest.raises(PostroomError) as caught:
        await room.signins.sign_in("acme", lambda _step: None)
    assert "postroom connection signin acme --how browser" in caught.value.hint


async def test_another_refusal_names_no_other_way(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    client = await _ready(room, ground, fresh_user)
    error = "unauthorized_client"  # what Entra says beside it
    ground.oauth.fault("device", client=client, aadsts=700016, error=error, text="no app")
    with pytest.raises(PostroomError) as caught:
        await room.signins.sign_in("acme", lambda _step: None)
    assert "--link" not in caught.value.hint


def test_an_administrator_forbids_the_device_flow(
    cli: Cli, ground: Ground, fresh_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T87: the setting; the other ways go on working."""
    client = _in_room(cli.settings, lambda room: _ready(room, ground, fresh_user))
    monkeypatch.setenv("POSTROOM_DEVICE_FLOW", "0")
    refused = cli("connection", "signin", "acme")
    assert refused.status == 1
    assert "forbidden here (POSTROOM_DEVICE_FLOW)" in refused.err
    assert "--link" in refused.err
    assert "device" not in ground.oauth.counts(client)
    monkeypatch.setenv("POSTROOM_DEVICE_FLOW", "perhaps")
    assert cli("connection", "signin", "acme").status == 78


# ------------------------------------------------------------------ an address for the owner


async def test_the_owner_signs_in_by_a_link(room: Room, ground: Ground, fresh_user: User) -> None:
    await _ready(room, ground, fresh_user)
    told: list[Any] = []

    async def owner(step: Any) -> str:
        ended = await asyncio.to_thread(ground.oauth.visit, step.url, fresh_user.address)
        assert ended.startswith("http://localhost")
        return f" {ended[:40]}\n{ended[40:]}\n"  # as a mail program breaks it

    [done] = await room.signins.sign_in("acme", told.append, how="link", paste=owner)
    assert (done.identity, len(told)) == (fresh_user.address, 1)
    store = await room.desk.opener.open_store("acme")
    await store.close()


async def test_a_link_is_for_the_account_once_and_not_for_ever(
    room: Room, ground: Ground, fresh_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T85, T87: somebody else, an address of before, a text that is none, and half an hour."""
    await _ready(room, ground, fresh_user)
    ends: list[str] = []

    def visiting(address: str) -> Callable[[Any], Any]:
        async def owner(step: Any) -> str:
            ends.append(await asyncio.to_thread(ground.oauth.visit, step.url, address))
            return ends[-1]

        return owner

    async def sign_in(paste: Callable[[Any], Any]) -> None:
        await room.signins.sign_in("acme", lambda _step: None, how="link", paste=paste)

    other = ground.user()
    with pytest.raises(PostroomError, match="was expected"):
        await sign_in(visiting(other.address))
    await sign_in(visiting(fresh_user.address))

    async def again(_step: Any) -> str:
        return ends[-1]

    async def nothing(_step: Any) -> str:
        return "http://localhost/?error=what"

    with pytest.raises(PostroomError, match="belongs to another sign-in"):
        await sign_in(again)
    with pytest.raises(InvalidValue, match="address bar"):
        await sign_in(nothing)
    monkeypatch.setattr("postroom.operations.personal.LINK_LIFETIME", -1.0)
    with pytest.raises(PostroomError, match="too late"):
        await sign_in(visiting(fresh_user.address))
    [row] = await room.signins.list()
    assert row["identity"] == fresh_user.address


async def test_a_link_for_nobody_is_refused(room: Room, ground: Ground, fresh_user: User) -> None:
    await _ready(room, ground, fresh_user)
    for place in ("incoming", "outgoing"):
        await room.connections.set("acme", {place: {"user": None}})

    async def never(_step: Any) -> str:
        raise AssertionError("nobody is asked")

    with pytest.raises(InvalidValue, match="set user or account"):
        await room.signins.sign_in("acme", lambda _step: None, how="link", paste=never)


def test_the_link_by_command_line(
    cli: Cli, ground: Ground, fresh_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    _in_room(cli.settings, lambda room: _ready(room, ground, fresh_user))

    class Owner:
        """Somebody who opens the address that was printed, and sends back where they ended."""

        def isatty(self) -> bool:
            return False

        def readline(self, _size: int) -> str:
            shown = cli._capsys.readouterr().err
            assert f"to the owner of {fresh_user.address}" in shown
            address = next(line.strip() for line in shown.splitlines() if "code_challenge" in line)
            return ground.oauth.visit(address, fresh_user.address) + "\n"

    monkeypatch.setattr("sys.stdin", Owner())
    signed = cli("connection", "signin", "acme", "--link", "--answer-from-stdin")
    assert (signed.status, signed.err.startswith("postroom:")) == (0, False)
    assert f"Signed in as {fresh_user.address}" in signed.out
    for wrong in (("--link", "--how", "device"), ("--answer-from-stdin",)):
        assert cli("connection", "signin", "acme", *wrong).status == 2


def test_help_says_what_a_link_is(cli: Cli) -> None:
    told = " ".join(cli("connection", "signin", "--help").out.split())
    assert "copied from the address bar" in told
    assert "is of no use to anybody" in told
