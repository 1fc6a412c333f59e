"""OpenID Connect beside OAuth: the id token of a code, and the keys that it is signed with (Core 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from postroom.errors import ProtocolError
from postroom.oauth.answers import LARGEST, document, shown, text_of
from postroom.oauth.client import Client, request
from postroom.oauth.code import Pending
from postroom.oauth.discovery import Endpoints, is_entra, locations
from postroom.oauth.steps import Answer, Ask, Flow, Form, ask
from postroom.secret import Secret

__all__ = ["ALGORITHMS", "id_token_of", "signing_keys"]

ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)
"""What an id token may be signed with: public keys only, and never nothing."""
_ELSEWHERE: Final[Mapping[str, str]] = {
    "https://accounts.google.com": "https://www.googleapis.com",
}
"""Providers whose keys lie on another host of theirs (Google's metadata, seen 2026-11-29)."""


def signing_keys(authority: str, *, entra: bool | None) -> Flow[dict[str, Any]]:
    """The key set (RFC 7517) that a provider names in its metadata, as a document.

    It lies on the provider's own origin, or is not fetched.  Raises ProtocolError, SignInError.
    """
    layout = is_entra(authority) if entra is None else entra
    metadata = yield from _got(locations(authority, entra=layout)[0])
    where = text_of(metadata, "jwks_uri")
    own = {_origin(authority), _ELSEWHERE.get(authority.rstrip("/"), "")} - {""}
    if not where.startswith("https://") or _origin(where) not in own:
        raise ProtocolError(
            f"The provider says that its keys are at {shown(where)!r}, which is not its own host.",
            step="sign-in",
            hint="Nothing is fetched from there, and nobody signs in by it.",
        )
    return (yield from _got(where))


def id_token_of(
    client: Client, endpoints: Endpoints, pending: Pending, code: Secret, *, at: float
) -> Flow[Secret]:
    """The id token for an authorization code, with the verifier of PKCE; every other token is dropped.

    Raises SignInError; ProtocolError where the answer has none.
    """
    form: Form = (
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", pending.redirect_uri),
        ("code_verifier", pending.verifier),
    )
    proven = yield from request(
        client, endpoints, endpoints.token_endpoint, form, at=at, grant="authorization_code"
    )
    found = text_of(proven.found, "id_token")
    if not found or len(found) > LARGEST:
        raise ProtocolError(
            "The provider answered without an id token, so nobody knows who signed in.",
            step="sign-in",
            hint="Allow the scope openid to the app.",
        )
    return Secret(found)


def _got(where: str) -> Flow[dict[str, Any]]:
    answer: Answer = yield from ask(Ask("GET", where))
    if answer.status != 200:
        raise ProtocolError(
            f"The provider answered {where} with HTTP {answer.status}.",
            step="sign-in",
            temporary=answer.status == 429 or answer.status >= 500,
        )
    return document(answer)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
