"""The secrets that the ground hands out: each long and unlike any other, and remembered."""

from __future__ import annotations

import secrets

__all__ = ["HANDED_OUT", "hand_out", "unique"]

HANDED_OUT: list[str] = []
"""Every one of this process, in order.  What a test finds of them where none belongs is a leak."""

_ODD = "~?+/="
"""Signs that URLs, forms, base64 and quoted-printable write otherwise."""


def unique(what: str) -> str:
    """A new secret: what it is for, eight random bytes, and signs that look otherwise elsewhere."""
    return f"{what}-{_ODD}{secrets.token_hex(8)}"


def hand_out(secret: str) -> str:
    """Remember it; gives it back."""
    HANDED_OUT.append(secret)
    return secret
