"""The versions of a credential: each has its own data key and its own list of destinations.

Here stands the rule of DESIGN 4.1: a secret that is kept may not get a new destination, unless its
value is typed again, somebody has the right ``rebind``, or it is still being set up.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from postroom.clock import timestamp
from postroom.credentials.record import binding_of, hint_binding
from postroom.credentials.types import type_named
from postroom.credentials.types.base import CredentialType, Details
from postroom.db import Row, Tx
from postroom.errors import Refused, Unreadable
from postroom.secret import Secret, hint
from postroom.vault import Keyring

__all__ = [
    "KEPT",
    "KINDNESS_SECONDS",
    "Save",
    "Typed",
    "destroy",
    "is_kind",
    "lines_added",
    "open_details",
    "open_sealed",
    "save_version",
    "typed_of",
]

KEPT: Final = 5
"""How many versions stay sealed, the current one among them."""
KINDNESS_SECONDS: Final = 86400.0


class Typed(NamedTuple):
    """Who typed the secrets of a version and when; and when the other side last accepted them."""

    by: str
    at: float
    presented_at: float | None


class Save(NamedTuple):
    """What a new version is made of."""

    record: CredentialType
    lines: frozenset[str]
    typed: Typed


def typed_of(row: Row, actor: str, *, kept: bool) -> Typed:
    """The origin of a new version's secrets: if one is kept, that of the version it comes from.

    So the time for corrections does not begin again with every correction, and a secret that was
    presented once stays a presented one.
    """
    if kept and row["typed_at"] is not None:
        return Typed(row["typed_by"], row["typed_at"], row["presented_at"])
    return Typed(actor, timestamp(), None)


def is_kind(row: Row, actor: str, now: float) -> bool:
    """Whether the person who typed the secret may still correct where it goes."""
    return (
        row["presented_at"] is None
        and row["typed_by"] == actor
        and row["typed_at"] is not None
        and 0 <= now - row["typed_at"] < KINDNESS_SECONDS
    )


def lines_added(
    row: Row, lines: Iterable[str], *, kept: bool, actor: str, rebind: bool
) -> list[str]:
    """The destinations that a new version adds.

    Raises Refused (``secret_reentry_required``, facts ``lines``) when a secret is kept and neither
    ``rebind`` nor the kindness of the first day allows it.
    """
    added = sorted(set(lines) - set(json.loads(row["destinations"] or "[]")))
    if added and kept and not rebind and not is_kind(row, actor, timestamp()):
        shown = ", ".join(added)
        raise Refused(
            f"The secret of {row['name']} is not bound to {shown}; nothing was saved.",
            code="secret_reentry_required",
            lines=added,
            credential=row["name"],
            hint="Enter the secret again together with this change, or let somebody who may "
            "rebind it do so.",
        )
    return added


def open_details(tx: Tx, keyring: Keyring, row: Row) -> Details:
    """What is stored of the current version, with its secrets.  Raises Unreadable."""
    if row["plain"] is None:
        return Details({}, {})
    try:
        plain, names = json.loads(row["plain"]), json.loads(row["secrets"])
        lines = json.loads(row["destinations"])
    except ValueError:
        raise Unreadable(
            f"The fields of credential {row['name']} cannot be read.",
            hint="Enter them again, or restore the record from a backup.",
        ) from None
    return Details(plain, open_sealed(tx, keyring, row, names, lines))


def open_sealed(
    tx: Tx, keyring: Keyring, row: Row, names: list[str], lines: list[str]
) -> dict[str, Secret]:
    """The secrets of the current version by slot, which must be ``names``.  Raises Unreadable."""
    sealed = keyring.open_all(tx, binding_of(row, lines)) if names else {}
    if sealed.keys() != set(names):
        raise Unreadable(
            f"A sealed field of credential {row['name']} is not there.",
            hint="Enter it again, or restore the record from a backup.",
        )
    return sealed


def save_version(tx: Tx, keyring: Keyring, row: Row, save: Save) -> int:
    """Write the next version under a new data key, make it the current one, drop the sixth.

    Gives its number.
    """
    version: int = row["version"] + 1
    details = save.record.split()
    lines = sorted(save.lines)
    tx.execute(
        "INSERT INTO credential_versions (credential, version, plain, secrets, destinations, "
        "typed_by, typed_at, presented_at, destroyed_at) VALUES (:id, :version, :plain, :secrets, "
        ":lines, :by, :at, :presented_at, NULL)",
        id=row["id"],
        version=version,
        plain=json.dumps(details.plain),
        secrets=json.dumps(sorted(details.sealed)),
        lines=json.dumps(lines),
        by=save.typed.by,
        at=save.typed.at,
        presented_at=save.typed.presented_at,
    )
    if details.sealed:
        bound = binding_of(row, lines, version=version)
        keyring.seal(tx, keyring.new_data_key(tx), bound, details.sealed)
        hints = {slot: _hint(tx, keyring, secret) for slot, secret in details.sealed.items()}
        keyring.seal_hint(tx, hint_binding(row["id"], row, version=version), json.dumps(hints))
    tx.execute(
        "UPDATE credentials SET version = :version, updated_at = :now WHERE id = :id",
        id=row["id"],
        version=version,
        now=timestamp(),
    )
    for old in tx.all(
        "SELECT version FROM credential_versions WHERE credential = :id AND version <= :oldest "
        "AND destroyed_at IS NULL",
        id=row["id"],
        oldest=version - KEPT,
    ):
        destroy(tx, keyring, row["id"], [old["version"]])
    return version


def destroy(tx: Tx, keyring: Keyring, record: str, versions: Collection[int]) -> None:
    """Drop the data keys and sealed fields of versions; what was plain in them goes too."""
    for version in versions:
        keyring.destroy(tx, "credential", record, version)
        keyring.destroy(tx, "hint", record, version)
        tx.execute(
            "UPDATE credential_versions SET destroyed_at = :now, plain = '{}', secrets = '[]' "
            "WHERE credential = :id AND version = :version",
            id=record,
            version=version,
            now=timestamp(),
        )


def empty_version(tx: Tx, keyring: Keyring, row: Row, type_name: str, actor: str) -> None:
    """A version without any field, under another type: what a change of type begins with."""
    old = tx.all("SELECT version FROM credential_versions WHERE credential = :id", id=row["id"])
    destroy(tx, keyring, row["id"], [found["version"] for found in old])
    tx.execute("UPDATE credentials SET type = :type WHERE id = :id", id=row["id"], type=type_name)
    empty = type_named(type_name).load(Details({}, {}))
    save_version(tx, keyring, row, Save(empty, frozenset(), Typed(actor, timestamp(), None)))


def _hint(tx: Tx, keyring: Keyring, secret: Secret) -> str:
    """What a mask adds: the last four characters, or a fingerprint where these say nothing."""
    text = secret.reveal().lstrip()
    if text.startswith(("-----BEGIN", "{", "[")):
        return f"fingerprint {keyring.fingerprint(tx, secret)}"
    return hint(secret.reveal())
