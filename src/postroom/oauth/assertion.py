"""private_key_jwt: the signed assertion by which a client with a certificate signs in (RFC 7523)."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from postroom.errors import InvalidValue
from postroom.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

__all__ = ["ASSERTION_TYPE", "LIFETIME", "SigningKey", "assertion"]

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIFETIME: Final = 300
"""Seconds that an assertion is good for: one request is made with it, at once."""
_ENTRA_TOKENS: Final = "/oauth2/v2.0/token"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, already opened by whoever keeps it, and its certificate in DER.

    ``algorithm`` empty: by the key, and by what the server takes.
    """

    key: PrivateKeyTypes = field(repr=False)
    certificate: bytes = b""
    algorithm: str = ""


def assertion(
    signing: SigningKey, *, client_id: str, audience: str, now: float, offered: tuple[str, ...] = ()
) -> Secret:
    """A new assertion for one request to the token endpoint (``audience``).

    RFC 7523 section 3 asks for iss, sub, aud and exp; jti lets the server see a replay, and
    ``x5t#S256`` (RFC 7515, 4.1.8) tells it which certificate to verify with.  There is no nbf: with
    it a clock a little ahead would be refused.  ``offered``: the algorithms of the metadata.
    Raises InvalidValue for a key of another kind.
    """
    algorithm = _algorithm(signing, audience, offered)
    header: dict[str, object] = {"alg": algorithm, "typ": "JWT"}
    if signing.certificate:
        header["x5t#S256"] = _coded(hashlib.sha256(signing.certificate).digest()).decode()
    claims: dict[str, object] = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": int(now),
        "exp": int(now) + LIFETIME,
        "jti": secrets.token_urlsafe(24),
    }
    signed = _json(header) + b"." + _json(claims)
    return Secret(signed + b"." + _coded(_signature(signing.key, algorithm, signed)))


def _json(value: Mapping[str, object]) -> bytes:
    return _coded(json.dumps(value, separators=(",", ":")).encode())


def _coded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _algorithm(signing: SigningKey, audience: str, offered: tuple[str, ...]) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(signing.key, rsa.RSAPrivateKey):
        fitting = ["PS256", "RS256"]
    elif isinstance(signing.key, ec.EllipticCurvePrivateKey) and signing.key.curve.key_size == 256:
        fitting = ["ES256"]
    else:
        raise InvalidValue("private_key", "a client signs with an RSA key or one on P-256")
    if signing.algorithm:
        if signing.algorithm not in fitting:
            raise InvalidValue("private_key", f"it cannot sign {signing.algorithm}")
        return signing.algorithm
    for each in fitting:
        if each in offered:
            return each
    # Entra lists no algorithms, and asks for PS256; elsewhere RS256 is what every server has
    return fitting[0] if audience.endswith(_ENTRA_TOKENS) else fitting[-1]


def _signature(key: PrivateKeyTypes, algorithm: str, data: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    if isinstance(key, ec.EllipticCurvePrivateKey):
        # JWS has r and s side by side, 32 bytes each (RFC 7518, 3.4), not the ASN.1 of X.509
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    if not isinstance(key, rsa.RSAPrivateKey):
        raise InvalidValue("private_key", "a client signs with an RSA key or one on P-256")
    if algorithm == "PS256":
        # salt as long as the hash: RFC 7518, 3.5
        pss = padding.PSS(padding.MGF1(SHA256()), SHA256.digest_size)
        return key.sign(data, pss, SHA256())
    return key.sign(data, padding.PKCS1v15(), SHA256())
