"""The authorization code flow up to the code: PKCE, state, redirect, callback (RFC 6749, 7636, 9207)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Final, NoReturn
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from postroom.errors import InvalidValue, SignInError
from postroom.oauth.answers import shown, whole
from postroom.oauth.client import Client
from postroom.oauth.discovery import Endpoints, issuer_fits, missing
from postroom.oauth.refusals import meaning_of
from postroom.secret import Scrubber, Secret

__all__ = [
    "LIFETIME",
    "Pending",
    "answers",
    "begin",
    "callback",
    "challenge_of",
    "check_redirect",
    "key_of_state",
    "loopback",
    "state_of",
]

LIFETIME: Final = 600.0
"""Seconds from the begin of a sign-in until its callback is refused."""
LONGEST_QUERY: Final = 16_384
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Pending:
    """A sign-in that was begun: what the callback is held against.

    It lives in the process that began it and is stored nowhere: with that process the sign-in ends,
    and its state is good once.  ``key`` is the SHA-256 of that state, ``account`` who is expected to
    sign in; ``lifetime`` how many seconds it is open from the begin.
    """

    key: str
    verifier: Secret
    issuer: str
    redirect_uri: str
    scopes: tuple[str, ...]
    begun_at: float
    lifetime: float
    account: str = ""
    says_issuer: bool = False
    url: str = field(default="", repr=False)

    @property
    def expires_at(self) -> float:
        """Until when its answer is taken, in seconds since 1970."""
        return self.begun_at + self.lifetime


def begin(
    client: Client,
    endpoints: Endpoints,
    scopes: tuple[str, ...],
    *,
    redirect_uri: str,
    at: float,
    account: str = "",
    extra: tuple[tuple[str, str], ...] = (),
    lifetime: float = LIFETIME,
) -> Pending:
    """Begin a sign-in; its ``url`` is the address the person opens.

    PKCE with S256 always (RFC 9700, 2.1.1), state and verifier of 256 random bits.  ``extra``: what
    a provider wants besides, such as Google's ``access_type=offline``; it can replace nothing.
    Raises InvalidValue where the server has no authorization endpoint or the redirect is unfit.
    """
    if not endpoints.authorization_endpoint:
        unheard = "; write it into the credential"
        raise missing(endpoints, "authorization_endpoint", unheard=unheard)
    check_redirect(redirect_uri)
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    ours = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(scopes),
        "state": state,
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
    }
    if account:
        ours["login_hint"] = account
    asked = {**dict(extra), **ours}
    parts = urlsplit(endpoints.authorization_endpoint)
    query = "&".join(filter(None, (parts.query, urlencode(asked))))
    return Pending(
        key=key_of_state(state),
        verifier=Secret(verifier),
        issuer=endpoints.issuer,
        redirect_uri=redirect_uri,
        scopes=scopes,
        begun_at=at,
        lifetime=lifetime,
        account=account,
        says_issuer=endpoints.says_issuer,
        url=urlunsplit(parts._replace(query=query)),
    )


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636, 4.2)."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def key_of_state(state: str) -> str:
    """What a pending sign-in is known by: whoever sees it cannot end the sign-in with it."""
    return hashlib.sha256(whole(state).encode()).hexdigest()


def state_of(query: str) -> str:
    """The state in the query of a callback; raises SignInError where there is none, or two."""
    return _parameters(query).get("state") or _refused("names no sign-in that was begun here")


def answers(pending: Pending, query: str) -> bool:
    """Whether a query is the answer to this sign-in, by its state; what else is in it is not judged.

    Whoever else comes by - another sign-in, a web page that tries its luck - ends nothing.
    """
    try:
        key = key_of_state(state_of(query))
    except SignInError:
        return False
    return hmac.compare_digest(key.encode(), pending.key.encode())


def callback(pending: Pending, query: str, *, at: float) -> Secret:
    """The code in a callback, after everything about it was held against what was begun.

    In this order: the state (compared in constant time), the time, the issuer (RFC 9207; a server
    that announced it has to say it), then the error or the code.  ``query`` is as it came, without
    ``?``.  Raises SignInError; the pending sign-in is over
    then too.
    """
    given = _parameters(query)
    key = key_of_state(given.get("state", ""))
    if not hmac.compare_digest(key.encode(), pending.key.encode()):
        _refused("belongs to another sign-in")
    if not -60.0 <= at - pending.begun_at <= pending.lifetime:
        _refused(f"comes too late: this sign-in was open for {pending.lifetime / 60:.0f} minutes")
    issuer = given.get("iss", "")
    known = bool(pending.issuer)  # not of a server without metadata
    if known and (issuer or pending.says_issuer) and not _same_issuer(pending.issuer, issuer):
        _refused("comes from another authorization server than the one that was asked")
    if given.get("error"):
        raise _denied(pending, given["error"], given.get("error_description", ""))
    code = given.get("code", "")
    if not code or not all("\x20" <= char <= "\x7e" for char in code):
        _refused("holds no code")
    return Secret(code)


def _same_issuer(expected: str, issuer: str) -> bool:
    if "{tenantid}" not in expected:
        return issuer_fits(expected, issuer)
    # which tenant it will be is not known before the tokens are there
    before, _, after = expected.partition("{tenantid}")
    tenant = issuer.removeprefix(before).removesuffix(after)
    return issuer_fits(expected, issuer, tenant=tenant)


def _denied(pending: Pending, error: str, description: str) -> SignInError:
    scrubber = Scrubber([pending.verifier])
    known = meaning_of(error, description)
    return SignInError(
        known.sentence if known else "The authorization server refused the sign-in.",
        code="deferred" if known and known.temporary else "sign_in_failed",
        said=shown(": ".join(filter(None, (error, description))), scrubber),
        hint=known.action if known else "Begin the sign-in again.",
        temporary=bool(known and known.temporary),
        oauth_error=shown(error, scrubber)[:80],
    )


def _refused(what: str) -> NoReturn:
    raise SignInError(
        f"This answer {what}; it is not used.",
        hint="Begin the sign-in again. If you did not begin one, somebody sent you this address.",
    )


def _parameters(query: str) -> dict[str, str]:
    """The parameters of a callback; one that comes twice makes it no answer (RFC 6749, 3.1)."""
    if len(query) > LONGEST_QUERY:
        _refused("is longer than any answer of an authorization server")
    try:
        pairs = parse_qsl(whole(query), keep_blank_values=True, max_num_fields=40)
    except ValueError:
        pairs = []
    found = dict(pairs)
    if len(found) != len(pairs):
        _refused("says something twice")
    return found


def check_redirect(redirect_uri: str) -> None:
    """Raise InvalidValue unless it is https, or http on this machine, absolute, without fragment.

    What was registered is compared letter by letter by the server (RFC 9700, 2.1), except for the
    port on the loopback interface (RFC 8252, 7.3).
    """
    try:
        parts = urlsplit(redirect_uri)
        host = parts.hostname or ""
        fine = parts.port is None or 0 < parts.port < 65536
    except ValueError:
        host, fine, parts = "", False, urlsplit("")
    plain = redirect_uri.isascii() and redirect_uri.isprintable() and " " not in redirect_uri
    local = parts.scheme == "http" and host in LOOPBACK
    if not (fine and plain and host and (parts.scheme == "https" or local)) or (
        parts.fragment or "#" in redirect_uri or "@" in parts.netloc
    ):
        raise InvalidValue(
            "redirect_uri",
            "write an https:// URL without fragment, or http://localhost or http://127.0.0.1 for "
            "the command line",
        )


def loopback(registered: str, port: int) -> str:
    """The redirect URI for a listener on this port, from the registered one without port.

    Raises InvalidValue for one that is not on this machine.
    """
    check_redirect(registered)
    parts = urlsplit(registered)
    host = parts.hostname or ""
    if parts.scheme != "http" or host not in LOOPBACK:
        raise InvalidValue(
            "redirect_uri", "the command line listens on http://localhost or http://127.0.0.1 only"
        )
    shown_host = f"[{host}]" if ":" in host else host
    return urlunsplit(parts._replace(netloc=f"{shown_host}:{port}"))
