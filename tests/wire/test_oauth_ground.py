"""The ground for OAuth: the authorization server gives out tokens, and the mail servers take them."""

from __future__ import annotations

import base64
import hashlib
import imaplib
import json
import poplib
import smtplib
import time
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from postroom.errors import WireError
from postroom.net.http import HttpClient
from postroom.net.http_message import FORM, HttpLimits, basic, form
from postroom.net.origin import origin_of
from postroom.net.tls import Tls
from postroom.secret import Secret
from tests.ground import AuthorizationServer, Client, Ground, Unavailable, User, oauth
from tests.ground.oauth import GRAPH, MAIL, OUTLOOK, TENANT

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture
def server(ground: Ground) -> AuthorizationServer:
    return ground.oauth


def xoauth2(user: str, token: str) -> bytes:
    return f"user={user}\1auth=Bearer {token}\1\1".encode()


def oauthbearer(user: str, token: str) -> bytes:
    return f"n,a={user},\1auth=Bearer {token}\1\1".encode()


FORMS = {"XOAUTH2": xoauth2, "OAUTHBEARER": oauthbearer}


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def token(server: AuthorizationServer, client: Client, **fields: str) -> tuple[int, Any]:
    return server.ask(server.endpoint("token"), {"client_id": client.id, **fields})


def device(server: AuthorizationServer, client: Client, scope: str, user: str) -> dict[str, Any]:
    """A device sign-in from end to end."""
    begun = server.ask(server.endpoint("devicecode"), {"client_id": client.id, "scope": scope})[1]
    asked = {"grant_type": DEVICE, "device_code": begun["device_code"]}
    status, pending = token(server, client, **asked)
    assert (status, pending["error"]) == (400, "authorization_pending")
    server.approve(begun["user_code"], user)
    status, found = token(server, client, **asked)
    assert status == 200, found
    return dict(found)


# --------------------------------------------------------------------------- tokens open mailboxes


@pytest.mark.parametrize("mechanism", FORMS)
@pytest.mark.parametrize("scope", [f"{OUTLOOK}/.default", MAIL])
def test_a_token_of_an_app_signs_in_to_imap_pop3_and_smtp(
    ground: Ground, fresh_user: User, mechanism: str, scope: str
) -> None:
    client = ground.oauth.client(mailbox=fresh_user.address)
    answer = FORMS[mechanism](fresh_user.address, ground.oauth.app_token(client, scope))
    context = ground.pki.client_context()
    dovecot, postfix = ground.oauth_dovecot, ground.oauth_postfix
    with imaplib.IMAP4_SSL("localhost", dovecot.imaps, ssl_context=context) as imap:
        assert imap.authenticate(mechanism, lambda _challenge: answer)[0] == "OK"
        assert imap.select()[0] == "OK"
    pop: Any = poplib.POP3_SSL("localhost", dovecot.pop3s, context=context)
    pop._shortcmd(f"AUTH {mechanism} {base64.b64encode(answer).decode()}")
    assert pop.stat()[0] == 0
    pop.quit()
    with smtplib.SMTP_SSL("localhost", postfix.tokens_tls, context=context) as smtp:
        smtp.ehlo()
        assert smtp.auth(mechanism, lambda _challenge=None: answer.decode())[0] == 235
        smtp.sendmail(fresh_user.address, fresh_user.address, "Subject: by token\r\n\r\nHello\r\n")
    postfix.idle()


def test_a_password_still_signs_in_beside_tokens(ground: Ground, fresh_user: User) -> None:
    context = ground.pki.client_context()
    with imaplib.IMAP4_SSL("localhost", ground.oauth_dovecot.imaps, ssl_context=context) as imap:
        assert imap.login(fresh_user.address, fresh_user.password)[0] == "OK"


@pytest.mark.parametrize("mechanism", FORMS)
def test_a_token_of_somebody_else_or_none_is_refused_with_a_challenge(
    ground: Ground, fresh_user: User, mechanism: str
) -> None:
    others = ground.oauth.app_token(ground.oauth.client(mailbox="other@ground.test"))
    own = ground.oauth.app_token(ground.oauth.client(mailbox=fresh_user.address))
    context = ground.pki.client_context()
    for bad in (others, "nonsense", own[:-20] + "A" * 20):
        challenges: list[bytes] = []

        def answer(challenge: bytes, bad: str = bad, heard: list[bytes] = challenges) -> bytes:
            heard.append(challenge)
            return FORMS[mechanism](fresh_user.address, bad) if len(heard) == 1 else b"\1"

        port = ground.oauth_dovecot.imaps
        with (
            imaplib.IMAP4_SSL("localhost", port, ssl_context=context) as imap,
            pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"),
        ):
            imap.authenticate(mechanism, answer)
        assert json.loads(challenges[1])["status"] in ("401", "400", "invalid_token")


