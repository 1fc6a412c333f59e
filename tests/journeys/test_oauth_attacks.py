"""Sign-ins under attack: answers that are none, documents that lie, other people's accounts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import pytest

from postroom.app import Room
from postroom.db import Tx
from postroom.errors import PostroomError, ProtocolError
from tests.child import Child
from tests.ground import Client, Ground, User
from tests.ground.oauth import OUTLOOK, TENANT
from tests.journeys.oauth import CA, approving, asking, browsing, connect, expire, register

__all__: list[str] = []


async def _public(
    room: Room, ground: Ground, user: User, type: str = "oauth_device_flow", **settings: Any
) -> Client:
    """A public client, the connection ``acme`` with it; nobody has signed in."""
    client = ground.oauth.client(public=True, redirect_uris=["http://localhost"], **settings)
    await register(room, ground, client, client_secrets=None)
    await connect(room, ground, user, type)
    return client


async def _signed_in(room: Room, ground: Ground, user: User, **settings: Any) -> Client:
    client = await _public(room, ground, user, **settings)
    await room.signins.sign_in("acme", approving(ground.oauth, user.address))
    return client


def _get(address: str) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


# ------------------------------------------------------------------ the answer of the browser


async def test_only_the_answer_to_what_was_begun_is_taken(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T85: wrong, missing and doubled states end nothing; the right one is good once."""
    client = await _public(room, ground, fresh_user, "oauth_authorization_code")
    came: list[int] = []
    used: list[str] = []

    def browser(address: str) -> None:
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query))
        assert asked["code_challenge_method"] == "S256"
        back = ground.oauth.visit(address, fresh_user.address)
        home = back.partition("?")[0]
        for query in ("", "?code=evil", "?code=evil&state=evil", f"?code=evil&state={asked['state']}x",
                      f"?code=evil&state={asked['state']}&state={asked['state']}"):  # fmt: skip
            came.append(_get(home + query))
        came.append(_get(back))
        used.append(back)

    visits: list[asyncio.Task[None]] = []

    def tell(step: Any) -> None:
        visits.append(asyncio.create_task(asyncio.to_thread(browser, step.url)))

    [done] = await room.signins.sign_in("acme", tell)
    await asyncio.gather(*visits)
    assert done.identity == fresh_user.address
    assert came == [404, 400, 400, 400, 400, 200]
    assert ground.oauth.counts(client)["token:authorization_code"] == 1
    with pytest.raises(OSError):  # nobody hears it a second time
        await asyncio.to_thread(_get, used[0])


async def test_an_answer_of_another_server_is_refused(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T85: mix-up (RFC 9207): the code is shown to nobody."""
    client = await _public(room, ground, fresh_user, "oauth_authorization_code")

    def browser(address: str) -> None:
        back = ground.oauth.visit(address, fresh_user.address)
        evil = urllib.parse.quote("https://evil.example/v2.0", safe="")
        _get(re.sub(r"iss=[^&]+", f"iss={evil}", back))

    visits: list[asyncio.Task[None]] = []

    def tell(step: Any) -> None:
        visits.append(asyncio.create_task(asyncio.to_thread(browser, step.url)))

    with pytest.raises(PostroomError, match="another authorization server"):
        await room.signins.sign_in("acme", tell)
    await asyncio.gather(*visits)
    assert "token:authorization_code" not in ground.oauth.counts(client)
    assert await room.signins.list() == []


async def test_a_code_is_worth_nothing_without_its_verifier(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T85: whoever took the answer on its way gets no token for it."""
    client = await _public(room, ground, fresh_user, "oauth_authorization_code")
    server, stolen = ground.oauth, []

    def browser(address: str) -> None:
        back = server.visit(address, fresh_user.address)
        given = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(back).query))
        asked = {"grant_type": "authorization_code", "client_id": client.id, "code": given["code"],
                 "redirect_uri": back.partition("?")[0]}  # fmt: skip
        for more in ({}, {"code_verifier": "x" * 43}):
            stolen.append(server.ask(server.endpoint("token"), asked | more)[0])
        _get(back)

    visits: list[asyncio.Task[None]] = []

    def tell(step: Any) -> None:
        visits.append(asyncio.create_task(asyncio.to_thread(browser, step.url)))

    with contextlib.suppress(PostroomError):  # the server may have ended the code for the thief
        await room.signins.sign_in("acme", tell)
    await asyncio.gather(*visits)
    assert stolen == [400, 400]


