"""Providers that want something else than the account's own password (pure)."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["APP_PASSWORD", "Provider", "provider_of"]

APP_PASSWORD: Final = (
    "An app password is a password for one program alone, which the provider makes for you in the "
    "account's security settings once two-step verification is on; the account's own password is "
    "refused there."
)


class Provider(NamedTuple):
    """What a provider wants instead, and where a person gets it.

    ``keeps_copy``: what is sent through it lies in the account's Sent folder by itself.
    """

    name: str
    wants: str
    link: str
    app_password: bool = True
    keeps_copy: bool = False


_GOOGLE = Provider(
    "Google",
    "Gmail takes an app password, or OAuth.",
    "https://myaccount.google.com/apppasswords",
    keeps_copy=True,
)
_MICROSOFT = Provider(
    "Microsoft",
    "Outlook.com and Microsoft 365 take no passwords for IMAP and POP3, and for SMTP only where an "
    "administrator still allows them: they want OAuth, and an app password does not help.",
    "https://learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/"
    "deprecation-of-basic-authentication-exchange-online",
    app_password=False,
    keeps_copy=True,
)
_YAHOO = Provider(
    "Yahoo", "Yahoo Mail takes an app password only.", "https://login.yahoo.com/account/security"
)
_AOL = Provider("AOL", "AOL takes an app password only.", "https://login.aol.com/account/security")
_APPLE = Provider(
    "Apple", "iCloud Mail takes an app-specific password only.", "https://support.apple.com/102654"
)
_FASTMAIL = Provider(
    "Fastmail",
    "Fastmail takes an app password only, and none on the Basic plan.",
    "https://www.fastmail.com/help/clients/apppassword.html",
)
_GMX = Provider(
    "GMX",
    "GMX wants POP3 and IMAP switched on in its settings, and an application-specific password "
    "where two-factor authentication is on.",
    "https://hilfe.gmx.net/sicherheit/2fa/anwendungsspezifisches-passwort.html",
)
_WEB_DE = Provider(
    "WEB.DE",
    "WEB.DE wants POP3 and IMAP switched on in its settings, and an application-specific password "
    "where two-factor authentication is on.",
    "https://hilfe.web.de/",
)
_MAIL_COM = Provider(
    "mail.com",
    "mail.com wants an application-specific password where two-factor authentication is on.",
    "https://support.mail.com/security/2fa/application-specific-passwords.html",
)
_ZOHO = Provider(
    "Zoho",
    "Zoho wants IMAP switched on in its settings, and an application-specific password where "
    "multi-factor authentication is on.",
    "https://help.zoho.com/portal/kb/articles/manage-application-specific-passwords",
)

# Evidence, seen 2026-11-24: linked help pages of Apple, Fastmail, GMX, mail.com and Zoho say it.
# Microsoft's message MC786329 (27 January 2026) switches passwords for SMTP off by default at the
# end of December 2026; Exchange's IMAP and POP3 lost them in 2022, Outlook.com on 2024-09-16.
# Guides of 2024 to 2026 for Google, Yahoo and AOL agree on the linked pages. WEB.DE belongs to the
# company of GMX; its own page was not seen, so the link leads to its help in general.
_BY_SUFFIX: Final[dict[str, Provider]] = {
    "gmail.com": _GOOGLE, "googlemail.com": _GOOGLE, "google.com": _GOOGLE,
    "outlook.com": _MICROSOFT, "office365.com": _MICROSOFT, "office.com": _MICROSOFT,
    "hotmail.com": _MICROSOFT, "live.com": _MICROSOFT,
    "yahoo.com": _YAHOO, "yahoo.co.jp": _YAHOO, "aol.com": _AOL,
    "me.com": _APPLE, "icloud.com": _APPLE, "mac.com": _APPLE,
    "fastmail.com": _FASTMAIL, "messagingengine.com": _FASTMAIL,
    "gmx.net": _GMX, "gmx.com": _GMX, "gmx.de": _GMX, "web.de": _WEB_DE, "mail.com": _MAIL_COM,
    "zoho.com": _ZOHO, "zoho.eu": _ZOHO, "zoho.in": _ZOHO,
}  # fmt: skip


def provider_of(host: str) -> Provider | None:
    """The provider behind a canonical host name, by its longest known suffix."""
    labels = host.split(".")
    for start in range(len(labels) - 1):
        found = _BY_SUFFIX.get(".".join(labels[start:]))
        if found is not None:
            return found
    return None