def test_a_long_token_is_refused_in_one_line_by_postfix_as_it_comes(
    ground: Ground, fresh_user: User
) -> None:
    """The trap of stock Postfix: after its 334 the same token is taken."""
    client = ground.oauth.client(mailbox=fresh_user.address, pad=3000)
    long = ground.oauth.app_token(client)
    assert len(long) > 4000
    answer = base64.b64encode(xoauth2(fresh_user.address, long)).decode()
    context = ground.pki.client_context()
    with smtplib.SMTP("localhost", ground.oauth_postfix.tokens) as smtp:
        smtp.starttls(context=context)
        smtp.ehlo()
        assert smtp.docmd("AUTH", f"XOAUTH2 {answer}")[0] in (500, 501, 535)
    with smtplib.SMTP("localhost", ground.oauth_postfix.tokens) as smtp:
        smtp.starttls(context=context)
        smtp.ehlo()
        assert smtp.docmd("AUTH", "XOAUTH2")[0] == 334
        assert smtp.docmd(answer)[0] == 235
    with smtplib.SMTP_SSL("localhost", ground.oauth_postfix.tokens_tls, context=context) as smtp:
        smtp.ehlo()
        assert smtp.docmd("AUTH", f"XOAUTH2 {answer}")[0] == 235


def test_a_token_ends_with_its_time(ground: Ground, fresh_user: User) -> None:
    client = ground.oauth.client(mailbox=fresh_user.address, access_ttl=1)
    short = ground.oauth.app_token(client)
    assert claims(short)["exp"] - claims(short)["iat"] == 1
    time.sleep(2)
    context = ground.pki.client_context()
    with (
        imaplib.IMAP4_SSL("localhost", ground.oauth_dovecot.imaps, ssl_context=context) as imap,
        pytest.raises(imaplib.IMAP4.error),
    ):
        imap.authenticate("XOAUTH2", lambda _challenge: xoauth2(fresh_user.address, short))


# --------------------------------------------------------------------------- how an app says who it is


async def test_our_own_basic_is_read_as_oauth_has_it(
    ground: Ground, server: AuthorizationServer
) -> None:
    """RFC 6749 section 2.3.1, with what is special in it."""
    client = server.client(secrets=["s:e%c+r/e t~0123456789"])
    where = origin_of(server.url, tls=Tls(trust=(ground.pki.ca.read_text(),)))
    async with HttpClient(where, limits=HttpLimits(total=20)) as http:
        answer = await http.ask(
            "POST", server.endpoint("token"), line=where.line,
            headers={"Content-Type": FORM, "Authorization": basic(client.id, Secret(client.secret))},
            content=form([("grant_type", "client_credentials"), ("scope", MAIL)]),
        )  # fmt: skip
    assert answer.status == 200
    assert server.seen(client)[0]["how"] == "client_secret_basic"


async def test_our_own_way_out_gets_a_token(ground: Ground, server: AuthorizationServer) -> None:
    client = server.client()
    where = origin_of(server.url, tls=Tls(trust=(ground.pki.ca.read_text(),)))
    async with HttpClient(where, limits=HttpLimits(total=20)) as http:
        asked = form(
            [
                ("grant_type", "client_credentials"),
                ("client_id", client.id),
                ("client_secret", Secret(client.secret)),
                ("scope", f"{GRAPH}/.default"),
            ]
        )
        answer = await http.ask(
            "POST", server.endpoint("token"), headers={"Content-Type": FORM}, content=asked,
            line=where.line,
        )  # fmt: skip
        assert claims(answer.json()["access_token"])["aud"] == GRAPH
        server.fault("token", client=client, status=302, headers={"Location": "http://127.0.0.1/"})
        with pytest.raises(WireError) as caught:
            await http.ask(
                "POST", server.endpoint("token"), headers={"Content-Type": FORM}, content=asked,
                line=where.line,
            )  # fmt: skip
        assert caught.value.facts["status"] == 302


