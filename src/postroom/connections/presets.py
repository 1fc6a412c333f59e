"""Presets: hosts, ports, security, sign-in and quirks of providers, as data (pure, dated)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from postroom.errors import InvalidValue

__all__ = [
    "PRESETS",
    "SEEN",
    "TENANT",
    "Preset",
    "Wire",
    "asks_of",
    "lacks_endpoint",
    "of_authority",
    "of_server",
]

SEEN: Final = "2026-11-29"
TENANT: Final = "TENANT"
"""Stands in an authority where the Directory (tenant) ID goes."""


class Wire(NamedTuple):
    """One side of one protocol."""

    host: str
    port: int
    security: str


class Preset(NamedTuple):
    """What a provider has, so that only an account and a sign-in are left to give.

    ``flows``: the types of ``auth`` that work there, the best first.  ``endpoints``: those that a
    record has to name, some on another origin than the authority: who names the token endpoint names
    all that its flows ask.  ``scopes``: of a person's sign-in by wire; empty where they follow from
    the authority.  ``asks``: what the address of a sign-in says besides.
    ``openid``: whether the server says who signed in when it is asked for.  ``refresh_days``: after
    how many days without use it ends a refresh token; None where it does not say.
    """

    key: str
    label: str
    flows: tuple[str, ...]
    imap: Wire | None = None
    pop3: Wire | None = None
    smtp: Wire | None = None
    graph_url: str = ""
    authority: str = ""
    endpoints: tuple[tuple[str, str], ...] = ()
    scopes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    asks: tuple[tuple[str, str], ...] = ()
    openid: bool = False
    refresh_days: int | None = None
    domains: tuple[str, ...] = ()
    quirks: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def by_oauth(self) -> tuple[str, ...]:
        """The flows of OAuth that work there, the best first."""
        return tuple(flow for flow in self.flows if flow.startswith("oauth_"))

    def authority_of(self, tenant: str) -> str:
        """The authority, of this tenant where each has its own.  Raises InvalidValue without one."""
        if TENANT not in self.authority:
            return self.authority
        if not tenant:
            raise InvalidValue("tenant", "is needed: the Directory (tenant) ID, from Overview")
        return self.authority.replace(TENANT, tenant)

    def scopes_of(self, wires: Iterable[str]) -> tuple[str, ...]:
        """The scopes of a person's sign-in that is for these wires."""
        known = dict(self.scopes)
        return tuple(dict.fromkeys(scope for wire in wires for scope in known.get(wire, ())))


_CLIENT, _DEVICE, _CODE, _SECRET = (
    "oauth_client_credentials", "oauth_device_flow", "oauth_authorization_code", "secret",
)  # fmt: skip
_FASTMAIL = "https://www.fastmail.com/dev/protocol-"
_GOOGLE_SCOPE = ("https://mail.google.com/",)

