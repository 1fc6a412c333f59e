"""Whether every sealed value of a credential opens, version by version; one that does not hides none."""

from __future__ import annotations

import json
from typing import NamedTuple

from postroom.credentials.record import binding_of, find, hint_binding
from postroom.credentials.versions import check_current
from postroom.db import Row, Tx
from postroom.errors import Locked, Unreadable
from postroom.vault import Hints, Keyring, audit_code

__all__ = ["Damage", "check_record", "names"]


class Damage(NamedTuple):
    """One version of a record that does not open; ``what`` is a sentence without any value."""

    name: str
    version: int
    current: bool
    what: str


def names(tx: Tx) -> list[str]:
    """The names of all records: each is checked in a transaction of its own."""
    return [row["name"] for row in tx.all("SELECT name FROM credentials ORDER BY name_key")]


def check_record(tx: Tx, keyring: Keyring, name: str) -> list[Damage]:
    """What is damaged in one record.  Opens its values and forgets them; write that down before."""
    row = find(tx, name)
    try:
        hints = keyring.hints(tx)
    except Unreadable:
        hints = None
    found = []
    for version in tx.all(
        "SELECT version, plain, secrets, destinations, typed_by, typed_at FROM credential_versions "
        "WHERE credential = :id AND destroyed_at IS NULL ORDER BY version DESC",
        id=row["id"],
    ):
        number = version["version"]
        try:
            _check_version(tx, keyring, hints, row, version)
            if number == row["version"]:
                check_current(tx, audit_code(keyring, tx), row)
        except Locked:
            raise
        except (Unreadable, ValueError, TypeError, AttributeError) as error:
            what = error.sentence if isinstance(error, Unreadable) else "It cannot be read."
            found.append(Damage(row["name"], number, number == row["version"], what))
    return found


def _check_version(tx: Tx, keyring: Keyring, hints: Hints | None, row: Row, version: Row) -> None:
    number, wanted = version["version"], json.loads(version["secrets"])
    if not wanted:
        return
    bound = binding_of(dict(row) | dict(version), json.loads(version["destinations"]))
    if keyring.open_all(tx, bound).keys() != set(wanted):
        raise Unreadable(f"A sealed field of credential {row['name']} is not there.")
    if hints is None:
        raise Unreadable("The key of the hints does not open: masks show no last characters.")
    blob = tx.value(
        "SELECT blob FROM sealed WHERE kind = 'hint' AND record = :id AND version = :version",
        id=row["id"],
        version=number,
    )
    hints.open(hint_binding(row, version=number), blob)
