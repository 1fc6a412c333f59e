"""Grants: who may see and use a credential that is restricted."""

from __future__ import annotations

from postroom.clock import timestamp
from postroom.db import Row, Tx

__all__ = [
    "all_grants",
    "any_restricted",
    "forget",
    "give",
    "granted_to",
    "hidden_from",
    "is_restricted",
    "restrict",
    "take",
]


def hidden_from(tx: Tx, grantee: str) -> frozenset[str]:
    """The credentials, by lower-case name, that are not there for ``user:ID`` or ``job:NAME``:
    restricted, and not granted."""
    found = tx.all(
        "SELECT name_key FROM credentials WHERE restricted = 1 AND id NOT IN "
        "(SELECT credential FROM grants WHERE grantee = :grantee)",
        grantee=grantee.casefold(),
    )
    return frozenset(row["name_key"] for row in found)


def any_restricted(tx: Tx) -> bool:
    """Whether any credential is restricted at all."""
    return tx.value("SELECT 1 FROM credentials WHERE restricted = 1 LIMIT 1") is not None


def granted_to(tx: Tx, grantee: str) -> frozenset[str]:
    """The credentials, by lower-case name, that are granted to ``service:NAME`` or ``job:NAME``."""
    found = tx.all(
        "SELECT name_key FROM credentials WHERE id IN "
        "(SELECT credential FROM grants WHERE grantee = :grantee)",
        grantee=grantee.casefold(),
    )
    return frozenset(row["name_key"] for row in found)


def all_grants(tx: Tx, credential: str | None = None) -> list[Row]:
    """Every grant, or those of one credential by its id, with its name; of users, with theirs too."""
    return tx.all(
        "SELECT c.name AS credential, c.restricted, g.grantee, g.granted_by, g.granted_at, "
        "u.name AS user FROM grants AS g JOIN credentials AS c ON c.id = g.credential "
        "LEFT JOIN users AS u ON g.grantee = 'user:' || u.id "
        "WHERE :credential IS NULL OR g.credential = :credential "
        "ORDER BY c.name_key, g.grantee",
        credential=credential,
    )


def is_restricted(tx: Tx, credential: str) -> bool:
    """Whether a credential, by its id, is restricted."""
    return bool(tx.value("SELECT restricted FROM credentials WHERE id = :id", id=credential))


def restrict(tx: Tx, credential: str, *, restricted: bool) -> bool:
    """Restrict a credential, or open it to everybody whose role says so; gives whether it was not."""
    return bool(
        tx.execute(
            "UPDATE credentials SET restricted = :restricted WHERE id = :id "
            "AND restricted <> :restricted",
            id=credential,
            restricted=int(restricted),
        )
    )


def give(tx: Tx, credential: str, grantee: str, *, by: str) -> bool:
    """Grant a credential, by its id, to ``user:ID``, ``service:NAME`` or ``job:NAME``; gives whether
    it was not already."""
    return bool(
        tx.execute(
            "INSERT INTO grants (credential, grantee, granted_by, granted_at) "
            "VALUES (:credential, :grantee, :by, :now) ON CONFLICT (credential, grantee) DO NOTHING",
            credential=credential, grantee=grantee.casefold(), by=by, now=timestamp(),
        )
    )  # fmt: skip


def take(tx: Tx, credential: str, grantee: str) -> bool:
    """Take a grant back; gives whether there was one."""
    return bool(
        tx.execute(
            "DELETE FROM grants WHERE credential = :credential AND grantee = :grantee",
            credential=credential,
            grantee=grantee.casefold(),
        )
    )


def forget(tx: Tx, *, credential: str = "", grantee: str = "") -> None:
    """Remove every grant of a credential (by its id), or to somebody, that is deleted."""
    tx.execute(
        "DELETE FROM grants WHERE credential = :credential OR grantee = :grantee",
        credential=credential,
        grantee=grantee.casefold(),
    )
