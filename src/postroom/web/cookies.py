"""Cookies of the page: the session, a guest's token, the colours that somebody chose."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from postroom.errors import Refused
from postroom.secret import Secret

__all__ = [
    "drop_provider",
    "drop_session",
    "guest_of",
    "own_session",
    "provider_of",
    "session_of",
    "set_guest",
    "set_provider",
    "set_session",
    "set_theme",
]

_SESSION: Final = "postroom"
_GUEST: Final = "postroom-guest"
_PROVIDER: Final = "postroom-provider"
_HOST: Final = "__Host-"
"""A browser takes a cookie of such a name only over TLS, for one host and every path (RFC 6265bis, 4.1.3)."""
_THEME_LASTS: Final = 365 * 86400


def session_of(request: Request) -> Secret | None:
    """The cookie of a session, if one came."""
    value = request.cookies.get(_name(_SESSION, request))
    return Secret(value) if value else None


def own_session(request: Request) -> Secret:
    """The cookie of a session.  Raises Refused (``not_signed_in``) where none came."""
    cookie = session_of(request)
    if cookie is None:
        raise Refused("You are not signed in any more.", code="not_signed_in")
    return cookie


def set_session(request: Request, answer: Response, cookie: Secret) -> None:
    """Give the cookie of a new session; the guest's token ends with it."""
    _set(request, answer, _SESSION, cookie.reveal())
    answer.delete_cookie(_name(_GUEST, request), secure=_secure(request), httponly=True)


def drop_session(request: Request, answer: Response) -> None:
    """Take the cookie of a session back."""
    answer.delete_cookie(
        _name(_SESSION, request), secure=_secure(request), httponly=True, samesite="lax"
    )


def guest_of(request: Request) -> str:
    """The token of somebody who has not signed in; empty where none came."""
    return request.cookies.get(_name(_GUEST, request), "")


def set_guest(request: Request, answer: Response, token: str) -> None:
    """Give a guest a token for the form at the door."""
    _set(request, answer, _GUEST, token)


def set_provider(request: Request, answer: Response, cookie: Secret) -> None:
    """Give the cookie of a sign-in at the provider, until its answer comes."""
    _set(request, answer, _PROVIDER, cookie.reveal())


def provider_of(request: Request) -> Secret:
    """The cookie of a sign-in at the provider; empty where none came."""
    return Secret(request.cookies.get(_name(_PROVIDER, request), ""))


def drop_provider(request: Request, answer: Response) -> None:
    """Take it back: it is good once."""
    answer.delete_cookie(_name(_PROVIDER, request), secure=_secure(request), httponly=True)


def set_theme(request: Request, answer: Response, theme: str) -> None:
    """Keep the colours that somebody chose."""
    answer.set_cookie(
        "postroom-theme",
        theme,
        max_age=_THEME_LASTS,
        secure=_secure(request),
        httponly=True,
        samesite="lax",
    )


def _set(request: Request, answer: Response, name: str, value: str) -> None:
    answer.set_cookie(
        _name(name, request), value, secure=_secure(request), httponly=True, samesite="lax"
    )


def _secure(request: Request) -> bool:
    return request.url.scheme == "https"


def _name(name: str, request: Request) -> str:
    return f"{_HOST}{name}" if _secure(request) else name
