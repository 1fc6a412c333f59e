"""The id token of a sign-in: nothing of it is believed before its signature, and all it says, was checked."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from postroom.clock import timestamp
from postroom.errors import ProtocolError
from postroom.oauth.claims import check_id_token, read_claims
from postroom.oauth.openid import ALGORITHMS
from postroom.secret import Secret

__all__ = ["check_fresh", "claims_of", "is_fresh"]

SKEW: Final = 60.0
"""Seconds by which the clock of the provider may be behind."""


def claims_of(
    token: Secret, keys: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str
) -> dict[str, Any]:
    """The claims of an id token: its signature, issuer, audience, time and nonce (OpenID Connect Core
    3.1.3.7).  Raises ProtocolError.
    """
    text = token.reveal()
    try:
        found = jwt.decode(text, KeySet.import_key_set(dict(keys)), algorithms=list(ALGORITHMS))  # type: ignore[arg-type]
    except (JoseError, ValueError, KeyError, TypeError):
        raise ProtocolError(
            "The id token is not signed with a key of the provider; nothing of it is believed.",
            step="sign-in",
            hint="Begin again. If it stays so, somebody answers in the place of the provider.",
        ) from None
    claims = dict(found.claims)
    check_id_token(read_claims(text), issuer=issuer, client_id=client_id, now=timestamp())
    said, subject = claims.get("nonce"), claims.get("sub")
    if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
        raise ProtocolError(
            "The id token belongs to another sign-in; nothing of it is believed.",
            step="sign-in",
            hint="Begin again.",
        )
    if not isinstance(subject, str) or not subject or not isinstance(claims.get("iss"), str):
        raise ProtocolError(
            "The id token does not say who it is; nothing of it is believed.", step="sign-in"
        )
    return claims


def is_fresh(claims: Mapping[str, Any], *, since: float) -> bool:
    """Whether the account has signed in since then (seconds since 1970), by what the provider says:
    ``auth_time``, which stands there where ``max_age`` was asked for (Core 3.1.2.1)."""
    at = claims.get("auth_time")
    return isinstance(at, int | float) and not isinstance(at, bool) and at >= since - SKEW


def check_fresh(claims: Mapping[str, Any], *, since: float) -> None:
    """Raise ProtocolError unless :func:`is_fresh`."""
    if not is_fresh(claims, since=since):
        raise ProtocolError(
            "The provider does not say that you have signed in there just now.",
            step="sign-in",
            hint="Sign out there and begin again. Where the provider never says when somebody signed in, "
            "an administrator can invite you anew, to choose a password for this.",
        )
