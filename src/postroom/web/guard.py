"""The guard of what changes something: a form is answered only where it came from this page (pure)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final

from postroom.errors import Refused

__all__ = ["SAFE", "check_origin", "check_token", "here"]

SAFE: Final = frozenset({"GET", "HEAD"})
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
_AGAIN: Final = "Open the page anew and send the form from there."


def check_origin(headers: Mapping[str, str], origin: str) -> None:
    """Raise Refused (``not_permitted``) unless a browser says that the form is of this origin.

    A browser always names the origin of a form that is sent (Fetch, 3.2), so one that is missing is
    no better than a wrong one.  ``headers`` are in lower case.
    """
    site = headers.get("sec-fetch-site")
    if headers.get("origin") != origin or site not in (None, "same-origin"):
        raise Refused(
            "This form was sent from another site, so nothing was done.",
            code="not_permitted",
            hint=_AGAIN,
        )
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _FORMS:
        raise Refused(
            "What was sent is not a form of this page.", code="not_permitted", hint=_AGAIN
        )


def check_token(given: str, expected: str) -> None:
    """Raise Refused (``not_permitted``) unless the form carries the token of this session."""
    if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
        raise Refused(
            "This form was opened before you signed in, or is too old, so nothing was done.",
            code="not_permitted",
            hint=_AGAIN,
        )


def here(path: str) -> str:
    """A path of this page to go on to; the first page for anything that leads elsewhere.

    A browser reads ``//host`` and a backslash as another site's address.
    """
    safe = path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if safe and path.isprintable() else "/"
