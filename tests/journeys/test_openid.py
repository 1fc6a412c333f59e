"""People sign in at a provider of OpenID Connect: a real one, over TLS, with all that it may do wrong."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from postroom.access import ROLES, throttle
from postroom.app import Room, open_room
from postroom.errors import InvalidValue, PostroomError, ProtocolError, Refused, RoomError
from postroom.secret import Secret
from postroom.settings import Oidc, Settings, settings_of
from tests.ground import Ground
from tests.ground.oauth import AuthorizationServer, Client

BACK = "https://post.example.com/sign-in/back"


def refusal(code: str) -> Any:
    return pytest.raises(Refused, check=lambda error: error.code == code)


@pytest.fixture
def server(ground: Ground) -> AuthorizationServer:
    return ground.oauth


@pytest.fixture
def client(server: AuthorizationServer) -> Client:
    return server.client(redirect_uris=[BACK])


@pytest.fixture
async def room(
    settings: Settings, ground: Ground, server: AuthorizationServer, client: Client
) -> AsyncIterator[Room]:
    """A room whose people sign in there, with somebody who chose a password."""
    opened = await open_room(settings._replace(oidc=Oidc(credential="provider")), make=True)
    await opened.credentials.create(
        "ca", "trusted_certificate", details={"certificate": ground.pki.ca.read_text()}
    )
    details = {
        "authority": server.issuer,
        "client_id": client.id,
        "client_secrets": {"one": {"value": Secret(client.secret)}},
        "trust": "ca",
    }
    await opened.credentials.create("provider", "oauth_client", details=details)
    yield opened
    await opened.close()


async def query_of(
    room: Room, server: AuthorizationServer, user: str, **how: Any
) -> tuple[Any, str]:
    """Somebody begins, signs in at the provider, and is sent back: the cookie and the query."""
    begun = await room.people.oidc_begin(BACK, **how)
    back = server.visit(begun.url, user)
    assert back.startswith(BACK + "?")
    return begun.cookie, urlsplit(back).query


async def test_an_invitation_binds_the_account_that_opens_it(
    room: Room, server: AuthorizationServer
) -> None:
    """The provider's issuer and subject are who it is; its address, which it may give away, is not."""
    assert room.people.has_provider
    await room.users.add("ann", "operator")
    cookie, query = await query_of(room, server, "ann@ground.test")
    with refusal("not_signed_in"):  # nobody has invited that account yet
        await room.people.oidc_end(cookie, query, peer="192.0.2.1")
    code = (await room.users.invite("ann"))["code"]
    cookie, query = await query_of(room, server, "ann@ground.test", code=code)
    came = await room.people.oidc_end(cookie, query, agent="Firefox")
    assert (came.session.name, came.session.person.role) == ("ann", "operator")
    with refusal("not_signed_in"):
        await room.people.invited(code)
    cookie, query = await query_of(room, server, "ann@ground.test")
    again = await room.people.oidc_end(cookie, query)
    assert again.session.person.user == came.session.person.user
    assert again.cookie != came.cookie
    shown = await room.users.show("ann")
    assert (shown["issuer"], shown["subject"], shown["sign_in"]) == (
        server.issuer, "ann@ground.test", ["openid"],
    )  # fmt: skip
    cookie, query = await query_of(room, server, "eve@ground.test")
    with refusal("not_signed_in"):
        await room.people.oidc_end(cookie, query)
    await room.users.set("ann", disabled=True)
    cookie, query = await query_of(room, server, "ann@ground.test")
    with refusal("not_signed_in"):
        await room.people.oidc_end(cookie, query)
    refused = await room.audit.list(noun="user", action="refuse")
    assert [row["detail"]["why"] for row in refused] == ["disabled", "unknown", "unknown"]