PRESETS: Final[dict[str, Preset]] = {
    each.key: each
    for each in (
        Preset(
            "microsoft365", "Microsoft 365", (_CLIENT, _CODE, _DEVICE),
            imap=Wire("outlook.office365.com", 993, "tls"),
            pop3=Wire("outlook.office365.com", 995, "tls"),
            smtp=Wire("smtp.office365.com", 587, "starttls"),
            graph_url="https://graph.microsoft.com",
            authority=f"https://login.microsoftonline.com/{TENANT}",
            openid=True,
            refresh_days=90,
            quirks=(
                "Graph needs no further set-up; IMAP, POP3 and SMTP want the app registered in Exchange "
                "as well, and SMTP switched on for the mailbox.",
                "Microsoft recommends that tenants block the device flow; many do.",
                "A token is for one service: Graph, or IMAP, POP3 and SMTP together.",
            ),
            sources=(
                "https://learn.microsoft.com/exchange/client-developer/legacy-protocols/"
                "how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth",
                "https://learn.microsoft.com/entra/identity/conditional-access/"
                "concept-authentication-flows",
                "https://learn.microsoft.com/entra/identity-platform/refresh-tokens",
            ),
        ),
        Preset(
            "outlook", "Outlook.com", (_CODE, _DEVICE),
            imap=Wire("outlook.office365.com", 993, "tls"),
            pop3=Wire("outlook.office365.com", 995, "tls"),
            smtp=Wire("smtp-mail.outlook.com", 587, "starttls"),
            graph_url="https://graph.microsoft.com",
            authority="https://login.microsoftonline.com/consumers",
            openid=True,
            refresh_days=90,
            domains=("outlook.com", "hotmail.com", "live.com", "msn.com"),
            quirks=(
                "IMAP and POP3 have to be switched on first: Settings, Mail, Forwarding and IMAP.",
                "Client credentials do not exist for personal accounts: a person signs in.",
            ),
            sources=(
                "https://support.microsoft.com/office/"
                "pop-imap-and-smtp-settings-8361e398-8af4-4e97-b147-6c6c4ac95353",
            ),
        ),
        Preset(
            "gmail", "Gmail and Google Workspace", (_CODE, _SECRET),
            imap=Wire("imap.gmail.com", 993, "tls"),
            pop3=Wire("pop.gmail.com", 995, "tls"),
            smtp=Wire("smtp.gmail.com", 465, "tls"),
            authority="https://accounts.google.com",
            endpoints=(
                ("authorization_endpoint", "https://accounts.google.com/o/oauth2/v2/auth"),
                ("token_endpoint", "https://oauth2.googleapis.com/token"),
                ("revocation_endpoint", "https://oauth2.googleapis.com/revoke"),
            ),
            scopes=(("imap", _GOOGLE_SCOPE), ("pop3", _GOOGLE_SCOPE), ("smtp", _GOOGLE_SCOPE)),
            # without consent Google gives a refresh token the first time only
            asks=(("access_type", "offline"), ("prompt", "consent")),
            openid=True,
            refresh_days=180,
            domains=("gmail.com", "googlemail.com"),
            quirks=(
                "Google does not allow its mail scope in the device flow: a person signs in by "
                "authorization code.",
                "An app that is in testing loses its sign-ins after seven days: publish it, or make it "
                "internal to the Workspace.",
                "Google wants the client secret of a desktop app too.",
                "A password works only as an app password, with two-step verification on.",
            ),
            sources=(
                "https://developers.google.com/workspace/gmail/imap/xoauth2-protocol",
                "https://developers.google.com/identity/protocols/oauth2/limited-input-device"
                "#allowedscopes",
                "https://developers.google.com/identity/protocols/oauth2#expiration",
            ),
        ),
        Preset(
            "yahoo", "Yahoo Mail", (_SECRET, _CODE),
            imap=Wire("imap.mail.yahoo.com", 993, "tls"),
            pop3=Wire("pop.mail.yahoo.com", 995, "tls"),
            smtp=Wire("smtp.mail.yahoo.com", 465, "tls"),
            authority="https://api.login.yahoo.com",
            endpoints=(
                ("authorization_endpoint", "https://api.login.yahoo.com/oauth2/request_auth"),
                ("token_endpoint", "https://api.login.yahoo.com/oauth2/get_token"),
            ),
            scopes=tuple((wire, ("mail-w",)) for wire in ("imap", "pop3", "smtp")),
            domains=("yahoo.com", "ymail.com", "rocketmail.com"),
            quirks=(
                "A password works only as an app password.",
                "OAuth only for apps that Yahoo has approved for the mail scope.",
                "It offers OAUTHBEARER.",
            ),
            sources=("https://senders.yahooinc.com/developer/documentation",),
        ),
        Preset(
            "icloud", "iCloud Mail", (_SECRET,),
            imap=Wire("imap.mail.me.com", 993, "tls"),
            smtp=Wire("smtp.mail.me.com", 587, "starttls"),
            domains=("icloud.com", "me.com", "mac.com"),
            quirks=(
                "An app-specific password only; there is no OAuth for mail, and no POP3.",
                "IMAP may want the name before the @ as user; SMTP wants the whole address.",
            ),
            sources=("https://support.apple.com/102525", "https://support.apple.com/102654"),
        ),
        Preset(
            "fastmail", "Fastmail", (_SECRET, _CODE),
            imap=Wire("imap.fastmail.com", 993, "tls"),
            pop3=Wire("pop.fastmail.com", 995, "tls"),
            smtp=Wire("smtp.fastmail.com", 465, "tls"),
            authority="https://api.fastmail.com",
            endpoints=(
                ("authorization_endpoint", "https://api.fastmail.com/oauth/authorize"),
                ("token_endpoint", "https://api.fastmail.com/oauth/refresh"),
            ),
            scopes=(
                ("imap", (_FASTMAIL + "imap",)),
                ("pop3", (_FASTMAIL + "pop",)),
                ("smtp", (_FASTMAIL + "smtp",)),
            ),
            domains=("fastmail.com", "fastmail.fm"),
            quirks=(
                "A password works only as an app password, and not on the Basic plan.",
                "OAuth clients are registered by hand, by writing to Fastmail; authorization code only.",
            ),
            sources=(
                "https://www.fastmail.com/for-developers/oauth/",
                "https://www.fastmail.com/help/technical/servernamesandports.html",
                # the token endpoint and the scopes, as Thunderbird has them
                "https://searchfox.org/comm-central/source/mailnews/base/src/OAuth2Providers.sys.mjs",
            ),
        ),
        Preset(
            "plain", "Another server", (_SECRET, _CODE, _DEVICE, _CLIENT),
            quirks=("Hosts are those of the server; ports and security follow from each other.",),
        ),
    )
}  # fmt: skip
"""By key.  What was seen is in docs/quirks.md with its evidence."""


def asks_of(authority: str) -> tuple[tuple[str, str], ...]:
    """What the address of a sign-in has to say besides, at this authorization server."""
    preset = of_authority(authority)
    return preset.asks if preset else ()


def lacks_endpoint(authority: str, named: Mapping[str, str]) -> Preset | None:
    """The preset of a server whose token endpoint is on another origin and that was not named.

    Nothing is sent to an origin that nobody named, so such a sign-in can never work.
    """
    preset = of_authority(authority)
    known = dict(preset.endpoints).get("token_endpoint", "") if preset else ""
    elsewhere = urlsplit(known).netloc not in ("", urlsplit(authority).netloc)
    return preset if elsewhere and not named.get("token_endpoint") else None


def of_server(protocol: str, host: str, user: str) -> Preset | None:
    """The preset of a mail server, or None; who shares hosts is told apart by the domain of the user."""
    domain = user.rpartition("@")[2].lower()
    found = [
        each
        for each in PRESETS.values()
        if (wire := getattr(each, protocol, None)) is not None and wire.host == host
    ]
    return next((each for each in found if domain in each.domains), found[0] if found else None)


def of_authority(authority: str) -> Preset | None:
    """The preset whose authorization server this is, or None."""
    for preset in PRESETS.values():
        server = preset.authority.removesuffix(TENANT).rstrip("/")
        if server and f"{authority}/".startswith(f"{server}/"):
            return preset
    return None
