"""Refusals of passwords by mail servers that want OAuth or an app password: text by text."""

from __future__ import annotations

import re
from typing import Final

from postroom.oauth.refusals.table import Meaning

__all__ = ["PASSWORDS", "SEEN", "SOURCES"]

SEEN: Final = "2026-11-29"
SOURCES: Final = (
    "https://support.google.com/a/answer/3726730",  # Gmail's SMTP errors
    "https://learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/"
    "authenticated-client-smtp-submission",
    "https://techcommunity.microsoft.com/blog/exchange/"
    "updated-exchange-online-smtp-auth-basic-authentication-deprecation-timeline/4489835",
    "https://learn.microsoft.com/exchange/client-developer/legacy-protocols/"
    "how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth",
)


def _row(pattern: str, meaning: Meaning) -> tuple[re.Pattern[str], Meaning]:
    return re.compile(pattern, re.IGNORECASE), meaning


_APP_PASSWORD = (
    "Make one under https://myaccount.google.com/apppasswords (two-step verification has to be on), "
    "or change the connection to OAuth."
)
_OAUTH = "Change the connection to OAuth."

PASSWORDS: Final = (
    _row(
        r"application-specific password required|534.{0,3}5\.7\.9\b",
        Meaning(
            "534 5.7.9",
            "Google takes no account password from programs: it wants an app password or OAuth.",
            _APP_PASSWORD,
        ),
    ),
    _row(
        r"534.{0,3}5\.7\.14\b|please log in (via|with) your web browser",
        Meaning(
            "534 5.7.14",
            "Google holds the sign-in for suspicious and wants it confirmed in a browser.",
            "Sign in with a browser once and confirm it, then use an app password or OAuth.",
        ),
    ),
    _row(
        r"username and password not accepted|535.{0,3}5\.7\.8\b.{0,60}(gsmtp|google)",
        Meaning(
            "535 5.7.8",
            "Google refused user name or password: usually the account's own password, where it "
            "takes app passwords only.",
            _APP_PASSWORD,
        ),
    ),
    _row(
        r"5\.7\.139.{0,80}smtpclientauthentication is disabled for the tenant"
        r"|smtpclientauthentication is disabled for the tenant",
        Meaning(
            "535 5.7.139 (tenant)",
            "The organisation has switched sending by SMTP off for all its mailboxes.",
            "Use Microsoft Graph, or let the administrator enable SMTP for this mailbox: "
            "Set-CASMailbox ADDRESS -SmtpClientAuthenticationDisabled $false",
        ),
    ),
    _row(
        r"smtpclientauthentication is disabled for the mailbox",
        Meaning(
            "535 5.7.139 (mailbox)",
            "Sending by SMTP is switched off for this mailbox.",
            "Let the administrator enable it: "
            "Set-CASMailbox ADDRESS -SmtpClientAuthenticationDisabled $false - or use Graph.",
        ),
    ),
    _row(
        r"5\.7\.139.{0,120}(credentials were incorrect|basic authentication is disabled"
        r"|security defaults|did not meet the criteria)"
        r"|locked by your organization's security defaults",
        Meaning(
            "535 5.7.139 (password)",
            "Exchange Online refused the password: it is wrong, or security defaults or a policy "
            "forbid passwords.",
            _OAUTH,
        ),
    ),
    _row(
        r"5\.7\.139\b",
        Meaning("535 5.7.139", "Exchange Online refused the sign-in over SMTP.", _OAUTH),
    ),
    _row(
        r"5\.7\.30\b|basic authentication is not supported for client submission",
        Meaning(
            "550 5.7.30",
            "Exchange Online takes no passwords for sending any more.",
            "Change the connection to OAuth, or use Microsoft Graph.",
        ),
    ),
    _row(
        r"535.{0,3}5\.7\.3\b",
        Meaning(
            "535 5.7.3",
            "Exchange refused the sign-in: a wrong user or password, or a token without the right "
            "to send by SMTP as this user.",
            "With OAuth check the permission (SMTP.Send, or SMTP.SendAsApp), the service principal "
            "in Exchange, and that the user is the mailbox of the token.",
        ),
    ),
    _row(
        r"user is authenticated but not connected",
        Meaning(
            "User is authenticated but not connected",
            "Exchange took the token, but its owner has no right to this mailbox.",
            "Check user and account of the connection, and the rights on the mailbox "
            "(Add-MailboxPermission ... -AccessRights FullAccess).",
        ),
    ),
    _row(
        r"5\.7\.60\b|senda?s?denied|not have permissions to send as this sender",
        Meaning(
            "5.7.60",
            "The account may not send as this sender.",
            "Grant Send As on the mailbox; it can take an hour until it works.",
        ),
    ),
    _row(
        r"4\.7\.0\b.{0,60}too many login attempts",
        Meaning(
            "454 4.7.0",
            "Too many sign-ins in a short time.",
            "Nothing: it is tried again later by itself.",
            temporary=True,
        ),
    ),
    _row(
        r"AUTH005",
        Meaning(
            "535 5.7.0 (#AUTH005)",
            "Yahoo refused the password: it takes app passwords only.",
            "Make one under https://login.yahoo.com/account/security, or use OAuth.",
        ),
    ),
)
"""The first that fits; texts of one code that mean different things stand before the code alone."""
