"""One-time addresses: for the first administrator, an invitation, a password to be chosen anew."""

from __future__ import annotations

from typing import Final

from postroom.access.codes import hash_of, new_code
from postroom.clock import timestamp
from postroom.db import Row, Tx
from postroom.secret import Secret

__all__ = ["FIRST_LASTS", "LASTS", "find", "make", "spend"]

LASTS: Final = 3 * 86400.0
"""Seconds that an invitation is good for."""
FIRST_LASTS: Final = 86400.0
"""Seconds that the address of the first administrator is good for."""


def make(tx: Tx, user: str | None) -> tuple[str, float]:
    """A new code, and when it expires; one that the user (None: the first) had before is void."""
    now = timestamp()
    spend(tx, user)
    code, expires = new_code(), now + (LASTS if user else FIRST_LASTS)
    tx.execute(
        "INSERT INTO invitations (hash, user_id, expires_at) VALUES (:hash, :user, :expires)",
        hash=hash_of(code),
        user=user,
        expires=expires,
    )
    return code, expires


def find(tx: Tx, code: Secret) -> Row | None:
    """The row of a code that is still good, or None."""
    return tx.one(
        "SELECT user_id, expires_at FROM invitations WHERE hash = :hash AND expires_at > :now",
        hash=hash_of(code),
        now=timestamp(),
    )


def spend(tx: Tx, user: str | None) -> None:
    """Void every code of a user, or those of the first administrator."""
    tx.execute(
        "DELETE FROM invitations WHERE user_id = :user OR (:user IS NULL AND user_id IS NULL)",
        user=user,
    )
