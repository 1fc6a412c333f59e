"""Discovery: where an authorization server has its endpoints (RFC 8414, OpenID Connect), pinned."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from postroom.errors import InvalidValue, PostroomError, ProtocolError, SignInError
from postroom.oauth.answers import document, retry_after, shown, text_of, texts_of
from postroom.oauth.failures import Refusal, failure, refusal_in
from postroom.oauth.steps import Answer, Ask, Flow, ask

__all__ = [
    "ENDPOINTS",
    "ENTRA_HOSTS",
    "Endpoints",
    "discover",
    "is_entra",
    "issuer_fits",
    "locations",
    "missing",
    "named_endpoints",
    "tenant_of",
]

ENTRA_HOSTS: Final = frozenset(
    {
        "login.microsoftonline.com",
        "login.microsoftonline.us",
        "login.partner.microsoftonline.cn",
        "login.microsoft.com",
        "login.windows.net",
    }
)
"""Hosts of Entra in its national clouds, seen 2026-11-29
(https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud)."""

ENDPOINTS: Final = (
    "token_endpoint",
    "authorization_endpoint",
    "device_authorization_endpoint",
    "revocation_endpoint",
)
GOOGLE: Final = "https://accounts.google.com"
SHARED: Final = ("common", "organizations", "consumers")
"""What stands for several tenants in an authority of Entra."""
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OPENID: Final = "/.well-known/openid-configuration"
_OAUTH: Final = "/.well-known/oauth-authorization-server"
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What is kept of a discovery, and pinned: later requests go nowhere else.

    ``issuer`` is the server's own name for itself; Entra's, for several tenants, holds
    ``{tenantid}``.  ``openid``: its metadata are those of OpenID Connect.  ``left_out``: endpoints on
    another origin, which nobody has named; they are not used.  Empty endpoints are not offered.
    """

    issuer: str = ""
    token_endpoint: str = ""
    authorization_endpoint: str = ""
    device_authorization_endpoint: str = ""
    revocation_endpoint: str = ""
    methods: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    says_issuer: bool = False  # RFC 9207: every authorization response names the issuer
    left_out: tuple[tuple[str, str], ...] = field(default=())
    openid: bool = False


def missing(endpoints: Endpoints, name: str, *, unheard: str) -> InvalidValue:
    """The error for a flow whose endpoint is not known; ``unheard`` what to do where there is none."""
    elsewhere = dict(endpoints.left_out).get(name)
    if elsewhere:
        why = (
            f"the authorization server names one elsewhere ({elsewhere}); if that is right, write it "
            "into the credential"
        )
    elif not endpoints.issuer:
        why = (
            "is needed in the credential: where that names the token_endpoint, the authorization "
            "server is not asked for the others"
        )
    else:
        why = f"the authorization server names none{unheard}"
    return InvalidValue(name, why)


def is_entra(authority: str) -> bool:
    """Whether an authority is Microsoft Entra's, in any of its clouds."""
    return (_split(authority).hostname or "") in ENTRA_HOSTS


def tenant_of(authority: str) -> str:
    """The tenant in an authority of Entra (``https://HOST/TENANT`` or ``.../TENANT/v2.0``)."""
    return _split(authority).path.strip("/").partition("/")[0].lower()


def locations(authority: str, *, entra: bool) -> tuple[str, ...]:
    """Where the metadata may be, in the order in which it is looked for.

    OpenID's form is appended to the issuer; RFC 8414's is put between host and path.  Entra has it
    below ``/v2.0``, where its issuer is; without that it answers with the endpoints of version 1.
    """
    base = authority.rstrip("/")
    if entra:
        return (base.removesuffix("/v2.0") + "/v2.0" + _OPENID,)
    parts = _split(base)
    origin = f"{parts.scheme}://{parts.netloc}"
    return tuple(dict.fromkeys((base + _OPENID, origin + _OAUTH + parts.path)))


def issuer_fits(expected: str, issuer: str, *, tenant: str = "") -> bool:
    """Whether an issuer is the expected one, letter by letter but for a slash at the end.

    Where the expected one holds ``{tenantid}``, the ``tid`` of the token stands in its place.
    """
    if "{tenantid}" in expected:
        if not _GUID.fullmatch(tenant):
            return False
        expected = expected.replace("{tenantid}", tenant)
    if expected == GOOGLE and issuer == GOOGLE.removeprefix("https://"):
        return True  # in its id tokens, from before the standard (OpenID Connect Core, 2)
    return bool(expected) and expected.rstrip("/") == issuer.rstrip("/")


def named_endpoints(named: Mapping[str, str]) -> Endpoints:
    """The endpoints of a server without metadata, as the record names them.

    Who it is (``issuer``) stays unknown, and is not compared later.  Raises InvalidValue for one
    that is no https URL, or where the token endpoint is missing.
    """
    _check_named(named)
    if not named.get("token_endpoint"):
        raise InvalidValue("token_endpoint", "is needed where the server has no metadata")
    return Endpoints(
        token_endpoint=named["token_endpoint"],
        authorization_endpoint=named.get("authorization_endpoint", ""),
        device_authorization_endpoint=named.get("device_authorization_endpoint", ""),
        revocation_endpoint=named.get("revocation_endpoint", ""),
    )


def _check_named(named: Mapping[str, str]) -> None:
    for name, url in named.items():
        if url and _origin(url) is None:
            raise InvalidValue(name, "write it as an https:// URL")


