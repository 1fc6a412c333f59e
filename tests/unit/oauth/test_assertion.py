"""Client assertions (RFC 7523): every algorithm is verified with the certificate's own key."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from postroom.errors import InvalidValue, SignInError
from postroom.oauth.assertion import SigningKey, assertion
from postroom.oauth.client import Client
from postroom.oauth.discovery import Endpoints
from postroom.oauth.tokens import client_credentials
from tests.unit.oauth.script import NOW, SERVER, answer, client, fields, play, refusal, tokens

__all__: list[str] = []

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
CERTIFICATE = b"the DER of a certificate"
ENTRA = "https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token"


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    """Header, claims, what was signed, signature."""
    signed, _, signature = token.rpartition(".")
    header, claims = (json.loads(plain(part)) for part in signed.split("."))
    return header, claims, signed.encode(), plain(signature)


def plain(part: str) -> bytes:
    assert "=" not in part
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def verify(algorithm: str, signed: bytes, signature: bytes) -> None:
    """Raises InvalidSignature."""
    if algorithm == "ES256":
        assert len(signature) == 64
        r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
        EC.public_key().verify(encode_dss_signature(r, s), signed, ec.ECDSA(SHA256()))
        return
    pads = {
        "PS256": padding.PSS(padding.MGF1(SHA256()), 32),
        "RS256": padding.PKCS1v15(),
    }
    RSA.public_key().verify(signature, signed, pads[algorithm], SHA256())


@pytest.mark.parametrize(
    ("key", "chosen", "offered", "audience", "algorithm"),
    [
        (RSA, "", (), ENTRA, "PS256"),
        (RSA, "", (), SERVER.token_endpoint, "RS256"),
        (RSA, "", ("RS256", "ES256"), ENTRA, "RS256"),
        (RSA, "", ("RS256", "PS256"), SERVER.token_endpoint, "PS256"),
        (RSA, "RS256", ("PS256",), ENTRA, "RS256"),
        (EC, "", (), ENTRA, "ES256"),
        (EC, "", ("RS256",), SERVER.token_endpoint, "ES256"),
    ],
)
def test_an_assertion_verifies_with_the_key(
    key: Any, chosen: str, offered: tuple[str, ...], audience: str, algorithm: str
) -> None:
    signing = SigningKey(key, CERTIFICATE, chosen)
    token = assertion(signing, client_id="app", audience=audience, now=NOW + 0.9, offered=offered)
    header, claims, signed, signature = parts(token.reveal())
    verify(algorithm, signed, signature)
    digest = base64.urlsafe_b64encode(hashlib.sha256(CERTIFICATE).digest()).rstrip(b"=").decode()
    assert header == {"alg": algorithm, "typ": "JWT", "x5t#S256": digest}
    assert len(claims.pop("jti")) >= 22
    assert claims == {
        "iss": "app", "sub": "app", "aud": audience, "iat": int(NOW), "exp": int(NOW) + 300,
    }  # fmt: skip


def test_no_two_assertions_are_the_same() -> None:
    signing = SigningKey(EC, CERTIFICATE)
    made = {
        assertion(signing, client_id="app", audience=ENTRA, now=NOW).reveal() for _ in range(20)
    }
    assert len({parts(token)[1]["jti"] for token in made}) == 20


@pytest.mark.parametrize(
    ("key", "chosen"),
    [
        (ed25519.Ed25519PrivateKey.generate(), ""),
        (ec.generate_private_key(ec.SECP384R1()), ""),
        (EC, "PS256"),
        (RSA, "ES256"),
    ],
)
def test_a_key_that_cannot_sign_is_refused(key: Any, chosen: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        assertion(SigningKey(key, b"", chosen), client_id="app", audience=ENTRA, now=NOW)
    assert caught.value.field == "private_key"


def test_a_certificate_goes_before_the_secrets_and_is_shown_to_the_token_endpoint() -> None:
    made = client("spare", key=SigningKey(RSA, CERTIFICATE))
    played = play(client_credentials(made, SERVER, ("mail",), at=NOW), [tokens()])
    form = fields(played.asked[0])
    assert form.pop("client_assertion_type").endswith(":client-assertion-type:jwt-bearer")
    assert parts(form.pop("client_assertion"))[1]["aud"] == SERVER.token_endpoint
    assert form == {"grant_type": "client_credentials", "scope": "mail", "client_id": "client-1"}
    assert played.result.proof == "certificate"


@pytest.mark.parametrize("off", [-600, 600])
def test_with_a_wrong_clock_it_is_signed_again_by_the_servers(off: int) -> None:
    """T89: ten minutes off, the second assertion is made by the server's own Date."""
    made = Client("client-1", key=SigningKey(RSA, CERTIFICATE))
    late = answer(
        {"error": "invalid_client", "error_description": "AADSTS700024: not within its time range"},
        401,
        at=1_794_990_400.0 + off,
        date="Wed, 18 Nov 2026 08:26:40 GMT",
    )
    flow = client_credentials(made, SERVER, ("mail",), at=1_794_990_400.0 + off)
    played = play(flow, [late, tokens()])
    issued = [parts(fields(each)["client_assertion"])[1]["iat"] for each in played.asked]
    assert issued == [1_794_990_400 + off, 1_794_990_400]
    assert played.result.refused == ()


def test_a_refused_certificate_is_said_and_a_right_clock_changes_nothing() -> None:
    made = Client("client-1", key=SigningKey(RSA, CERTIFICATE))
    wrong = refusal("invalid_client", "AADSTS700027: Client assertion failed validation.", 401)
    with pytest.raises(SignInError, match="does not know the certificate") as caught:
        play(client_credentials(made, Endpoints(token_endpoint=ENTRA), (), at=NOW), [wrong])
    assert caught.value.facts["refused"] == ["certificate"]
    assert caught.value.code == "sign_in_failed"
    assert not caught.value.temporary