# ------------------------------------------------------------------ documents that lie


@pytest.mark.parametrize(
    "lie",
    [
        {"replace": {"token_endpoint": "https://evil.example/token"}},
        {"issuer": "https://evil.example/v2.0"},
    ],
)
async def test_a_foreign_document_is_refused_and_nothing_goes_there(
    room: Room, ground: Ground, fresh_user: User, lie: dict[str, Any]
) -> None:
    """T86: for the application and for a person; nothing is pinned, and the true one works."""
    client = ground.oauth.client(mailbox=fresh_user.address, public=True)
    await register(room, ground, client)
    await connect(room, ground, fresh_user, "oauth_client_credentials")
    await connect(room, ground, fresh_user, "oauth_device_flow", name="person")
    before = dict(ground.oauth.counts(client))
    # both forms of address are asked for it
    ground.oauth.fault("discovery", times=2, **lie)
    with pytest.raises(ProtocolError):
        await room.desk.opener.prepare("acme", "incoming")
    ground.oauth.mend()
    ground.oauth.fault("discovery", times=2, **lie)
    with pytest.raises(ProtocolError):
        await room.signins.sign_in("person", approving(ground.oauth, fresh_user.address))
    ground.oauth.mend()
    assert ground.oauth.counts(client) == before
    await room.connections.restart("acme")
    assert (await room.desk.opener.prepare("acme", "incoming")).access is not None