def discover(
    authority: str, *, entra: bool | None = None, named: Mapping[str, str] = _NOTHING
) -> Flow[Endpoints]:
    """Fetch the metadata of an authorization server and check every line of it.

    ``named`` are endpoints that the record names itself, by their names in the metadata: they win,
    and are the only ones that may lie on another origin than the authority.  ``entra`` None: by the
    host.  Raises InvalidValue for an authority that is no https URL, ProtocolError for metadata
    that cannot be believed, and the error of the server when there is none.
    """
    origin = _origin(authority)
    if origin is None:
        raise InvalidValue("authority", "write it like https://login.example.com/tenant")
    _check_named(named)
    layout = is_entra(authority) if entra is None else entra
    answer, where = yield from _found(authority, locations(authority, entra=layout))
    found = document(answer)
    issuer = text_of(found, "issuer")
    fits = _is_tenants(authority, issuer) if layout else issuer_fits(authority, issuer)
    if not fits:
        raise _unbelievable(
            f"{where} describes another authorization server: {shown(issuer)!r}.",
            "Use its issuer as authority, if that is the right server.",
        )
    endpoints = _pinned(found, origin, named, issuer)
    return dataclasses.replace(endpoints, openid=where.endswith(_OPENID))


def _found(authority: str, places: tuple[str, ...]) -> Flow[tuple[Answer, str]]:
    """The first answer that is a success; a fault of the server ends the search."""
    answer, failed = Answer(0), None
    for place in places:
        answer = yield from ask(Ask("GET", place))
        if answer.status == 200:
            try:
                document(answer)
            except PostroomError as error:
                failed = error
                continue
            return answer, place
        if answer.status == 429 or answer.status >= 500:
            raise SignInError(
                f"The authorization server answered {place} with HTTP {answer.status}.",
                code="deferred",
                temporary=True,
                hint="Nothing was wrong on our side; it is tried again.",
                retry_after=retry_after(answer),
            )
        if 300 <= answer.status < 400:
            document(answer)  # raises: redirects are never followed
    if failed is not None:
        raise failed
    refusal = _refusal(answer)
    if refusal is not None and refusal.codes:  # Entra's, such as that there is no such tenant
        raise failure(refusal, answer, Ask("GET", places[-1]), "discovery")
    raise SignInError(
        f"{shown(authority)} has no metadata of an authorization server (HTTP {answer.status}).",
        hint="Check the authority. A server without metadata is used by naming token_endpoint and "
        "the other endpoints in the credential.",
        looked_at=list(places),
    )


def _refusal(answer: Answer) -> Refusal | None:
    try:
        return refusal_in(document(answer))
    except ProtocolError:
        return None


def _is_tenants(authority: str, issuer: str) -> bool:
    """Whether the issuer is that of the authority's tenant: Entra names tenants by their GUID."""
    ours, theirs = _split(authority), _split(issuer)
    if _origin(issuer) != _origin(authority) or theirs.query or theirs.fragment:
        return False
    segments = theirs.path.strip("/").split("/")
    if len(segments) != 2 or segments[1] != "v2.0":
        return False
    tenant, named = tenant_of(authority), segments[0].lower()
    if named == tenant:
        return bool(ours.path.strip("/"))
    if named == "{tenantid}":
        return tenant in SHARED
    return not _GUID.fullmatch(tenant) and _GUID.fullmatch(named) is not None


def _pinned(
    found: dict[str, Any], origin: tuple[str, int], named: Mapping[str, str], issuer: str
) -> Endpoints:
    kept, left = _endpoints(found, origin, named)
    if not kept.get("token_endpoint"):
        raise _no_token_endpoint(dict(left).get("token_endpoint"))
    return Endpoints(
        issuer=issuer,
        token_endpoint=kept["token_endpoint"],
        authorization_endpoint=kept.get("authorization_endpoint", ""),
        device_authorization_endpoint=kept.get("device_authorization_endpoint", ""),
        revocation_endpoint=kept.get("revocation_endpoint", ""),
        methods=texts_of(found, "token_endpoint_auth_methods_supported"),
        algorithms=texts_of(found, "token_endpoint_auth_signing_alg_values_supported"),
        scopes=texts_of(found, "scopes_supported"),
        says_issuer=found.get("authorization_response_iss_parameter_supported") is True,
        left_out=tuple(left),
    )


def _endpoints(
    found: dict[str, Any], origin: tuple[str, int], named: Mapping[str, str]
) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The endpoints that may be used, and those on another origin."""
    kept: dict[str, str] = {}
    left: list[tuple[str, str]] = []
    for name in ENDPOINTS:
        url = named.get(name) or text_of(found, name)
        if not url or named.get(name):
            kept[name] = url
        elif (there := _origin(url)) is None:
            raise _unbelievable(
                f"The authorization server gives {name} as {shown(url)!r}, which is no https:// URL.",
                "Tokens are not sent unencrypted.",
            )
        elif there != origin:
            left.append((name, shown(url)))
        else:
            kept[name] = url
    return kept, left


def _no_token_endpoint(foreign: str | None) -> ProtocolError:
    if foreign:
        return _unbelievable(
            f"The authorization server names a token endpoint elsewhere: {foreign}.",
            "Client secrets and refresh tokens would go there. If that is right, write it into "
            "token_endpoint of the credential.",
        )
    return _unbelievable(
        "The authorization server names no token endpoint.",
        "Write it into token_endpoint of the credential.",
    )


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _origin(url: str) -> tuple[str, int] | None:
    """Host and port of an https URL that is fit to be requested, or None."""
    if not url.isascii() or any(c <= " " or c in '\\<>"' or c == "\x7f" for c in url):
        return None
    parts = _split(url)
    try:
        port = parts.port or 443
    except ValueError:
        return None
    if parts.scheme != "https" or not parts.hostname or parts.fragment:
        return None
    return None if "@" in parts.netloc else (parts.hostname, port)


def _unbelievable(sentence: str, hint: str) -> ProtocolError:
    return ProtocolError(sentence, step="sign-in", hint=hint)