async def test_an_answer_is_good_once_and_in_the_browser_that_asked(
    room: Room, server: AuthorizationServer
) -> None:
    """T85: state, cookie and code are each of one sign-in."""
    await room.users.add("ann", "viewer", issuer=server.issuer, subject="ann@ground.test")
    one, first = await query_of(room, server, "ann@ground.test")
    two, second = await query_of(room, server, "ann@ground.test")
    with refusal("not_signed_in"):  # somebody else's browser is given the answer
        await room.people.oidc_end(two, first)
    with refusal("not_signed_in"):  # and with that it is over
        await room.people.oidc_end(one, first)
    assert (await room.people.oidc_end(two, second)).session.name == "ann"
    with refusal("not_signed_in"):
        await room.people.oidc_end(two, second)
    for query in ("", "state=x&code=y", "code=y", "error=access_denied"):
        with pytest.raises(PostroomError):
            await room.people.oidc_end(two, query)
    cookie, denied = await query_of(room, server, "nobody")
    with pytest.raises(PostroomError, match=r"declined|refused|denied|not agree"):
        await room.people.oidc_end(cookie, denied)


async def test_the_request_has_pkce_a_nonce_and_asks_for_a_fresh_sign_in(room: Room) -> None:
    asked = parse_qs(urlsplit((await room.people.oidc_begin(BACK)).url).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["scope"] == ["openid profile email"]
    assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
    assert len(asked["nonce"][0]) == len(asked["state"][0]) == 43
    with pytest.raises(InvalidValue):
        await room.people.oidc_begin("http://post.example.com/back")


async def test_a_proof_is_a_fresh_sign_in_of_the_same_account_in_the_same_session(
    room: Room, server: AuthorizationServer
) -> None:
    """T43, T85: an address without what asks for a fresh sign-in, another's account, another's session."""
    for name in ("ann", "eve"):
        await room.users.add(name, "admin", issuer=server.issuer, subject=f"{name}@ground.test")
    ann = await room.people.oidc_end(*await query_of(room, server, "ann@ground.test"))
    eve = await room.people.oidc_end(*await query_of(room, server, "eve@ground.test"))
    assert ann.session.ways == ("openid",)

    def age(tx: Any) -> None:
        tx.execute("UPDATE sessions SET proved_at = proved_at - 86400")

    await room.desk.write(age)
    begun = await room.people.oidc_begin(BACK, session=ann.cookie, back="/credentials")
    quiet = begun.url.replace("&max_age=0", "").replace("&prompt=login", "")
    assert quiet != begun.url
    query = urlsplit(server.visit(quiet, "ann@ground.test")).query
    with pytest.raises(ProtocolError, match="just now"):
        await room.people.oidc_end(begun.cookie, query, session=ann.cookie)
    for account, session in (("eve", ann), ("ann", eve), ("eve", eve)):
        how = {"session": ann.cookie}
        cookie, query = await query_of(room, server, f"{account}@ground.test", **how)
        with refusal("not_signed_in"):
            await room.people.oidc_end(cookie, query, session=session.cookie)
    cookie, query = await query_of(room, server, "ann@ground.test", session=ann.cookie)
    with refusal("not_signed_in"):
        await room.people.oidc_end(cookie, query)
    before = (await room.people.session(ann.cookie)).proved_at
    cookie, query = await query_of(
        room, server, "ann@ground.test", session=ann.cookie, back="/credentials"
    )
    done = await room.people.oidc_end(cookie, query, session=ann.cookie)
    assert (done.back, done.cookie) == ("/credentials", ann.cookie)
    assert (await room.people.session(ann.cookie)).proved_at > before + 86000
    assert (await room.people.session(eve.cookie)).proved_at < before + 86000


def _forged(token: str, **changed: Any) -> str:
    """The same token with other claims, and its old signature."""
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))) | changed
    new = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{head}.{new}.{signature}"


def _unsigned(token: str) -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    return f"{head}.{token.split('.')[1]}."


