"""What the tokens say of themselves: claims of JSON Web Tokens (RFC 7519), read and never proven."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, Final

from postroom.errors import ProtocolError
from postroom.oauth.answers import text_of, texts_of
from postroom.oauth.discovery import issuer_fits

__all__ = ["Claims", "check_id_token", "read_claims"]

LONGEST: Final = 64 * 1024  # characters of a token that is taken apart
CLOCK: Final = 900.0  # seconds that a server's clock may differ from ours


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims we know; everything else is dropped.

    An id token that came from the token endpoint itself may be believed without its signature,
    since TLS says who sent it (OpenID Connect Core 3.1.3.7, 6), once :func:`check_id_token` was
    content.  An access token is for somebody else: what stands in it is a hint.
    """

    issuer: str = ""
    subject: str = ""
    audience: tuple[str, ...] = ()
    client: str = ""
    tenant: str = ""
    preferred_username: str = ""
    upn: str = ""
    email: str = ""
    email_verified: bool | None = None
    scopes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    expires_at: float | None = None


def read_claims(token: str) -> Claims | None:
    """The claims of a JWT, or None for a token that is none (it is opaque, which is usual)."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > LONGEST:
        return None
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        found = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        return None
    return _claims(found) if isinstance(found, dict) else None


def _claims(found: dict[str, Any]) -> Claims:
    verified = found.get("email_verified")
    return Claims(
        issuer=text_of(found, "iss"),
        subject=text_of(found, "sub"),
        audience=texts_of(found, "aud"),
        client=text_of(found, "azp") or text_of(found, "appid") or text_of(found, "client_id"),
        tenant=text_of(found, "tid").lower(),
        preferred_username=text_of(found, "preferred_username"),
        upn=text_of(found, "upn"),
        email=text_of(found, "email"),
        # some write it as a text (Apple, Cognito)
        email_verified={True: True, False: False, "true": True, "false": False}.get(verified)
        if isinstance(verified, bool | str)
        else None,
        scopes=tuple((text_of(found, "scp") or text_of(found, "scope")).split()),
        roles=texts_of(found, "roles"),
        expires_at=_instant(found.get("exp")),
    )


def _instant(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        return None
    return float(value)


def check_id_token(claims: Claims | None, *, issuer: str, client_id: str, now: float) -> None:
    """Raise ProtocolError unless the id token is of this issuer, for this client, and in time.

    The checks of OpenID Connect Core 3.1.3.7 without the signature (its point 6), for an id token
    that came from the token endpoint.  ``issuer`` empty: the server has no metadata, so that nobody
    knows its name.  ``now``: the server's own clock, in seconds since 1970.
    """
    if claims is None:
        raise _wrong("The id token of the authorization server cannot be read.")
    if issuer and not issuer_fits(issuer, claims.issuer, tenant=claims.tenant):
        raise _wrong("The id token is of another issuer than the authorization server.")
    if client_id not in claims.audience:
        raise _wrong("The id token is for another client.")
    if len(claims.audience) > 1 and claims.client != client_id:
        raise _wrong("The id token is for several clients, and was not made for this one.")
    if claims.expires_at is None or claims.expires_at + CLOCK < now:
        raise _wrong("The id token has expired.")


def _wrong(sentence: str) -> ProtocolError:
    return ProtocolError(
        sentence,
        step="sign-in",
        hint="Nothing of it is believed. Check authority and client id; if they are right, "
        "somebody answers in the place of the authorization server.",
    )
