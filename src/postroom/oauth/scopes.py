"""Scopes: what is asked for when nothing is said, what is refused when saved, what was granted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from postroom.errors import InvalidValue
from postroom.oauth.discovery import Endpoints, is_entra, tenant_of

__all__ = [
    "Difference",
    "SignInFlow",
    "by_resource",
    "check_sign_in",
    "compare",
    "default_scopes",
    "with_identity",
]

SignInFlow = Literal["oauth_client_credentials", "oauth_device_flow", "oauth_authorization_code"]
GRAPH: Final = "https://graph.microsoft.com"
EXCHANGE: Final = "https://outlook.office365.com"
_EXCHANGE_PERSON: Final = "https://outlook.office.com"
_WIRES: Final = {
    "imap": "IMAP.AccessAsUser.All",
    "pop3": "POP.AccessAsUser.All",
    "smtp": "SMTP.Send",
}
_SHARED: Final = ("common", "organizations", "consumers")
GOOGLE_MAIL: Final = "https://mail.google.com/"
_GOOGLE_HOST: Final = "accounts.google.com"
_IDENTITY: Final = ("openid", "profile", "email")
_NOT_LISTED: Final = frozenset({*_IDENTITY, "offline_access"})
_WITHOUT_OFFLINE: Final = frozenset(
    {"accounts.google.com", "api.login.yahoo.com", "api.login.aol.com", "api.fastmail.com"}
)
"""Servers that keep a sign-in without that scope and do not know it (seen 2026-11-29): Google by
``access_type=offline``, the others always."""
_SAME_RESOURCE: Final = (
    ("https://graph.microsoft.com/", ""),
    ("https://outlook.office365.com/", "https://outlook.office.com/"),
    ("https://www.googleapis.com/auth/userinfo.email", "email"),
    ("https://www.googleapis.com/auth/userinfo.profile", "profile"),
)
"""One scope in two spellings, small letters: servers answer in another than they were asked in."""


def default_scopes(
    flow: SignInFlow,
    wires: Iterable[str],
    *,
    authority: str = "",
    shared: bool = False,
    graph_url: str = GRAPH,
    entra: bool | None = None,
) -> tuple[str, ...]:
    """The scopes when a connection names none (``wires``: imap, pop3, smtp or graph).

    ``shared``: account and mailbox differ.  One sign-in serves both directions, so give both wires.
    Empty for a server whose scopes nobody knows: it gives what it gives by default.
    """
    known = is_entra(authority) if entra is None else entra
    used = sorted(set(wires))
    if _host(authority) == _GOOGLE_HOST:
        return (GOOGLE_MAIL,)
    if not known:
        person = flow != "oauth_client_credentials" and _host(authority) not in _WITHOUT_OFFLINE
        return ("offline_access",) if person else ()
    graph = "graph" in used
    if flow == "oauth_client_credentials":
        return (f"{_origin(graph_url)}/.default" if graph else f"{EXCHANGE}/.default",)
    if not graph:
        return ("offline_access", *(f"{_EXCHANGE_PERSON}/{_WIRES[wire]}" for wire in used))
    before = "" if _origin(graph_url) == GRAPH else f"{_origin(graph_url)}/"
    names = ["Mail.ReadWrite", "Mail.Send"]
    if shared:
        names += ["Mail.ReadWrite.Shared", "Mail.Send.Shared"]
    return ("offline_access", *(before + name for name in names))


def _host(authority: str) -> str:
    return urlsplit(authority).hostname or ""


def _origin(url: str) -> str:
    parts = urlsplit(url or GRAPH)
    return f"{parts.scheme}://{parts.netloc}"


def with_identity(
    scopes: tuple[str, ...], endpoints: Endpoints, *, openid: bool = False
) -> tuple[str, ...]:
    """The scopes with those that make the server say who signed in (OpenID Connect, 5.4).

    Only those it knows, for a scope that it does not know may be refused (RFC 6749, 3.3): what it
    lists; where it lists none, all if its metadata are OpenID's, or if it is known to (``openid``).
    """
    known = set(endpoints.scopes)
    if not known and (endpoints.openid or openid):
        known = set(_IDENTITY)
    return tuple(dict.fromkeys((*scopes, *(name for name in _IDENTITY if name in known))))


def by_resource(
    scopes: Iterable[str], *, authority: str = "", entra: bool | None = None
) -> tuple[tuple[str, ...], ...]:
    """The scopes in the groups that a token can be got for, in their order; one group at least.

    Entra gives a token for one service at a time (AADSTS28000), and a refresh token for all of
    them; what belongs to no service goes with every group.  Other servers are asked for all at once.
    """
    asked = tuple(dict.fromkeys(scopes))
    known = is_entra(authority) if entra is None else entra
    services = dict.fromkeys(_service(each) for each in asked if each not in _NOT_LISTED)
    if not known or len(services) < 2:
        return (asked,)
    return tuple(
        tuple(each for each in asked if each in _NOT_LISTED or _service(each) == service)
        for service in services
    )


def _service(scope: str) -> str:
    """The service of a scope of Entra: what stands before its last part, Graph where nothing does."""
    before, slash, _ = scope.lower().rpartition("/")
    return before.rstrip("/") if slash else GRAPH


def check_sign_in(
    flow: SignInFlow, authority: str, scopes: tuple[str, ...], *, entra: bool | None = None
) -> None:
    """Refuse what cannot work, when it is saved; the sentence of InvalidValue has the right value.

    ``scopes`` as they will be asked for, defaults filled in.  The rules about tenants and
    ``/.default`` are Entra's; other servers have their own.
    """
    known = is_entra(authority) if entra is None else entra
    if flow == "oauth_client_credentials":
        if known:
            _check_client(authority, scopes)
        return
    if _host(authority) == _GOOGLE_HOST and flow == "oauth_device_flow":
        raise InvalidValue(
            "type",
            "Google does not allow its mail scope in the device flow; choose "
            "oauth_authorization_code",
        )
    if known and "offline_access" not in scopes:  # others may not know it, and refuse it
        listed = ", ".join(("offline_access", *scopes))
        raise InvalidValue(
            "scopes",
            f"without offline_access the sign-in ends within hours; write [{listed}]",
        )


def _check_client(authority: str, scopes: tuple[str, ...]) -> None:
    tenant = tenant_of(authority)
    if tenant in _SHARED or not tenant:
        parts = urlsplit(authority)
        what = f"{tenant} is no tenant" if tenant else "it names no tenant"
        raise InvalidValue(
            "authority",
            f"{what}, and client credentials need one; write "
            f"{parts.scheme}://{parts.netloc}/TENANT with the Directory (tenant) ID or a domain",
        )
    for scope in scopes:
        if not scope.endswith("/.default"):
            raise InvalidValue(
                "scopes",
                f"client credentials take a scope that ends in /.default; in the place of {scope} "
                f"write {_default_of(scope)}",
            )
    if len(scopes) > 1:
        raise InvalidValue(
            "scopes", "client credentials take one scope; one connection, one service"
        )


def _default_of(scope: str) -> str:
    parts = urlsplit(scope)
    if parts.scheme == "https" and parts.netloc:
        host = EXCHANGE if "outlook.office" in parts.netloc else f"https://{parts.netloc}"
        return f"{host}/.default"
    wire = scope.split(".")[0].lower() in ("imap", "pop", "smtp")
    return f"{EXCHANGE if wire else GRAPH}/.default"


@dataclass(frozen=True, slots=True)
class Difference:
    """What was asked for and not granted, and what was granted and not asked for."""

    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


def compare(asked: Iterable[str], granted: Iterable[str], *, renewable: bool) -> Difference:
    """Hold the granted scopes against those that were asked for.

    Spellings of one scope are one.  ``/.default`` stands for whatever the app was given.
    ``offline_access`` is granted when there is a refresh token (``renewable``); it and the scopes
    of OpenID are not listed by servers in a way that could be compared.
    """
    wanted = {_spelling(scope): scope for scope in asked}
    given = {_spelling(scope): scope for scope in granted}
    everything = any(key.endswith("/.default") for key in wanted)
    missing = [
        scope
        for key, scope in wanted.items()
        if key not in given and key not in _NOT_LISTED and not key.endswith("/.default")
    ]
    if "offline_access" in wanted and not renewable:
        missing.append("offline_access")
    extra = [
        scope
        for key, scope in given.items()
        if key not in wanted and key not in _NOT_LISTED and not everything
    ]
    return Difference(tuple(missing), tuple(extra))


def _spelling(scope: str) -> str:
    small = scope.lower()
    if small.endswith("/.default"):
        return small
    for other, one in _SAME_RESOURCE:
        if small.startswith(other):
            return one + small.removeprefix(other)
    return small