def test_a_secret_is_taken_in_the_form_and_in_the_header(server: AuthorizationServer) -> None:
    client = server.client(secrets=["old-secret-0123456789", "new-secret-0123456789"])
    for secret in client.secrets:
        asked = {"grant_type": "client_credentials", "client_secret": secret, "scope": MAIL}
        assert token(server, client, **asked)[0] == 200
    status, said = token(server, client, grant_type="client_credentials", client_secret="x" * 20)
    assert (status, said["error_codes"]) == (401, [7000215])
    server.change(client, secrets=client.secrets[1:], expired=client.secrets[:1])
    asked["client_secret"] = client.secrets[0]
    status, said = token(server, client, **asked)
    assert (status, said["error_codes"]) == (401, [7000222])
    status, said = token(server, Client("nobody", ("x",)), grant_type="client_credentials",
                         client_secret="x")  # fmt: skip
    assert said["error_codes"] == [700016]
    assert {one["how"] for one in server.seen(client)} == {"client_secret_post"}


def test_a_certificate_is_taken(server: AuthorizationServer) -> None:
    """RFC 7523: an assertion signed with the key of a certificate that is registered."""
    certificate, key = made_certificate()
    client = server.client(certificates=[certificate])
    asked = {
        "grant_type": "client_credentials",
        "scope": f"{GRAPH}/.default",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    for audience in (server.endpoint("token"), server.issuer):
        asked["client_assertion"] = assertion(client, certificate, key, audience)
        status, found = token(server, client, **asked)
        assert status == 200, found
    status, said = token(server, client, **asked)
    assert status == 401  # each assertion once
    other, other_key = made_certificate()
    asked["client_assertion"] = assertion(client, other, other_key, server.issuer)
    status, said = token(server, client, **asked)
    assert (status, said["error_codes"]) == (401, [700027])


def made_certificate() -> tuple[x509.Certificate, Any]:
    import datetime as dt

    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
    )
    return built.sign(key, hashes.SHA256()), key


def assertion(client: Client, certificate: x509.Certificate, key: Any, audience: str) -> str:
    import secrets

    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    def part(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    thumbprint = part(certificate.fingerprint(hashes.SHA256())).decode()
    head = {"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}
    now = int(time.time())
    body = {"iss": client.id, "sub": client.id, "aud": audience, "jti": secrets.token_hex(8),
            "iat": now, "exp": now + 60}  # fmt: skip
    signed = part(json.dumps(head).encode()) + b"." + part(json.dumps(body).encode())
    salt = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    return (signed + b"." + part(key.sign(signed, salt, hashes.SHA256()))).decode()


# --------------------------------------------------------------------------- people


def test_a_person_signs_in_with_a_device_code(server: AuthorizationServer) -> None:
    client = server.client(public=True)
    scope = "openid profile offline_access Mail.ReadWrite Mail.Send"
    found = device(server, client, scope, "alice@ground.test")
    assert claims(found["id_token"])["preferred_username"] == "alice@ground.test"
    assert claims(found["id_token"])["tid"] == TENANT
    assert claims(found["access_token"])["scp"] == "Mail.ReadWrite Mail.Send"
    assert found["refresh_token"]


def test_a_person_says_no_or_is_too_late(server: AuthorizationServer) -> None:
    client = server.client(public=True)
    asked = {"client_id": client.id, "scope": "offline_access Mail.Send"}
    begun = server.ask(server.endpoint("devicecode"), asked)[1]
    assert begun["interval"] == 1
    assert begun["expires_in"] == 900
    assert "verification_uri_complete" not in begun
    server.deny(begun["user_code"])
    status, said = token(server, client, grant_type=DEVICE, device_code=begun["device_code"])
    assert (status, said["error"]) == (400, "access_denied")
    server.change(client, device_ttl=1)
    late = server.ask(server.endpoint("devicecode"), asked)[1]
    time.sleep(2)
    status, said = token(server, client, grant_type=DEVICE, device_code=late["device_code"])
    assert (status, said["error"]) == (400, "expired_token")


@pytest.mark.parametrize("user", ["alice@ground.test", "nobody"])
def test_a_person_signs_in_by_authorization_code(server: AuthorizationServer, user: str) -> None:
    """PKCE, state and the issuer of the answer (RFC 9207)."""
    client = server.client(public=True, redirect_uris=["http://localhost/callback"])
    verifier = "v" * 50
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    asked = {
        "client_id": client.id,
        "response_type": "code",
        "redirect_uri": "http://localhost:4711/callback",  # any port on loopback, RFC 8252
        "scope": "openid offline_access Mail.Send",
        "state": "state-1",
        "code_challenge": challenge.decode(),
        "code_challenge_method": "S256",
    }
    sent_to = server.visit(f"{server.endpoint('authorize')}?{urllib.parse.urlencode(asked)}", user)
    assert sent_to.startswith("http://localhost:4711/callback?")
    answer = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(sent_to).query))
    assert answer["state"] == "state-1"
    assert answer["iss"] == server.issuer
    if user == "nobody":
        assert answer["error"] == "access_denied"
        return
    exchange = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "redirect_uri": asked["redirect_uri"],
    }
    status, found = token(server, client, **exchange, code_verifier="w" * 50)
    assert (status, found["error"]) == (400, "invalid_grant")
    sent_to = server.visit(f"{server.endpoint('authorize')}?{urllib.parse.urlencode(asked)}", user)
    exchange["code"] = urllib.parse.parse_qs(urllib.parse.urlsplit(sent_to).query)["code"][0]
    status, found = token(server, client, **exchange, code_verifier=verifier)
    assert status == 200, found
    assert found["refresh_token"]


