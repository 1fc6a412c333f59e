"""Rows of API tokens: whose they are, what they may, until when; never the token itself."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection
from typing import Final

from postroom.access.codes import hash_of, new_token
from postroom.access.rights import ROLES, VERBS, Person
from postroom.clock import timestamp
from postroom.db import Row, Tx
from postroom.secret import Secret

__all__ = [
    "add",
    "find",
    "find_all",
    "is_noted",
    "note_used",
    "of_id",
    "person_of",
    "revoke",
    "state_of",
]

_ALL: Final = """
    SELECT t.id, t.name, t.verbs, t.created_at, t.expires_at, t.used_at, t.revoked_at, t.user_id,
        u.name AS user, u.role, u.disabled
    FROM api_tokens AS t JOIN users AS u ON u.id = t.user_id
"""
_BY_HASH: Final = _ALL + " WHERE t.hash = :hash"
_BY_ID: Final = _ALL + " WHERE t.id = :id"
_EVERY: Final = _ALL + " WHERE :user IS NULL OR t.user_id = :user ORDER BY t.created_at DESC, t.id"
_NOTED: Final = 60.0
_KEPT: Final = 90 * 86400.0


def add(
    tx: Tx, user: str, name: str, verbs: Collection[str], *, expires_at: float
) -> tuple[Row, str]:
    """Make a token; gives its row and the token, which is kept nowhere.

    Those that have been over for 90 days are removed.
    """
    now = timestamp()
    tx.execute(
        "DELETE FROM api_tokens WHERE expires_at < :old OR revoked_at < :old", old=now - _KEPT
    )
    made, token = secrets.token_hex(8), new_token()
    tx.execute(
        "INSERT INTO api_tokens (id, hash, user_id, name, verbs, created_at, expires_at) "
        "VALUES (:id, :hash, :user, :name, :verbs, :now, :expires)",
        id=made, hash=hash_of(token), user=user, name=name, now=now, expires=expires_at,
        verbs=json.dumps([verb for verb in VERBS if verb in verbs]),
    )  # fmt: skip
    row = of_id(tx, made)
    if row is None:
        raise LookupError(made)  # it was written in this transaction
    return row, token


def find(tx: Tx, token: Secret) -> Row | None:
    """The row of a token with its user's, whatever has become of it."""
    return tx.one(_BY_HASH, hash=hash_of(token))


def of_id(tx: Tx, id: str) -> Row | None:
    """The row of a token by its id."""
    return tx.one(_BY_ID, id=id)


def find_all(tx: Tx, user: str | None = None) -> list[Row]:
    """The rows of all tokens, or of one user's, the newest first."""
    return tx.all(_EVERY, user=user)


def state_of(row: Row) -> str:
    """``good``, ``revoked``, ``expired``, or ``disabled`` with its user."""
    if row["revoked_at"] is not None:
        return "revoked"
    if row["expires_at"] <= timestamp():
        return "expired"
    return "disabled" if row["disabled"] else "good"


def person_of(row: Row) -> Person:
    """Its user, with those of the token's rights that they still have."""
    verbs = ROLES.get(row["role"], frozenset()) & set(json.loads(row["verbs"]))
    actor = f"token:{row['name']} of {row['user']}"
    return Person(actor, row["role"], verbs, row["user_id"], row["id"])


def is_noted(row: Row) -> bool:
    """Whether it is noted already that the token is used now: to the minute."""
    return row["used_at"] is not None and timestamp() - float(row["used_at"]) < _NOTED


def note_used(tx: Tx, id: str) -> None:
    """Note that a token is used now."""
    tx.execute("UPDATE api_tokens SET used_at = :now WHERE id = :id", now=timestamp(), id=id)


def revoke(tx: Tx, id: str) -> bool:
    """Revoke a token; gives whether it was not already."""
    return bool(
        tx.execute(
            "UPDATE api_tokens SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL",
            now=timestamp(),
            id=id,
        )
    )