async def test_who_comes_in_by_an_old_sign_in_has_proved_nothing(
    room: Room, server: AuthorizationServer
) -> None:
    """T43: what asks for a fresh sign-in is taken out of the address, in a browser that somebody left."""
    subject = "ann@ground.test"
    await room.users.add("ann", "editor", issuer=server.issuer, subject=subject)
    ann = await room.people.oidc_end(*await query_of(room, server, subject))
    assert ann.session.proved_at > 0
    begun = await room.people.oidc_begin(BACK)
    quiet = begun.url.replace("&max_age=0", "").replace("&prompt=login", "")
    left = await room.people.oidc_end(begun.cookie, urlsplit(server.visit(quiet, subject)).query)
    assert left.session.proved_at == 0
    assert (await room.people.session(left.cookie)).proved_at == 0

    await room.users.set("ann", issuer="", subject="")  # they come in by it no more
    for cookie in (ann.cookie, left.cookie):
        with refusal("not_signed_in"):
            await room.people.session(cookie)


async def test_a_token_that_is_not_the_providers_lets_nobody_in(
    room: Room, server: AuthorizationServer, client: Client
) -> None:
    """T86: forged, unsigned, of another sign-in; and keys that lie elsewhere are not fetched."""
    await room.users.add("ann", "admin", issuer=server.issuer, subject="ann@ground.test")
    await room.users.add("eve", "viewer", issuer=server.issuer, subject="eve@ground.test")
    good: list[str] = []
    for forge in (
        lambda token: _forged(token, sub="ann@ground.test"),
        _unsigned,
        lambda token: "nonsense",
        lambda token: good[0],
    ):
        cookie, query = await query_of(room, server, "eve@ground.test")
        found = await _real_answer(server, client, room, query)
        good.append(found["id_token"])
        token = forge(found["id_token"])
        server.fault(
            "token:authorization_code", client=client, status=200, body=found | {"id_token": token}
        )
        with pytest.raises(ProtocolError, match=r"nothing of it is believed|cannot be read"):
            await room.people.oidc_end(cookie, query)
    cookie, query = await query_of(room, server, "eve@ground.test")
    server.fault("discovery", times=1, replace={"jwks_uri": "https://127.0.0.1:1/keys"})
    with pytest.raises(ProtocolError, match="not its own host"):
        await room.people.oidc_end(cookie, query)
    assert (await room.users.show("eve"))["signed_in_at"] is None


async def _real_answer(
    server: AuthorizationServer, client: Client, room: Room, query: str
) -> dict[str, Any]:
    """What the provider gives for the code, which is good once: fetched in the place of the room."""
    [opened] = room.people._openid._open.values()  # type: ignore[union-attr]
    fields = {
        "grant_type": "authorization_code",
        "code": parse_qs(query)["code"][0],
        "redirect_uri": BACK,
        "code_verifier": opened.pending.verifier.reveal(),
        "client_id": client.id,
        "client_secret": client.secret,
    }
    import asyncio

    status, found = await asyncio.to_thread(server.ask, server.endpoint("token"), fields)
    assert status == 200, found
    return dict(found)


async def test_groups_of_the_provider_decide_the_role_and_keep_the_last_administrator(
    room: Room, server: AuthorizationServer, client: Client
) -> None:
    """Whoever is in no group that has a role does not come in; the last administrator stays one."""
    oidc = room.people._openid
    assert oidc is not None
    oidc._settings = Oidc("provider", roles=(("admins", "admin"), ("staff", "viewer")))
    await room.users.add("ann", "viewer", issuer=server.issuer, subject="ann@ground.test")
    for groups, role in ((["staff", "admins"], "admin"), ([], ""), (["others"], "")):
        server.change(client, groups=groups)
        cookie, query = await query_of(room, server, "ann@ground.test")
        if not role:
            with refusal("not_signed_in"):
                await room.people.oidc_end(cookie, query)
            continue
        assert (await room.people.oidc_end(cookie, query)).session.person.role == role
    server.change(client, groups=["staff"])
    cookie, query = await query_of(room, server, "ann@ground.test")
    with pytest.raises(Refused, match="last administrator"):
        await room.people.oidc_end(cookie, query)
    assert (await room.users.show("ann"))["role"] == "admin"