@pytest.mark.parametrize(
    ("rotation", "another", "old_again"),
    [("lenient", True, 200), ("strict", True, 400), ("none", False, 200)],
)
def test_refresh_tokens_rotate_as_the_switch_says(
    server: AuthorizationServer, rotation: str, another: bool, old_again: int
) -> None:
    client = server.client(public=True, rotation=rotation)
    first = device(server, client, "offline_access Mail.Send", "bob@ground.test")["refresh_token"]
    status, found = token(server, client, grant_type="refresh_token", refresh_token=first)
    assert status == 200, found
    assert (found["refresh_token"] != first) is another
    status, _ = token(server, client, grant_type="refresh_token", refresh_token=first)
    assert status == old_again
    status, _ = token(
        server, client, grant_type="refresh_token", refresh_token=found["refresh_token"]
    )
    assert status == old_again  # strict: using the old one ended the whole sign-in


@pytest.mark.parametrize("rotation", ["lenient", "strict"])
def test_one_sign_in_is_good_for_every_resource_of_microsofts(
    server: AuthorizationServer, rotation: str
) -> None:
    client = server.client(public=True, rotation=rotation)
    found = device(server, client, "offline_access Mail.Send", "alice@ground.test")
    for scope, audience, names in (
        (f"{OUTLOOK}/IMAP.AccessAsUser.All offline_access", OUTLOOK, "IMAP.AccessAsUser.All"),
        (f"{GRAPH}/Mail.Send", GRAPH, "Mail.Send"),
        ("", GRAPH, "Mail.Send"),
    ):
        asked = {"grant_type": "refresh_token", "refresh_token": found["refresh_token"]}
        status, found = token(server, client, **asked, **({"scope": scope} if scope else {}))
        assert status == 200, found
        assert claims(found["access_token"])["aud"] == audience
        assert claims(found["access_token"])["scp"] == names
        assert found["scope"].split("/")[-1] == names
    more = {"grant_type": "refresh_token", "scope": f"{GRAPH}/Mail.Read"}  # nobody agreed to that
    status, said = token(server, client, **more, refresh_token=found["refresh_token"])
    assert (status, said["error"]) == (400, "invalid_scope")


def test_a_sign_in_ends_by_revocation_and_by_an_administrator(server: AuthorizationServer) -> None:
    client = server.client(public=True)
    one = device(server, client, "offline_access Mail.Send", "carol@ground.test")["refresh_token"]
    asked = {"client_id": client.id, "token": one}
    assert server.ask(server.endpoint("revoke"), asked)[0] == 200
    status, said = token(server, client, grant_type="refresh_token", refresh_token=one)
    assert (status, said["error"], said["error_codes"]) == (400, "invalid_grant", [700082])
    two = device(server, client, "offline_access Mail.Send", "carol@ground.test")["refresh_token"]
    assert server.sign_out("carol@ground.test", client)
    assert token(server, client, grant_type="refresh_token", refresh_token=two)[0] == 400


def test_scopes_may_be_withheld_and_audiences_wrong(server: AuthorizationServer) -> None:
    client = server.client(public=True, withhold=["Mail.Send"], audience="https://elsewhere.test")
    found = device(server, client, "offline_access Mail.Read Mail.Send", "alice@ground.test")
    assert claims(found["access_token"])["scp"] == "Mail.Read"
    assert claims(found["access_token"])["aud"] == "https://elsewhere.test"
    fenced = server.client(roles=[])
    assert "roles" not in claims(server.app_token(fenced, f"{GRAPH}/.default"))


