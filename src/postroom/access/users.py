"""Rows of users: who may come in, with which role, and how they prove that it is them."""

from __future__ import annotations

import secrets
from typing import Final

from postroom.access.rights import ROLES, Person
from postroom.clock import timestamp
from postroom.db import Conflict, Row, Tx
from postroom.errors import InvalidValue, NotThere, Refused
from postroom.fields import check_name, nearest

__all__ = [
    "add",
    "any_restrained",
    "any_user",
    "by_subject",
    "check_administrator",
    "check_role",
    "delete",
    "find",
    "find_all",
    "look_up",
    "of_id",
    "person_of",
    "seen",
    "update",
]

_ALL: Final = """
    SELECT u.*,
        (SELECT count(*) FROM sessions AS s WHERE s.user_id = u.id) AS sessions,
        (SELECT count(*) FROM api_tokens AS t WHERE t.user_id = u.id AND t.revoked_at IS NULL
            AND t.expires_at > :now) AS tokens
    FROM users AS u
"""
_ONE: Final = _ALL + " WHERE u.name_key = :key"
_EVERY: Final = _ALL + " ORDER BY u.name_key"
_COLUMNS: Final = ("role", "address", "password", "issuer", "subject", "disabled")


def any_user(tx: Tx) -> bool:
    """Whether there is any user at all."""
    return tx.value("SELECT 1 FROM users LIMIT 1") is not None


def any_restrained(tx: Tx) -> bool:
    """Whether anybody is in who is no administrator, or somebody's token that may be less."""
    return tx.value(_RESTRAINED) is not None


_RESTRAINED: Final = (
    "SELECT 1 FROM users WHERE role <> 'admin' UNION ALL SELECT 1 FROM api_tokens LIMIT 1"
)


def look_up(tx: Tx, name: str) -> Row | None:
    """The row of a user by name, or None."""
    return tx.one("SELECT * FROM users WHERE name_key = :key", key=name.casefold())


def of_id(tx: Tx, id: str) -> Row | None:
    """The row of a user by id, or None."""
    return tx.one("SELECT * FROM users WHERE id = :id", id=id)


def find(tx: Tx, name: str) -> Row:
    """The row of a user, with the numbers of their ``sessions`` and ``tokens``.  Raises NotThere."""
    row = tx.one(_ONE, key=name.casefold(), now=timestamp())
    if row is None:
        near = nearest(name, [each["name"] for each in tx.all("SELECT name FROM users")])
        hint = f"Did you mean {near}?" if near else "Users are listed by: postroom user list"
        raise NotThere(f"There is no user called {name}.", hint=hint)
    return row


def find_all(tx: Tx) -> list[Row]:
    """The rows of all users by name, as :func:`find` gives one."""
    return tx.all(_EVERY, now=timestamp())


def by_subject(tx: Tx, issuer: str, subject: str) -> Row | None:
    """The user whom a provider of OpenID Connect calls so, or None."""
    return tx.one(
        "SELECT * FROM users WHERE issuer = :issuer AND subject = :subject",
        issuer=issuer,
        subject=subject,
    )


def add(
    tx: Tx,
    name: str,
    role: str,
    *,
    by: str,
    address: str = "",
    password: str = "",
    issuer: str = "",
    subject: str = "",
) -> Row:
    """Make a user; ``password`` is as it is kept.

    Raises InvalidValue, and Refused (``name_taken``).
    """
    check_role(role)
    try:
        check_name(name)
    except ValueError as error:
        raise InvalidValue("name", str(error)) from None
    now = timestamp()
    try:
        tx.execute(
            "INSERT INTO users (id, name, name_key, role, address, password, issuer, subject, "
            "disabled, created_at, created_by, updated_at) VALUES (:id, :name, :key, :role, "
            ":address, :password, :issuer, :subject, 0, :now, :by, :now)",
            id=secrets.token_hex(8), name=name, key=name.casefold(), role=role, address=address,
            password=password, issuer=issuer, subject=subject, now=now, by=by,
        )  # fmt: skip
    except Conflict:
        raise _taken(tx, name, issuer, subject) from None
    return find(tx, name)


def update(tx: Tx, row: Row, **changes: object) -> None:
    """Change columns of a user.  Raises Refused (``name_taken``) for another's subject."""
    values = {column: row[column] for column in _COLUMNS} | changes
    try:
        tx.execute(
            "UPDATE users SET role = :role, address = :address, password = :password, "
            "issuer = :issuer, subject = :subject, disabled = :disabled, updated_at = :now "
            "WHERE id = :id",
            id=row["id"], now=timestamp(), **values,
        )  # fmt: skip
    except Conflict:
        issuer, subject = str(values["issuer"]), str(values["subject"])
        raise _taken(tx, "", issuer, subject) from None


def seen(tx: Tx, user: str) -> None:
    """Note that a user has signed in."""
    tx.execute("UPDATE users SET signed_in_at = :now WHERE id = :id", id=user, now=timestamp())


def delete(tx: Tx, row: Row) -> None:
    """Remove a user with their sessions, tokens, addresses and grants."""
    tx.execute("DELETE FROM sessions WHERE user_id = :id", id=row["id"])
    tx.execute("DELETE FROM api_tokens WHERE user_id = :id", id=row["id"])
    tx.execute("DELETE FROM invitations WHERE user_id = :id", id=row["id"])
    tx.execute("DELETE FROM grants WHERE grantee = :grantee", grantee=f"user:{row['id']}")
    tx.execute("DELETE FROM users WHERE id = :id", id=row["id"])


def check_role(role: str) -> None:
    """Raise InvalidValue for a role that there is not."""
    if role not in ROLES:
        near = nearest(role, ROLES)
        guess = f"; did you mean {near}?" if near else ""
        raise InvalidValue("role", f"there is no such role: choose of {', '.join(ROLES)}{guess}")


def check_administrator(tx: Tx, row: Row) -> None:
    """Raise Refused if nobody but that user could sign in as an administrator."""
    if row["role"] != "admin" or row["disabled"] or not (row["password"] or row["subject"]):
        return
    if not tx.value(
        "SELECT count(*) FROM users WHERE role = 'admin' AND disabled = 0 AND id <> :id "
        "AND (password <> '' OR subject <> '')",
        id=row["id"],
    ):
        raise Refused(
            f"{row['name']} is the last administrator who can sign in.",
            hint="Make another one first, who has signed in.",
        )


def person_of(row: Row) -> Person:
    """The person that a user is, with every right of their role."""
    role = row["role"]
    verbs = ROLES.get(role, frozenset())  # a role that somebody wrote into the table is none
    return Person(f"user:{row['name']}", role, verbs, row["id"])


def _taken(tx: Tx, name: str, issuer: str, subject: str) -> Refused:
    if subject and (other := by_subject(tx, issuer, subject)) is not None:
        return Refused(
            f"{other['name']} signs in with that account already.",
            code="name_taken",
            hint="Each account of the provider is one user.",
        )
    return Refused(
        f"There is a user called {name} already.",
        code="name_taken",
        hint=f"Change them with: postroom user set {name}",
    )
