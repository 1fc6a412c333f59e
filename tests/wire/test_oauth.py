"""The OAuth flows against a real authorization server, in Entra's address layout."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from postroom.credentials.types.pem import generate_pair, read_certificates, read_key
from postroom.errors import PostroomError, ProtocolError, SignInError
from postroom.net.http import HttpClient
from postroom.net.http_message import FORM, basic, form
from postroom.net.origin import Origin, origin_of
from postroom.net.tls import Tls
from postroom.oauth.assertion import SigningKey
from postroom.oauth.client import Client, ClientSecret
from postroom.oauth.code import Pending, begin, callback, loopback
from postroom.oauth.device import device_authorization, poll
from postroom.oauth.discovery import Endpoints, discover
from postroom.oauth.identity import check_account, signed_in
from postroom.oauth.scopes import compare, with_identity
from postroom.oauth.steps import Answer, Ask, Flow
from postroom.oauth.tokens import TokenGrant, client_credentials, exchange_code, refresh, revoke
from postroom.secret import Secret
from tests.ground import AuthorizationServer, Ground
from tests.ground.oauth import GRAPH, OUTLOOK, TENANT

T = TypeVar("T")
ALICE = "alice@ground.test"
APP = (f"{OUTLOOK}/.default",)
PERSON = with_identity(("offline_access", f"{GRAPH}/Mail.ReadWrite"), Endpoints(openid=True))


class Pump:
    """Drives flows over the one way out."""

    def __init__(self, http: HttpClient, origin: Origin) -> None:
        self.http, self.origin = http, origin

    async def __call__(
        self, flow: Flow[T], *, waiting: Callable[[], Awaitable[None]] | None = None
    ) -> T:
        try:
            step = next(flow)
            while True:
                if isinstance(step, Ask):
                    reply = await self._reply(step)
                    lost = isinstance(reply, PostroomError)
                    step = flow.throw(reply) if lost else flow.send(reply)  # type: ignore[arg-type]
                    continue
                if waiting is not None:
                    await waiting()
                await asyncio.sleep(step.seconds)
                step = flow.send(None)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _reply(self, asked: Ask) -> Answer | PostroomError:
        headers: dict[str, str | Secret] = dict(asked.headers)
        if asked.basic is not None:
            headers["Authorization"] = basic(asked.basic.user, asked.basic.password)
        content = None
        if asked.method == "POST":
            headers["Content-Type"], content = FORM, form(asked.form)
        try:
            came = await self.http.ask(
                asked.method, asked.url, headers=headers, content=content, line=self.origin.line
            )
        except PostroomError as error:
            return error
        return Answer(came.status, tuple(came.headers.items()), came.body, time.time())


@pytest.fixture
def server(ground: Ground) -> AuthorizationServer:
    return ground.oauth


@pytest.fixture
async def pump(ground: Ground, server: AuthorizationServer) -> AsyncIterator[Pump]:
    origin = origin_of(server.url, tls=Tls(trust=(ground.pki.ca.read_text(),)))
    async with HttpClient(origin) as http:
        yield Pump(http, origin)


@pytest.fixture
async def endpoints(server: AuthorizationServer, pump: Pump) -> Endpoints:
    return await pump(discover(server.authority(), entra=True))


def with_secrets(client_id: str, *values: str) -> Client:
    return Client(client_id, tuple(ClientSecret(f"s{n}", Secret(v)) for n, v in enumerate(values)))


@pytest.mark.parametrize("tenant", [TENANT, "common", "organizations", "ground.test"])
async def test_discovery_pins_the_endpoints_of_the_tenant(
    server: AuthorizationServer, pump: Pump, tenant: str
) -> None:
    found = await pump(discover(server.authority(tenant), entra=True))
    assert found.token_endpoint.startswith(f"{server.url}/")
    assert found.device_authorization_endpoint.endswith("/devicecode")
    assert found.left_out == ()


async def test_bad_metadata_is_refused(server: AuthorizationServer, pump: Pump) -> None:
    """T86: another issuer, a foreign token endpoint, no such tenant."""
    server.fault("discovery", issuer="https://evil.example/v2.0")
    with pytest.raises(ProtocolError, match="another authorization server"):
        await pump(discover(server.authority(), entra=True))
    server.fault("discovery", replace={"token_endpoint": "https://evil.example/token"})
    with pytest.raises(ProtocolError, match="token endpoint elsewhere"):
        await pump(discover(server.authority(), entra=True))
    with pytest.raises(SignInError, match="There is no such tenant"):
        await pump(discover(server.authority("nobody.example"), entra=True))


@pytest.mark.parametrize("method", ["client_secret_post", "client_secret_basic"])
async def test_client_credentials_with_a_secret(
    server: AuthorizationServer, pump: Pump, endpoints: Endpoints, method: str
) -> None:
    app = server.client(secrets=["p+%& =:~/0123456"])
    client = Client(app.id, (ClientSecret("one", Secret(app.secret)),), method=method)  # type: ignore[arg-type]
    grant = await pump(client_credentials(client, endpoints, APP, at=time.time()))
    assert grant.hints is not None
    assert grant.hints.audience == (OUTLOOK,)
    assert "IMAP.AccessAsApp" in grant.hints.roles
    assert server.seen(app)[-1]["status"] == 200


async def test_a_refused_secret_falls_back_to_the_next(
    server: AuthorizationServer, pump: Pump, endpoints: Endpoints
) -> None:
    app = server.client(secrets=["good-0123456789"], expired=["over-0123456789"])
    client = with_secrets(app.id, "good-0123456789", "over-0123456789")
    grant = await pump(client_credentials(client, endpoints, APP, at=time.time()))
    assert (grant.proof, grant.refused) == ("s0", ("s1",))
    wrong = with_secrets(app.id, "wrong-0123456789")
    with pytest.raises(SignInError) as caught:
        await pump(client_credentials(wrong, endpoints, APP, at=time.time()))
    assert caught.value.facts["provider_codes"] == [7000215]
    assert "wrong-0123456789" not in str(caught.value.as_json())


@pytest.mark.parametrize("algorithm", ["", "PS256", "RS256"])
@pytest.mark.parametrize("off", [0, -600, 600])
async def test_client_credentials_with_a_certificate(
    server: AuthorizationServer, pump: Pump, endpoints: Endpoints, algorithm: str, off: int
) -> None:
    """T89: with a clock ten minutes slow or fast too."""
    key, text = generate_pair("postroom")
    certificate = read_certificates(text)[0]
    app = server.client(certificates=[certificate])
    der = certificate.public_bytes(Encoding.DER)
    client = Client(app.id, key=SigningKey(read_key(key, None), der, algorithm))
    grant = await pump(client_credentials(client, endpoints, APP, at=time.time() + off))
    assert grant.proof == "certificate"
    assert server.counts(app)["token:client_credentials"] == (2 if off < 0 else 1)


async def device(
    server: AuthorizationServer, pump: Pump, endpoints: Endpoints, client: Client, user: str
) -> TokenGrant:
    begun = await pump(device_authorization(client, endpoints, PERSON, at=time.time()))
    done: list[str] = []

    async def act() -> None:
        if not done:
            done.append(user)
            if user:
                await asyncio.to_thread(server.approve, begun.user_code, user)
            else:
                await asyncio.to_thread(server.deny, begun.user_code)

    return await pump(poll(client, endpoints, begun), waiting=act)


async def test_device_flow_refresh_rotation_and_its_end(
    server: AuthorizationServer, pump: Pump, endpoints: Endpoints
) -> None:
    """T87, T89, T90: the right account, a rotated token, and the refusal that ends it."""
    client = Client(server.client(public=True, rotation="strict").id)
    grant = await device(server, pump, endpoints, client, ALICE)
    assert check_account(signed_in(grant), ALICE.upper(), tenant=TENANT) == "same"
    assert compare(PERSON, grant.scope, renewable=grant.refresh_token is not None).missing == ()
    assert grant.refresh_token is not None
    newer = await pump(refresh(client, endpoints, grant.refresh_token, at=time.time()))
    assert newer.rotated
    assert newer.problem == ""
    with pytest.raises(SignInError) as caught:
        await pump(refresh(client, endpoints, grant.refresh_token, at=time.time()))
    assert caught.value.code == "sign_in_required"


async def test_a_denied_device_and_another_account(
    server: AuthorizationServer, pump: Pump, endpoints: Endpoints
) -> None:
    """T87: whoever else types the code is refused."""
    client = Client(server.client(public=True).id)
    with pytest.raises(SignInError, match="declined") as caught:
        await device(server, pump, endpoints, client, "")
    assert caught.value.code == "sign_in_failed"
    grant = await device(server, pump, endpoints, client, "bob@ground.test")
    with pytest.raises(SignInError, match="bob@ground"):
        check_account(signed_in(grant), ALICE)


async def code_of(server: AuthorizationServer, pending: Pending, user: str) -> Secret:
    back = await asyncio.to_thread(server.visit, pending.url, user)
    assert back.startswith(pending.redirect_uri)
    return callback(pending, urlsplit(back).query, at=time.time())


@pytest.mark.parametrize("public", [True, False])
async def test_authorization_code_with_pkce(
    server: AuthorizationServer, pump: Pump, endpoints: Endpoints, public: bool
) -> None:
    """T85: code, verifier, redirect; a secret only where the server asks for one."""
    app = server.client(public=public, redirect_uris=["http://127.0.0.1/back"])
    client = Client(app.id) if public else with_secrets(app.id, app.secret)
    home = loopback("http://127.0.0.1/back", 8399)
    pending = begin(client, endpoints, PERSON, redirect_uri=home, at=time.time(), account=ALICE)
    code = await code_of(server, pending, ALICE)
    grant = await pump(exchange_code(client, endpoints, pending, code, at=time.time()))
    assert check_account(signed_in(grant), ALICE, tenant=TENANT) == "same"
    assert grant.proof == ("" if public else "s0")
    assert grant.refresh_token is not None
    assert await pump(
        revoke(client, endpoints, grant.refresh_token, at=time.time(), prove=not public)
    )
    with pytest.raises(SignInError) as caught:
        await pump(refresh(client, endpoints, grant.refresh_token, at=time.time()))
    assert caught.value.code == "sign_in_required"


async def test_faults_and_echoes(
    server: AuthorizationServer, pump: Pump, endpoints: Endpoints
) -> None:
    """T89, T91: overload, garbage, a cut connection; and an error that repeats the request."""
    app = server.client()
    client = with_secrets(app.id, app.secret)
    for fault in ({"status": 429, "headers": {"Retry-After": "7"}, "body": "{}"},
                  {"status": 200, "body": "<html>"}, {"cut": True}):  # fmt: skip
        server.fault("token", client=app, **fault)
        with pytest.raises(PostroomError) as caught:
            await pump(client_credentials(client, endpoints, APP, at=time.time()))
        assert caught.value.temporary, fault
        assert caught.value.facts.get("retry_after") == (7.0 if "headers" in fault else None)
    server.fault("token", client=app, echo=True)
    with pytest.raises(SignInError) as echoed:
        await pump(client_credentials(client, endpoints, APP, at=time.time()))
    assert app.secret not in str(echoed.value.as_json())
    assert "****" in echoed.value.said
