"""Codes that say who somebody is: of a cookie, a token, a one-time address; kept as hashes only.

A code has 256 random bits, so that its SHA-256 needs no salt and cannot be searched for; a reader of the
database cannot come in with what is there.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

from postroom.secret import Secret

__all__ = ["TOKEN", "csrf_of", "hash_of", "new_code", "new_token"]

_BYTES: Final = 32
TOKEN: Final = "pr_"
"""What every API token begins with: whoever finds one knows whose it is, and scanners do."""


def new_code() -> str:
    """A code of 256 bits, for a cookie or an address: 43 letters, digits, hyphens and underscores."""
    return secrets.token_urlsafe(_BYTES)


def new_token() -> str:
    """An API token."""
    return TOKEN + new_code()


def hash_of(code: Secret | str) -> bytes:
    """What is kept of a code, and what it is looked up by; a text is one that is being made."""
    value = code.encode() if isinstance(code, str) else code.reveal_bytes()
    return hashlib.sha256(value).digest()


def csrf_of(cookie: Secret) -> str:
    """What the forms of a session carry: made of its cookie, which it does not give away."""
    made = hmac.digest(cookie.reveal_bytes(), b"postroom csrf", "sha256")
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()
