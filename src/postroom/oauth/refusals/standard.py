"""The errors of the standards: RFC 6749 4.1.2.1 and 5.2, RFC 8628 3.5, RFC 8707, OpenID Connect."""

from __future__ import annotations

from typing import Final

from postroom.oauth.refusals.table import Meaning

__all__ = ["SEEN", "SOURCES", "STANDARD"]

SEEN: Final = "2026-11-29"
SOURCES: Final = (
    "https://www.rfc-editor.org/rfc/rfc6749",
    "https://www.rfc-editor.org/rfc/rfc8628",
    "https://www.rfc-editor.org/rfc/rfc8707",
    "https://openid.net/specs/openid-connect-core-1_0.html#AuthError",
    # authorization_declined, bad_verification_code, invalid_resource are Entra's own
    "https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code",
)

_AGAIN = "Nothing: it is tried again by itself."
_ANEW = "Begin the sign-in again."

STANDARD: Final = (
    Meaning(
        "invalid_request",
        "The authorization server takes the request for malformed.",
        "Check authority, client id and scopes; the server's own text says what it misses.",
    ),
    Meaning(
        "invalid_client",
        "The authorization server does not know this client, or refuses its secret or certificate.",
        "Check the client id, and give the credential a client secret or certificate that is valid.",
    ),
    Meaning(
        "invalid_grant",
        "The stored sign-in has expired, was withdrawn, or belongs to another client.",
        "Sign in again.",
        sign_in=True,
    ),
    Meaning(
        "unauthorized_client",
        "This client may not sign in in this way.",
        "Permit the flow in the client's registration, or choose another flow.",
    ),
    Meaning(
        "unsupported_grant_type",
        "The authorization server does not offer this flow.",
        "Choose another flow: client credentials, device flow or authorization code.",
    ),
    Meaning(
        "unsupported_response_type",
        "The authorization server does not offer the authorization code flow to this client.",
        "Permit it in the client's registration, or choose another flow.",
    ),
    Meaning(
        "invalid_scope",
        "A scope is unknown to the authorization server, or not permitted to this client.",
        "Check the scopes of the connection, letter by letter.",
    ),
    Meaning(
        "invalid_target",
        "The authorization server does not know the service that the token is for.",
        "Check the scopes, or the resource in them.",
    ),
    Meaning(
        "invalid_resource",
        "The service that the token is for does not exist in this tenant.",
        "Check the scopes: the part before the last slash names the service.",
    ),
    Meaning("access_denied", "The sign-in was refused by the person or by a rule.", _ANEW),
    Meaning("authorization_declined", "The person refused the sign-in.", _ANEW),
    Meaning("expired_token", "The code was not entered in time.", _ANEW),
    Meaning("bad_verification_code", "The authorization server does not know the code.", _ANEW),
    Meaning(
        "authorization_pending",
        "The person has not finished the sign-in yet.",
        "Enter the code at the address that was shown.",
        temporary=True,
    ),
    Meaning("slow_down", "The authorization server is asked too often.", _AGAIN, temporary=True),
    Meaning(
        "server_error", "The authorization server has a fault of its own.", _AGAIN, temporary=True
    ),
    Meaning(
        "temporarily_unavailable",
        "The authorization server is overloaded or under maintenance.",
        _AGAIN,
        temporary=True,
    ),
    Meaning(
        "interaction_required",
        "The authorization server wants the person to be there.",
        "Sign in again.",
        sign_in=True,
    ),
    Meaning(
        "login_required",
        "The authorization server wants the person to sign in.",
        "Sign in again.",
        sign_in=True,
    ),
    Meaning(
        "account_selection_required",
        "The authorization server wants the person to choose an account.",
        "Sign in again.",
        sign_in=True,
    ),
    Meaning(
        "consent_required",
        "The person, or an administrator, has not consented to what is asked for.",
        "Sign in again and consent, or let an administrator consent for everybody.",
        of_scopes=True,
    ),
    Meaning(
        "invalid_token",
        "The token has expired, was withdrawn, or is for another service.",
        "Nothing at first: a new token is fetched. If it stays so, check the scopes.",
    ),
    Meaning(
        "insufficient_scope",
        "The token does not permit what was tried.",
        "Grant the missing permission, then sign in again.",
    ),
)
