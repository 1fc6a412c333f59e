"""Passwords that providers are ending: a dated table, and which row is about a connection (pure)."""

from __future__ import annotations

import datetime as dt
from typing import Final, NamedTuple

from postroom.connections.presets import PRESETS

__all__ = ["ENDING", "SEEN", "Ending", "ending_of"]

SEEN: Final = "2026-11-29"


class Ending(NamedTuple):
    """One provider's end of passwords on some wires.

    ``since``: from when on they are refused, or off by default where ``by_default`` says so.
    ``app_password``: one made for a program alone still works.
    """

    provider: str
    hosts: tuple[str, ...]
    protocols: tuple[str, ...]
    since: dt.date
    sentence: str
    source: str
    by_default: bool = False
    app_password: bool = False

    def ended(self, today: dt.date) -> bool:
        """Whether it has come."""
        return self.since <= today


_BASIC = (
    "https://learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/"
    "deprecation-of-basic-authentication-exchange-online"
)
ENDING: Final = (
    Ending(
        "Google",
        ("imap.gmail.com", "pop.gmail.com", "smtp.gmail.com", "imap.googlemail.com",
         "pop.googlemail.com", "smtp.googlemail.com"),
        ("imap", "pop3", "smtp"),
        dt.date(2025, 5, 1),  # Google moved the day several times; the page names earlier ones
        "Google takes no account passwords any more, only app passwords and OAuth.",
        "https://support.google.com/a/answer/14114704",
        app_password=True,
    ),
    Ending(
        "Outlook.com",
        ("smtp-mail.outlook.com", "imap-mail.outlook.com", "pop-mail.outlook.com"),
        ("imap", "pop3", "smtp"),
        dt.date(2024, 9, 16),
        "Outlook.com has taken no passwords since September 2024: it wants OAuth.",
        "https://support.microsoft.com/office/"
        "modern-authentication-methods-now-needed-to-continue-syncing-outlook-email",
    ),
    Ending(
        "Exchange Online",
        ("outlook.office365.com", "imap.office365.com", "pop.office365.com"),
        ("imap", "pop3"),
        dt.date(2022, 10, 1),
        "Exchange Online has taken no passwords for IMAP and POP3 since October 2022.",
        _BASIC,
    ),
    Ending(
        "Exchange Online",
        ("smtp.office365.com", "outlook.office365.com"),
        ("smtp",),
        dt.date(2026, 12, 31),
        "Exchange Online switches passwords for SMTP off by default at the end of December 2026; the "
        "date of their removal is to be announced in the second half of 2027.",
        "https://techcommunity.microsoft.com/blog/exchange/"
        "updated-exchange-online-smtp-auth-basic-authentication-deprecation-timeline/4489835",
        by_default=True,
    ),
)  # fmt: skip


def ending_of(protocol: str, host: str, user: str = "") -> Ending | None:
    """The row about a sign-in with a password on this wire, or None.

    ``host`` in its canonical form.  Outlook.com and Exchange Online share hosts: the domain of the
    user tells them apart.
    """
    domain = user.rpartition("@")[2].lower()
    rows = [each for each in ENDING if protocol in each.protocols]
    if host in ("outlook.office365.com", "smtp.office365.com") and (
        domain in PRESETS["outlook"].domains
    ):
        return next((each for each in rows if each.provider == "Outlook.com"), None)
    return next((each for each in rows if host in each.hosts), None)
