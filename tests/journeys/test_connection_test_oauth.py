"""``connection test`` with tokens: a fresh one each time, what is in it, and what is missing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from postroom.app import Room, open_room
from postroom.connections.report import Report, SideReport
from postroom.errors import PostroomError
from tests.ground import Client, Ground, User
from tests.ground.oauth import OUTLOOK
from tests.journeys.conftest import Cli
from tests.journeys.oauth import CA, approving, connect, register

CLIENT, DEVICE = "oauth_client_credentials", "oauth_device_flow"


async def _app(
    room: Room, ground: Ground, user: User, *, record: dict[str, Any] | None = None, **settings: Any
) -> Client:
    client = ground.oauth.client(**{"mailbox": user.address, **settings})
    await register(room, ground, client, **(record or {}))
    await connect(room, ground, user, CLIENT)
    return client


def _side(report: Report, place: str) -> SideReport:
    return next(side for side in report.sides if side.place == place)


def _told(side: SideReport) -> str:
    assert side.advice is not None
    return "\n".join((side.advice.text, *side.advice.commands))


async def test_a_fresh_token_each_time_and_what_is_in_it(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    client = await _app(room, ground, fresh_user)
    for times in (1, 2):
        report = await room.connections.test("acme")
        assert report.ok, report.error
        assert ground.oauth.counts(client)["token:client_credentials"] == 2 * times
    for side in report.sides:
        assert side.steps[0].name == "token"
        detail = side.steps[0].detail
        assert f"{client.id} at {ground.oauth.issuer}" in detail
        assert "the application itself" in detail
        assert "for https://outlook.office365.com" in detail
        assert "IMAP.AccessAsApp" in detail
        assert " min)" in detail
    names = [step.name for step in _side(report, "incoming").steps]
    assert names.index("token") < names.index("sign-in") < names.index("folder")


async def test_a_person_is_named_with_the_scopes(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    client = ground.oauth.client(public=True)
    await register(room, ground, client, client_secrets=None)
    await connect(room, ground, fresh_user, DEVICE)
    missing = await room.connections.test("acme")
    for side in missing.sides:
        assert [(step.name, step.ok) for step in side.steps] == [("token", False)]
        assert "postroom connection signin acme" in _told(side)
    await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    report = await room.connections.test("acme")
    assert report.ok, report.error
    detail = report.steps[0].detail
    assert f"signed in as {fresh_user.address}" in detail
    assert "SMTP.Send" in detail
    assert "a person, by device flow" in detail


@pytest.mark.parametrize("type", [CLIENT, DEVICE])
async def test_pop3_is_tested_with_tokens_too(
    room: Room, ground: Ground, fresh_user: User, type: str
) -> None:
    """What is in the token, the sign-in with it, and what is missing when the server refuses it."""
    client = ground.oauth.client(mailbox=fresh_user.address, public=type == DEVICE)
    await register(room, ground, client)
    scopes = [f"{OUTLOOK}/{one}" for one in ("POP.AccessAsUser.All", "SMTP.Send")]
    more: dict[str, Any] = {"scopes": ["offline_access", *scopes]} if type == DEVICE else {}
    await connect(room, ground, fresh_user, type, **more)
    port = str(ground.oauth_dovecot.pop3s)
    pop3 = {"incoming": {"protocol": "pop3", "port": port}}
    await room.connections.set("acme", pop3, rebind=True)
    if type == DEVICE:
        await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    report = await room.connections.test("acme")
    assert report.ok, report.error
    incoming = _side(report, "incoming")
    assert incoming.steps[0].name == "token"
    assert "POP.AccessAs" in incoming.steps[0].detail
    assert {"sign-in", "folder"} <= {step.name for step in incoming.steps}
    other = ground.user().address
    ground.oauth.change(client, mailbox=other, mailbox_of_person=other)
    report = await room.connections.test("acme")
    incoming = _side(report, "incoming")
    assert [(step.name, step.ok) for step in incoming.steps][-1] == ("sign-in", False)
    assert "POP.AccessAs" in _told(incoming)


async def test_a_token_without_roles_works_where_the_server_says_so(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """Claims are a hint, the call is the proof: RBAC for Applications shows no role."""
    await _app(room, ground, fresh_user, roles=[])
    report = await room.connections.test("acme")
    assert report.ok, report.error
    assert "it names no role" in report.steps[0].detail


@pytest.mark.parametrize(
    ("roles", "wanted"),
    [
        (None, "The token has the role IMAP.AccessAsApp"),
        (["SMTP.SendAsApp"], "The token has no role IMAP.AccessAsApp"),
    ],
)
async def test_a_refusal_names_the_permission_and_how_it_is_given(
    room: Room, ground: Ground, fresh_user: User, roles: list[str] | None, wanted: str
) -> None:
    settings: dict[str, Any] = {} if roles is None else {"roles": roles}
    other = ground.user().address
    client = await _app(room, ground, fresh_user, mailbox=other, **settings)
    report = await room.connections.test("acme")
    incoming = _side(report, "incoming")
    assert [step.name for step in incoming.steps][-1] == "sign-in"
    told = _told(incoming)
    assert wanted in told
    assert f"New-ServicePrincipal -AppId {client.id} -ObjectId" in told
    assert f"Add-MailboxPermission -Identity {fresh_user.address}" in told
    assert "can take an hour" in told
    assert "password" not in told.lower()
    outgoing = _told(_side(report, "outgoing"))
    assert "SMTP.SendAsApp" in outgoing
    assert "password" not in outgoing.lower()


async def test_no_token_says_why_at_its_own_step(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    wrong = {"client_secrets": {"one": {"value": "a-wrong-secret-0123456789"}}}
    await _app(room, ground, fresh_user, record=wrong)
    report = await room.connections.test("acme")
    side = _side(report, "incoming")
    assert [(step.name, step.ok) for step in side.steps] == [("token", False)]
    assert "Value, not its Secret ID" in _told(side)
    assert "a-wrong-secret" not in str(report.as_json())


# ------------------------------------------------------------------ a real message


async def test_one_real_message_proves_sending(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    await _app(room, ground, fresh_user)
    plain = await room.connections.test("acme")
    assert "nothing was sent" in plain.steps[-1].detail
    report = await room.connections.test("acme", send_to=fresh_user.address)
    assert report.ok, report.error
    last = _side(report, "outgoing").steps[-1]
    assert last.name == "send"
    assert f"from {fresh_user.address} to {fresh_user.address}: 250" in last.detail
    message_id = last.detail.rpartition("Message-ID ")[2]
    for _ in range(100):
        new = [path.read_bytes() for path in fresh_user.maildir.glob("new/*")]
        if any(message_id.encode() in each for each in new):
            break
        await asyncio.sleep(0.1)
    assert sum(message_id.encode() in each for each in new) == 1
    assert await room.outbox.list() == []


async def test_another_sender_is_asked_for_and_answered(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    await _app(room, ground, fresh_user)
    other = ground.user().address
    with pytest.raises(PostroomError) as caught:
        await room.connections.test("acme", send_to=other, from_=other)
    assert caught.value.code == "sender_not_allowed"
    await room.connections.set("acme", {"allowed_senders": [other]})
    report = await room.connections.test("acme", send_to=other, from_=other)
    last = _side(report, "outgoing").steps[-1]
    assert f"from {other}, by {fresh_user.address} to {other}: 250" in last.detail
    refused = await room.connections.test("acme", send_to="refused@ground.test")
    assert refused.error is not None
    assert (refused.error.code, _side(refused, "outgoing").steps[-1].name) == ("rejected", "send")


def test_it_reads_so_by_command_line(cli: Cli, ground: Ground, fresh_user: User) -> None:
    async def body() -> None:
        room = await open_room(cli.settings)
        try:
            await _app(room, ground, fresh_user)
        finally:
            await room.close()

    asyncio.run(body())
    told = cli("connection", "test", "acme", "--send-to", fresh_user.address)
    assert told.status == 0, told.err
    assert told.out.count("  ok    token ") == 2
    assert "nothing was changed and one message was sent." in told.out
    assert cli("connection", "test", "acme", "--from", fresh_user.address).status == 2
    steps = cli("connection", "test", "acme", "--json").json["sides"][0]["steps"]
    assert steps[0]["name"] == "token"


# ------------------------------------------------------------------ Microsoft Graph


async def test_graph_says_what_its_token_lacks(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """Reading works and sending is refused: the role that sending wants is named."""
    graph = ground.oauth_graph
    graph.mend()
    client = ground.oauth.client(mailbox=fresh_user.address, roles=["Mail.ReadWrite"])
    await room.credentials.create(
        CA, "trusted_certificate", details={"certificate": ground.pki.ca.read_text()}
    )
    await room.credentials.create("app", "msgraph", details={
        "authority": ground.oauth.issuer, "client_id": client.id, "graph_url": graph.url,
        "client_secrets": {"one": {"value": client.secret}}, "mailbox": fresh_user.address,
    })  # fmt: skip
    auth = {"type": CLIENT, "credential": "app", "scopes": ["https://graph.microsoft.com/.default"]}
    await room.connections.add({"name": "acme", "type": "microsoft365", "trust": CA, "auth": auth})
    report = await room.connections.test("acme")
    assert _side(report, "incoming").ok, report.error
    assert "for https://graph.microsoft.com" in report.steps[0].detail
    told = _told(_side(report, "outgoing"))
    assert "The token has no Mail.Send" in told
    assert "outlook.office365.com" not in told
    ground.oauth.change(client, roles=["Mail.ReadWrite", "Mail.Send"])
    sent = await room.connections.test("acme", send_to=fresh_user.address)
    assert sent.ok, sent.error
    assert (
        f"to {fresh_user.address}: 250 2.0.0 202 Accepted by Microsoft Graph"
        in _side(sent, "outgoing").steps[-1].detail
    )
    facts = await room.guides.facts("acme")
    assert (facts["provider"], facts["wires"]) == ("microsoft", ("graph",))
    assert facts["mailboxes"] == (fresh_user.address,)
    other = ground.user().address
    await room.connections.set("acme", {"allowed_senders": [other]})
    denied = await room.connections.test("acme", send_to=other, from_=other)
    told = _told(_side(denied, "outgoing"))
    assert "Grant it Send As on that mailbox" in told
    assert "can take an hour" in told
    assert "Check the address" not in told
