"""Google's variants: errors of its own, and invalid_grant told apart by its description."""

from __future__ import annotations

import re
from typing import Final

from postroom.oauth.refusals.table import Meaning

__all__ = ["GOOGLE", "GOOGLE_DESCRIBED", "SEEN", "SOURCES"]

SEEN: Final = "2026-11-29"
SOURCES: Final = (
    "https://developers.google.com/identity/protocols/oauth2/web-server#authorization-errors",
    "https://developers.google.com/identity/protocols/oauth2#expiration",
    "https://developers.google.com/identity/protocols/oauth2/limited-input-device",
    "https://github.com/googleapis/google-auth-library-nodejs/issues/1961",  # invalid_rapt
)

GOOGLE: Final = (
    Meaning(
        "admin_policy_enforced",
        "The Google Workspace administrator does not permit this app these scopes.",
        "Let the administrator trust the client id under Security, API controls.",
    ),
    Meaning(
        "org_internal",
        "The Google app is for accounts of its own organisation only.",
        "Sign in with an account of that organisation, or make the app external.",
    ),
    Meaning(
        "disabled_client",
        "Google has disabled this client.",
        "See the mail that Google sent to the project's owner, or use another client.",
    ),
    Meaning(
        "deleted_client",
        "This client was deleted in the Google Cloud project.",
        "Restore it within 30 days, or make a new one and change the client id.",
    ),
    Meaning(
        "redirect_uri_mismatch",
        "The redirect URI is not among those registered for the client.",
        "Register exactly the redirect URI that is used, or make a client of type Desktop app.",
    ),
    Meaning(
        "disallowed_useragent",
        "Google permits no sign-in inside an embedded browser.",
        "Open the address in an ordinary browser.",
    ),
    Meaning(
        "invalid_rapt",
        "The Google Workspace wants people to sign in again after some hours (session control).",
        "Sign in again; to end it, let the administrator exempt trusted apps from session control.",
        sign_in=True,
    ),
    Meaning(
        "rate_limit_exceeded",
        "Google has had too many requests of this client.",
        "Nothing: it is tried again later by itself.",
        temporary=True,
    ),
    Meaning(
        "user_rate_limit_exceeded",
        "Google has had too many requests for this account.",
        "Nothing: it is tried again later by itself.",
        temporary=True,
    ),
    Meaning(
        "quota_exceeded",
        "The quota of the Google Cloud project is used up for now.",
        "Wait, or raise the project's quota.",
        temporary=True,
    ),
)
"""By the name of the error."""

GOOGLE_DESCRIBED: Final = (
    (
        "invalid_grant",
        re.compile(r"expired or revoked", re.IGNORECASE),
        Meaning(
            "invalid_grant: Token has been expired or revoked.",
            "Google has ended the sign-in: it was withdrawn, not used for six months, the password "
            "was changed, or the app is still in testing, where a sign-in lasts seven days.",
            "Sign in again; publish the app if it is in testing.",
            sign_in=True,
        ),
    ),
    (
        "invalid_grant",
        re.compile(r"invalid_rapt|reauth related", re.IGNORECASE),
        next(each for each in GOOGLE if each.key == "invalid_rapt"),
    ),
    (
        "invalid_grant",
        re.compile(r"invalid jwt|reasonable timeframe", re.IGNORECASE),
        Meaning(
            "invalid_grant: Invalid JWT",
            "Google takes the signed request for expired or not valid yet: a clock is wrong.",
            "Put the clock of this machine right.",
        ),
    ),
    (
        "invalid_grant",
        re.compile(r"account has been (deleted|disabled)|user.{0,20}disabled", re.IGNORECASE),
        Meaning(
            "invalid_grant: account disabled",
            "The Google account was deleted or disabled.",
            "Let the administrator restore it, or sign in with another account.",
            sign_in=True,
        ),
    ),
    (
        "invalid_grant",
        re.compile(r"^bad request\.?$", re.IGNORECASE),
        Meaning(
            "invalid_grant: Bad Request",
            "Google does not know this sign-in any more: it was used up, or given to another client.",
            "Sign in again, with the client id that the connection has.",
            sign_in=True,
        ),
    ),
    (
        "invalid_request",
        re.compile(r"client_secret is missing", re.IGNORECASE),
        Meaning(
            "invalid_request: client_secret is missing.",
            "Google wants the client secret, which it gives desktop apps too.",
            "Give the credential the client secret of the same client.",
        ),
    ),
)
"""By the name of the error and its description; the first that fits."""