async def test_an_invitation_is_good_until_somebody_came_in_by_it(
    room: Room, server: AuthorizationServer, client: Client
) -> None:
    """T86: an account that its groups keep out binds nothing and spends nothing; that it came is written."""
    oidc = room.people._openid
    assert oidc is not None
    oidc._settings = Oidc("provider", roles=(("staff", "viewer"),))
    await room.users.add("ann", "viewer")
    code = (await room.users.invite("ann"))["code"]
    server.change(client, groups=["others"])
    cookie, query = await query_of(room, server, "eve@ground.test", code=code)
    with refusal("not_signed_in"):
        await room.people.oidc_end(cookie, query)
    shown = await room.users.show("ann")
    assert (shown["subject"], await room.people.invited(code)) == ("", "ann")
    assert not await room.audit.list(noun="user", action="bind")
    [refused] = await room.audit.list(noun="user", action="refuse")
    assert refused["detail"]["subject"] == "eve@ground.test"
    server.change(client, groups=["staff"])
    cookie, query = await query_of(room, server, "ann@ground.test", code=code)
    assert (await room.people.oidc_end(cookie, query)).session.name == "ann"


async def test_who_begins_without_end_is_stopped_before_the_provider_is_asked(
    room: Room, server: AuthorizationServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T44: a stranger neither floods the provider nor pushes out the sign-ins of others."""
    await room.users.add("ann", "viewer", issuer=server.issuer, subject="ann@ground.test")
    few = throttle.PEER._replace(most=3)
    monkeypatch.setattr(throttle, "PEER", few)
    cookie, query = await query_of(room, server, "ann@ground.test", peer="192.0.2.1")
    for _ in range(few.most):
        await room.people.oidc_begin(BACK, peer="192.0.2.66")
    oidc = room.people._openid
    assert oidc is not None
    opened = len(oidc._open)
    with refusal("too_many"):
        await room.people.oidc_begin(BACK, peer="192.0.2.66")
    assert len(oidc._open) == opened
    assert (await room.people.oidc_end(cookie, query, peer="192.0.2.1")).session.name == "ann"
    for _ in range(few.most):  # who comes in has their tries again
        cookie, query = await query_of(room, server, "ann@ground.test", peer="192.0.2.1")
        await room.people.oidc_end(cookie, query, peer="192.0.2.1")


@pytest.mark.parametrize(
    ("environ", "oidc"),
    [
        ({}, None),
        ({"CREDENTIAL": "provider"}, Oidc("provider")),
        ({"ISSUER": "https://id.example.com", "CLIENT_ID": "x"}, Oidc("", "https://id.example.com", "x")),
        (
            {"CREDENTIAL": "p", "ROLES": "a=admin, b c=viewer", "GROUPS_CLAIM": "roles"},
            Oidc("p", "", "", "roles", (("a", "admin"), ("b c", "viewer"))),
        ),
        ({"ISSUER": "https://id.example.com"}, "by half"),
        ({"CREDENTIAL": "p", "ROLES": "a=root"}, "no GROUP=ROLE"),
        ({"CREDENTIAL": "p", "ROLES": "admin"}, "no GROUP=ROLE"),
    ],
)  # fmt: skip
def test_the_environment_names_the_provider(environ: dict[str, str], oidc: Any) -> None:
    said = {f"POSTROOM_OIDC_{name}": value for name, value in environ.items()}
    if isinstance(oidc, str):
        with pytest.raises(RoomError, match=oidc):
            settings_of(room="/tmp/x", environ=said)
    else:
        assert settings_of(room="/tmp/x", environ=said).oidc == oidc


def test_each_role_there_is_may_be_given_by_a_group() -> None:
    for role in ROLES:
        environ = {"POSTROOM_OIDC_CREDENTIAL": "p", "POSTROOM_OIDC_ROLES": f"staff={role}"}
        found = settings_of(room="/tmp/x", environ=environ).oidc
        assert found is not None
        assert found.roles == (("staff", role),)


async def test_without_a_provider_nobody_signs_in_at_one(settings: Settings) -> None:
    room = await open_room(settings, make=True)
    try:
        assert not room.people.has_provider
        with refusal("not_supported"):
            await room.people.oidc_begin(BACK)
    finally:
        await room.close()