# --------------------------------------------------------------------------- addresses and faults


@pytest.mark.parametrize("tenant", [TENANT, "ground.test", "common", "organizations"])
def test_tenants_are_laid_out_as_entra_lays_them_out(
    server: AuthorizationServer, tenant: str
) -> None:
    status, found = server.ask(f"{server.authority(tenant)}/v2.0/.well-known/openid-configuration")
    assert status == 200
    named = TENANT if tenant in (TENANT, "ground.test") else tenant
    assert found["token_endpoint"] == server.endpoint("token", named)
    many = tenant in ("common", "organizations")
    assert found["issuer"] == (
        server.issuer.replace(TENANT, "{tenantid}") if many else server.issuer
    )
    client = server.client()
    asked = {"client_id": client.id, "client_secret": client.secret, "scope": MAIL,
             "grant_type": "client_credentials"}  # fmt: skip
    assert server.ask(server.endpoint("token", tenant), asked)[0] == 200


def test_an_unknown_tenant_has_entras_number(server: AuthorizationServer) -> None:
    for path in ("v2.0/.well-known/openid-configuration", "oauth2/v2.0/token"):
        status, said = server.ask(f"{server.url}/contoso/{path}")
        assert (status, said["error_codes"]) == (400, [90002])


def test_what_is_to_go_wrong_goes_wrong_once_for_that_app(server: AuthorizationServer) -> None:
    client, other = server.client(), server.client()
    asked = {"grant_type": "client_credentials", "client_secret": client.secret, "scope": MAIL}
    server.fault("token", client=client, status=429, headers={"Retry-After": "7"}, body="{}")
    server.fault("token", client=client, aadsts=50076, error="invalid_grant", text="MFA needed.")
    server.fault("token", client=client, echo=True)
    server.fault("token", client=client, delay=0.5, times=1)
    server.app_token(other)
    assert token(server, client, **asked)[0] == 429
    status, said = token(server, client, **asked)
    assert (status, said["error"], said["error_codes"]) == (400, "invalid_grant", [50076])
    said = token(server, client, **asked)[1]["error_description"]
    assert urllib.parse.quote_plus(client.secret) in said
    began = time.monotonic()
    assert token(server, client, **asked)[0] == 200
    assert time.monotonic() - began >= 0.5
    assert server.counts(client) == {"token:client_credentials": 4}
    assert server.counts(other) == {"token:client_credentials": 1}


def test_a_connection_may_end_unanswered(server: AuthorizationServer) -> None:
    client = server.client()
    server.fault("token:client_credentials", client=client, cut=True, times=2)
    asked = {"grant_type": "client_credentials", "client_secret": client.secret, "scope": MAIL}
    for _ in range(2):
        with pytest.raises(OSError):
            token(server, client, **asked)
    assert token(server, client, **asked)[0] == 200


def test_where_it_cannot_run_the_sentence_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("POSTROOM_GROUND", raising=False)
    monkeypatch.setattr(oauth, "_INSTALLED", tmp_path)
    with (
        pytest.raises(Unavailable, match=r"scripts/test-packages.*Node\.js 20"),
        Ground() as ground,
    ):
        _ = ground.oauth


def test_an_answer_may_be_lost_after_all_was_done(server: AuthorizationServer) -> None:
    """The refresh token has rotated, and nobody knows the new one."""
    client = server.client(public=True, rotation="strict")
    first = device(server, client, "offline_access Mail.Send", "bob@ground.test")["refresh_token"]
    server.fault("token:refresh_token", client=client, lose=True)
    with pytest.raises(OSError):
        token(server, client, grant_type="refresh_token", refresh_token=first)
    assert token(server, client, grant_type="refresh_token", refresh_token=first)[0] == 400


def test_discovery_may_lie(server: AuthorizationServer) -> None:
    where = f"{server.authority()}/v2.0/.well-known/openid-configuration"
    server.fault("discovery", issuer="https://evil.test")
    assert server.ask(where)[1]["issuer"] == "https://evil.test"
    server.fault("discovery", replace={"token_endpoint": "https://evil.test/token"})
    assert server.ask(where)[1]["token_endpoint"] == "https://evil.test/token"
    server.fault("discovery", status=200, body="<html>")
    with pytest.raises(ValueError):
        server.ask(where)
    assert server.ask(where)[1]["issuer"] == server.issuer
