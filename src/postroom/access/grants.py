"""Grants: who may see and use a credential that is restricted."""

from __future__ import annotations

from postroom.access.rights import Person
from postroom.db import Tx

__all__ = ["hidden_from"]


def hidden_from(tx: Tx, person: Person) -> frozenset[str]:
    """The credentials, by lower-case name, that are not there for a person: restricted, and not granted."""
    if person.unrestricted:
        return frozenset()
    found = tx.all(
        "SELECT name_key FROM credentials WHERE restricted = 1 AND id NOT IN "
        "(SELECT credential FROM grants WHERE grantee = :grantee)",
        grantee=f"user:{person.user}",
    )
    return frozenset(row["name_key"] for row in found)