async def test_a_document_that_changes_later_changes_nothing(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T86: it was pinned when somebody signed in; a sign-in that fails leaves the pins too."""
    client = await _signed_in(room, ground, fresh_user, access_ttl=1)
    pins = await _pins(room)
    ground.oauth.fault("discovery", times=99, replace={"token_endpoint": "https://evil.example/t"})
    try:
        await expire(room)
        assert (await room.desk.opener.prepare("acme", "incoming")).access is not None
        with pytest.raises(ProtocolError):
            await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
        assert await _pins(room) == pins
        await expire(room)
        assert (await room.desk.opener.prepare("acme", "incoming")).access is not None
    finally:
        ground.oauth.mend()
    assert ground.oauth.counts(client)["token:refresh_token"] == 2


async def _pins(room: Room) -> list[str]:
    return [
        str(dict(row))
        for row in await room.desk.db.read(lambda tx: tx.all("SELECT * FROM authorities"))
    ]


async def test_a_token_endpoint_edited_in_the_database_gets_no_refresh_token(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T86, T4: a public client has no secret that its record is bound to; the sign-in is."""
    client = await _signed_in(room, ground, fresh_user, access_ttl=1)

    def edit(tx: Tx) -> None:
        for row in tx.all("SELECT * FROM credential_versions"):
            plain = json.loads(row["plain"])
            if "client_id" in plain:
                plain["token_endpoint"] = "https://evil.example/token"
                tx.execute(
                    "UPDATE credential_versions SET plain = :plain WHERE credential = :id",
                    plain=json.dumps(plain), id=row["credential"],
                )  # fmt: skip

    await room.desk.db.write(edit)
    await expire(room)
    with pytest.raises(PostroomError) as caught:
        await room.desk.opener.prepare("acme", "incoming")
    assert caught.value.code == "destination_not_bound"
    assert "evil.example" in caught.value.facts["line"]
    assert "token:refresh_token" not in ground.oauth.counts(client)
    assert not await room.signins.sign_out("acme")  # and signing out does not show it there either
    assert "revoke" not in ground.oauth.counts(client)


async def test_endpoints_that_one_record_names_are_not_those_of_another(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T86: what somebody wrote into a record of his own is pinned for that record alone."""
    client = ground.oauth.client(mailbox=fresh_user.address)
    await register(room, ground, client)
    details = {
        "authority": ground.oauth.issuer, "client_id": client.id, "trust": CA,
        "client_secrets": {"one": {"value": client.secret}},
        "device_authorization_endpoint": "https://evil.example/device",
    }  # fmt: skip
    await room.credentials.create("theirs", "oauth_client", details=details)
    await connect(
        room, ground, fresh_user, "oauth_client_credentials", name="a", credential="theirs"
    )
    await connect(room, ground, fresh_user, "oauth_client_credentials", name="b")
    for name in ("a", "b"):
        await room.desk.opener.prepare(name, "incoming")
    pins = await _pins(room)
    assert len(pins) == 2
    assert sum("evil.example/device" in pin for pin in pins) == 1


# ------------------------------------------------------------------ other people's accounts


async def test_the_tokens_of_somebody_else_are_given_back(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T87: whoever was sent the code typed it; nothing is stored, and the server ends the tokens."""
    client = await _public(room, ground, fresh_user)
    other = ground.user()
    with pytest.raises(PostroomError, match="was expected"):
        await room.signins.sign_in("acme", approving(ground.oauth, other.address))
    assert ground.oauth.counts(client)["revoke"] == 1
    assert ground.oauth.seen(client)[-1]["status"] == 200
    [row] = await room.desk.db.read(
        lambda tx: tx.all("SELECT * FROM audit WHERE action = 'refuse'")
    )
    assert json.loads(row["detail"]) | {"identity": other.address, "revoked": True} == json.loads(
        row["detail"]
    )


async def test_one_who_is_signed_in_by_right_stays_so(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T87: servers end every sign-in of a client and a person with one of them."""
    client = await _public(room, ground, fresh_user)
    other = ground.user()
    await connect(room, ground, other, "oauth_device_flow", name="other")
    await room.signins.sign_in("other", approving(ground.oauth, other.address))
    with pytest.raises(PostroomError, match="was expected"):
        await room.signins.sign_in("acme", approving(ground.oauth, other.address))
    assert "revoke" not in ground.oauth.counts(client)
    store = await room.desk.opener.open_store("other")
    await store.close()


async def test_where_the_tokens_name_nobody_the_mail_server_is_asked(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T87: an opaque token without an id token: it opens the mailbox, or it is not stored."""
    await _public(
        room, ground, fresh_user, format="opaque", withhold=["openid", "profile", "email"]
    )
    other = ground.user()
    with pytest.raises(PostroomError) as caught:
        await room.signins.sign_in("acme", approving(ground.oauth, other.address))
    assert caught.value.code == "sign_in_failed"
    assert "Nothing of this sign-in was stored" in caught.value.hint
    assert await room.signins.list() == []
    [done] = await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    assert done.identity == ""
    store = await room.desk.opener.open_store("acme")
    await store.close()


async def test_an_account_of_another_tenant_is_refused(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T90: the address is the expected one, and the tenant is not."""
    client = ground.oauth.client(public=True, tid="99999999-2222-4333-8444-555555555555")
    await register(room, ground, client, client_secrets=None)
    details = {
        "tenant_id": TENANT, "client_id": client.id, "authority": ground.oauth.authority(),
        "client_secrets": {"one": {"value": client.secret}},
    }  # fmt: skip
    await room.credentials.create("entra", "msgraph", details=details)
    await connect(room, ground, fresh_user, "oauth_device_flow", credential="entra")
    with pytest.raises(PostroomError, match="another tenant"):
        await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    assert await room.signins.list() == []
    assert ground.oauth.counts(client)["revoke"] == 1


async def test_more_scopes_than_were_asked_for_are_told(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T90: by the command line, and in the audit record."""
    extra = f"{OUTLOOK}/POP.AccessAsUser.All"
    await _public(room, ground, fresh_user, extra=[extra])
    [done] = await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    assert [one.rpartition("/")[2] for one in done.extra] == ["POP.AccessAsUser.All"]
    [row] = await room.desk.db.read(
        lambda tx: tx.all("SELECT * FROM audit WHERE action = 'sign in'")
    )
    assert "POP.AccessAsUser.All" in row["detail"]


# ------------------------------------------------------------------ what is going on meanwhile


async def test_two_sign_ins_at_once_leave_one_that_works(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T85: each takes its own answer, and the one that is stored last is whole."""
    await _public(room, ground, fresh_user, "oauth_authorization_code", rotation="strict")
    visits: list[asyncio.Task[Any]] = []
    tell = browsing(ground.oauth, fresh_user.address, visits)
    done = await asyncio.gather(*(room.signins.sign_in("acme", tell) for _ in range(2)))
    await asyncio.gather(*visits)
    assert [one.identity for [one] in done] == [fresh_user.address] * 2
    assert len(await room.signins.list()) == 1
    store = await room.desk.opener.open_store("acme")
    await store.close()


async def test_signing_in_during_a_refresh_gives_the_new_token_to_whoever_waits(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T88: the refresh of before stores nothing, and is no error of those who wanted a token."""
    client = await _signed_in(room, ground, fresh_user, access_ttl=1)
    await expire(room)
    ground.oauth.change(client, access_ttl=600)
    ground.oauth.fault("token:refresh_token", client=client, delay=8)
    waiting = asyncio.create_task(room.desk.opener.prepare("acme", "incoming"))
    await asking(room, waiting)
    await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    assert not waiting.done(), "the refresh ended before the sign-in: nothing was shown"
    prepared = await waiting
    assert prepared.access is not None
    [row] = await room.signins.list()
    assert row["state"] == "signed in"
    store = await room.desk.opener.open_store("acme")
    await store.close()


async def test_signing_out_waits_for_a_refresh_and_revokes_what_came_of_it(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T88: else the rotated token would live on at the server, and nobody would know it."""
    client = await _signed_in(room, ground, fresh_user, access_ttl=1, rotation="strict")
    await expire(room)
    ground.oauth.fault("token:refresh_token", client=client, delay=1)
    waiting = asyncio.create_task(room.desk.opener.prepare("acme", "incoming"))
    await asking(room, waiting)
    assert await room.signins.sign_out("acme")
    await waiting
    kinds = [one["kind"] for one in ground.oauth.seen(client)]
    assert kinds.index("token:refresh_token") < kinds.index("revoke")
    assert await room.signins.list() == []
    with pytest.raises(PostroomError) as caught:
        await room.desk.opener.prepare("acme", "incoming")
    assert caught.value.code == "sign_in_required"


async def test_signing_out_works_whatever_is_broken(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T18 for tokens: a token that does not open and a server that is down keep nobody signed in."""
    client = await _signed_in(room, ground, fresh_user)
    ground.oauth.fault("revoke", client=client, status=503, headers={}, body="")
    assert not await room.signins.sign_out("acme")
    assert await room.signins.list() == []
    await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    await room.desk.db.write(
        lambda tx: tx.execute(
            "UPDATE sealed SET blob = :bad WHERE kind = 'refresh-token'", bad=b"x"
        )
    )
    assert not await room.signins.sign_out("acme")
    assert await room.signins.list() == []
    assert await _tokens(room) == 0


async def test_a_removed_connection_signs_out(room: Room, ground: Ground, fresh_user: User) -> None:
    """What nothing uses any more is revoked and destroyed; what another connection needs stays."""
    client = await _signed_in(room, ground, fresh_user)
    await room.connections.copy("acme", "second")
    await room.connections.delete("second")
    assert await _tokens(room) == 2
    await room.connections.delete("acme")
    assert await _tokens(room) == 0
    assert ground.oauth.counts(client)["revoke"] == 1
    assert await room.signins.list() == []


async def test_a_removed_client_takes_its_tokens_along(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """By force, while it is used: nothing that was got with it stays."""
    await _signed_in(room, ground, fresh_user)
    await room.credentials.delete("app", force=True)
    assert await _tokens(room) == 0


async def test_a_sign_in_that_serves_nothing_is_left_by_its_account(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    await _signed_in(room, ground, fresh_user)
    other = ground.user()
    changes = {side: {"user": other.address} for side in ("incoming", "outgoing")}
    await room.connections.set("acme", changes)
    [row] = await room.signins.list()
    assert (row["account"], row["connections"]) == (fresh_user.address, [])
    assert not await room.signins.sign_out(fresh_user.address)
    assert await room.signins.list() == []
    assert await _tokens(room) == 0


async def test_two_records_of_one_client_keep_tokens_of_their_own(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """Else each would take the other's token away, for its destinations are others; and a record
    with a wrong secret would keep the right one waiting."""
    client = ground.oauth.client(mailbox=fresh_user.address)
    await register(room, ground, client)
    wrong = {
        "authority": ground.oauth.issuer, "client_id": client.id, "trust": CA,
        "client_secrets": {"one": {"value": "a-wrong-secret-0123456789"}},
    }  # fmt: skip
    await room.credentials.create("wrong", "oauth_client", details=wrong)
    await connect(room, ground, fresh_user, "oauth_client_credentials")
    await connect(
        room, ground, fresh_user, "oauth_client_credentials", name="bad", credential="wrong"
    )
    with pytest.raises(PostroomError):
        await room.desk.opener.prepare("bad", "incoming")
    for _ in range(3):
        assert (await room.desk.opener.prepare("acme", "incoming")).access is not None
    good = [one for one in ground.oauth.seen(client) if one["status"] == 200]
    assert sum(one["kind"] == "token:client_credentials" for one in good) == 1


async def test_each_who_waits_for_a_token_is_written_down(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """One asks for five; whoever was given the token stands in the audit record."""
    client = await _signed_in(room, ground, fresh_user, access_ttl=1)
    await expire(room)
    ground.oauth.change(client, access_ttl=600)
    before = await _given(room)
    await asyncio.gather(*(room.desk.opener.prepare("acme", "incoming") for _ in range(5)))
    assert ground.oauth.counts(client)["token:refresh_token"] == 1
    after = await _given(room)
    # the one who asked: the refresh token opened, and the refresh; the others: the access token
    assert after["refresh"] == before["refresh"] + 1
    assert after["open"] == before["open"] + 5


async def _given(room: Room) -> dict[str, int]:
    rows = await room.desk.db.read(
        lambda tx: tx.all(
            "SELECT action, count(*) AS times FROM audit WHERE noun = 'sign-in' GROUP BY action"
        )
    )
    return {"open": 0, "refresh": 0} | {row["action"]: row["times"] for row in rows}


async def test_a_process_killed_while_somebody_signs_in_leaves_nothing(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T87: its code is worth nothing afterwards; a sign-in of before is as it was."""
    client = await _signed_in(room, ground, fresh_user)
    row = await room.signins.list()
    settings = room.settings
    env = {"POSTROOM_ROOM": str(settings.room), "POSTROOM_KEK": str(settings.kek)}
    with Child("-m", "postroom", "connection", "signin", "acme", env=env) as child:
        code = await asyncio.to_thread(_code, child)
        os.kill(child.pid, signal.SIGKILL)
    ground.oauth.approve(code, fresh_user.address)
    assert await room.signins.list() == row
    assert await _tokens(room) == 2
    store = await room.desk.opener.open_store("acme")
    await store.close()
    await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    assert ground.oauth.counts(client).get("token:refresh_token", 0) == 0


def _code(child: Child) -> str:
    for _ in range(20):
        if found := re.fullmatch(r"\s*([A-Z]{4}-[A-Z]{4})\s*", child.complaint()):
            return found[1]
    raise AssertionError("no code was shown")


async def _tokens(room: Room) -> int:
    count: int = await room.desk.db.read(
        lambda tx: tx.value("SELECT count(*) FROM sealed WHERE kind LIKE '%token'")
    )
    return count
