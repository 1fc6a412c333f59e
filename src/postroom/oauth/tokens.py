"""Tokens: client credentials, refresh, the exchange of a code, and revocation (RFC 6749, 7009)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

from postroom.errors import ProtocolError, SignInError
from postroom.oauth.answers import seconds, server_time, shown, text_of
from postroom.oauth.claims import Claims, check_id_token, read_claims
from postroom.oauth.client import Client, Proven, request
from postroom.oauth.code import Pending
from postroom.oauth.discovery import Endpoints
from postroom.oauth.steps import Flow, Form
from postroom.secret import Secret

__all__ = [
    "TokenGrant",
    "client_credentials",
    "exchange_code",
    "granted",
    "refresh",
    "revoke",
]

UNSAID: Final = 600.0
"""Seconds a token is taken to last when the server does not say."""
LONGEST: Final = 366 * 86_400.0
LARGEST_TOKEN: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """What a token endpoint granted.  Members of the answer that are not here were dropped.

    ``expires_in`` counts in seconds from ``received_at`` (seconds since 1970, our clock).
    ``refresh_token``: a new one when the server rotated it, else the one that was used (None for
    client credentials).  ``claims`` are those of the id token, believed as far as
    :class:`~postroom.oauth.claims.Claims` says; ``hints`` stand in the access token and prove nothing.
    ``proof`` is the label of the secret that worked, ``refused`` those the server refused before, with
    the sentence ``why``.
    ``problem``: why the id token of a refresh was not believed; the tokens are good nevertheless.
    """

    access_token: Secret
    expires_in: float
    received_at: float
    refresh_token: Secret | None = None
    rotated: bool = False
    scope: tuple[str, ...] = ()
    claims: Claims | None = None
    hints: Claims | None = None
    proof: str = ""
    refused: tuple[str, ...] = field(default=())
    why: str = ""
    problem: str = ""

    @property
    def expires_at(self) -> float:
        """When the access token ends, in seconds since 1970 on our clock."""
        return self.received_at + self.expires_in


def client_credentials(
    client: Client, endpoints: Endpoints, scopes: tuple[str, ...], *, at: float
) -> Flow[TokenGrant]:
    """A token for the client itself (RFC 6749, 4.4); no person signs in, nothing is refreshed."""
    form: Form = (("grant_type", "client_credentials"), *_scope(scopes))
    proven = yield from request(
        client, endpoints, endpoints.token_endpoint, form, at=at, grant="client_credentials"
    )
    # RFC 6749, 4.4.3: no refresh token belongs in here; a server that sends one is not followed
    return replace(_grant(proven, scopes, keep=None), refresh_token=None, rotated=False)


def refresh(
    client: Client,
    endpoints: Endpoints,
    refresh_token: Secret,
    scopes: tuple[str, ...] = (),
    *,
    at: float,
    prove: bool = False,
) -> Flow[TokenGrant]:
    """A new access token for a stored sign-in (RFC 6749, 6).

    The refresh token of the grant is to be stored before its access token is used.  An id token
    that cannot be believed ends nothing here, since the old refresh token may be used up already:
    the grant says it in ``problem``.
    """
    form: Form = (
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token),
        *_scope(scopes),
    )
    proven = yield from request(
        client,
        endpoints,
        endpoints.token_endpoint,
        form,
        at=at,
        grant="refresh_token",
        prove=prove,
    )
    grant = _grant(proven, scopes, keep=refresh_token)
    claims, problem = grant.claims, ""
    if "id_token" in proven.found:
        try:
            _check(proven, claims, client, endpoints)
        except ProtocolError as error:
            claims, problem = None, error.sentence
    return replace(grant, claims=claims, problem=problem)


def exchange_code(
    client: Client,
    endpoints: Endpoints,
    pending: Pending,
    code: Secret,
    scopes: tuple[str, ...] = (),
    *,
    at: float,
    prove: bool = False,
) -> Flow[TokenGrant]:
    """The tokens for an authorization code, with the verifier of PKCE (RFC 7636, 4.5).

    ``scopes`` are said again where the server wants to hear them (Entra, AADSTS28003).
    """
    form: Form = (
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", pending.redirect_uri),
        ("code_verifier", pending.verifier),
        *_scope(scopes),
    )
    proven = yield from request(
        client,
        endpoints,
        endpoints.token_endpoint,
        form,
        at=at,
        grant="authorization_code",
        prove=prove,
    )
    return granted(proven, client, endpoints, pending.scopes)


def granted(
    proven: Proven, client: Client, endpoints: Endpoints, asked: tuple[str, ...]
) -> TokenGrant:
    """The grant of a first sign-in; raises ProtocolError for an id token that cannot be believed."""
    grant = _grant(proven, asked, keep=None)
    if "id_token" in proven.found:
        _check(proven, grant.claims, client, endpoints)
    return grant


def revoke(
    client: Client,
    endpoints: Endpoints,
    token: Secret,
    *,
    hint: str = "refresh_token",
    at: float,
    prove: bool = False,
) -> Flow[bool]:
    """Tell the server that a token is not used any more (RFC 7009).

    True when the server took it (a token it does not know counts: nobody can use it); False where it
    has no such endpoint.  Raises what a refusal means.
    """
    if not endpoints.revocation_endpoint:
        return False
    form: Form = (("token", token), ("token_type_hint", hint))
    url = endpoints.revocation_endpoint
    try:
        yield from request(client, endpoints, url, form, at=at, grant="revocation", prove=prove)
    except SignInError as error:
        if error.facts.get("oauth_error") != "invalid_token":  # Google's way to say that it is gone
            raise
    return True


def _scope(scopes: tuple[str, ...]) -> Form:
    return (("scope", " ".join(scopes)),) if scopes else ()


def _grant(proven: Proven, asked: tuple[str, ...], *, keep: Secret | None) -> TokenGrant:
    found = proven.found
    access = _token(found, "access_token")
    if not access:
        raise _odd("The authorization server answered without an access token.")
    kind = text_of(found, "token_type")
    if kind.lower() != "bearer":
        raise _odd(
            f"The authorization server gave a token of type {shown(kind)[:40]!r}; "
            "mail servers take Bearer only."
        )
    lasts = seconds(found.get("expires_in"))
    renewed = _token(found, "refresh_token")
    scope = text_of(found, "scope").split()
    return TokenGrant(
        access_token=Secret(access),
        expires_in=UNSAID if lasts is None else min(lasts, LONGEST),
        received_at=proven.answer.at,
        refresh_token=Secret(renewed) if renewed else keep,
        rotated=bool(renewed) and (keep is None or Secret(renewed) != keep),
        scope=tuple(scope) or asked,  # RFC 6749, 5.1: left out when nothing was changed
        claims=read_claims(text_of(found, "id_token")),
        hints=read_claims(access),
        proof=proven.proof,
        refused=proven.refused,
        why=proven.why,
    )


def _token(found: dict[str, Any], name: str) -> str:
    """A token; an empty text when there is none.  Raises ProtocolError for one that is none.

    VSCHAR (RFC 6749, A.12 and A.17), without the space where it has to stand in a header.
    """
    token = text_of(found, name)
    low = "\x21" if name == "access_token" else "\x20"
    if len(token) > LARGEST_TOKEN or not all(low <= char <= "\x7e" for char in token):
        raise _odd(f"The {name} of the authorization server holds characters no token has.")
    return token


def _check(proven: Proven, claims: Claims | None, client: Client, endpoints: Endpoints) -> None:
    check_id_token(
        claims,
        issuer=endpoints.issuer,
        client_id=client.client_id,
        now=server_time(proven.answer),
    )


def _odd(sentence: str) -> ProtocolError:
    return ProtocolError(
        sentence,
        step="sign-in",
        temporary=True,
        hint="It is tried again. If it stays so, check the authority and the token endpoint.",
    )
