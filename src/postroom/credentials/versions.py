"""The versions of a credential: each has its own data key and its own list of destinations.

Here stands the rule of DESIGN 4.1: a secret that is kept may not get a new destination, unless its
value is typed again, somebody has the right ``rebind``, or it is still being set up.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from postroom.audit import Mac, Recorder, highest_version, last
from postroom.clock import timestamp
from postroom.credentials.record import binding_of, hint_binding
from postroom.credentials.types import type_named
from postroom.credentials.types.base import CredentialType, Details
from postroom.db import Row, Tx
from postroom.errors import Refused, Unreadable
from postroom.secret import Secret, hint
from postroom.vault import Hints, Keyring, audit_code

__all__ = [
    "ACCEPTED",
    "KEPT",
    "KINDNESS_SECONDS",
    "Rebind",
    "Save",
    "Typed",
    "check_current",
    "destroy",
    "empty_version",
    "high_water",
    "is_kind",
    "lines_added",
    "next_version",
    "open_details",
    "open_sealed",
    "record_in",
    "save_version",
    "typed_of",
]

KEPT: Final = 5
"""How many versions stay sealed, the current one among them."""
KINDNESS_SECONDS: Final = 86400.0
ACCEPTED: Final = "accepted"
"""What the audit record says when the other side accepts a secret for the first time."""

Rebind = bool | Collection[tuple[str, str]]
"""Whether secrets that are kept may go to new destinations: all of them, none, or those that
somebody saw and agreed to, as pairs of a credential's name and a line."""


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
    holds: int = 0
    """The version that holds the same, which is sealed anew; 0: there is none."""


def typed_of(row: Row, actor: str, *, kept: bool) -> Typed:
    """The origin of a new version's secrets: if one is kept, that of the version it comes from.

    So the time for corrections does not begin again with every correction, and a secret that was
    presented once stays a presented one.
    """
    if kept and row["typed_at"] is not None:
        return Typed(row["typed_by"], row["typed_at"], row["presented_at"])
    return Typed(actor, timestamp(), None)


def is_kind(tx: Tx, keyring: Keyring, row: Row, actor: str, now: float) -> bool:
    """Whether the person who typed the secret may still correct where it goes.

    What the row says of it is believed where the secrets are bound to it, and that nobody has
    accepted them yet where the audit record agrees: a row is quickly edited.
    """
    return (
        row["presented_at"] is None
        and row["typed_by"] == actor
        and row["typed_at"] is not None
        and 0 <= now - row["typed_at"] < KINDNESS_SECONDS
        and not _accepted_since(tx, row)
        and keyring.is_fully_bound(tx, binding_of(row, json.loads(row["destinations"])))
    )


def _accepted_since(tx: Tx, row: Row) -> bool:
    latest = last(tx, noun="credential", name=row["name"], action=ACCEPTED)
    return (
        latest is not None
        and latest["at"] >= row["typed_at"]
        and json.loads(latest["detail"]).get("id") == row["id"]
    )


def lines_added(
    tx: Tx,
    keyring: Keyring,
    row: Row,
    lines: Iterable[str],
    *,
    kept: bool,
    actor: str,
    rebind: Rebind,
) -> list[str]:
    """The destinations that a new version adds to those of ``row``, whose secrets were opened.

    Raises Refused (``secret_reentry_required``, facts ``lines``) when a secret is kept and neither
    ``rebind`` nor the kindness of the first day allows it.
    """
    added = sorted(set(lines) - set(json.loads(row["destinations"] or "[]")))
    agreed = _agreed(row["name"], added, rebind)
    if added and kept and not agreed and not is_kind(tx, keyring, row, actor, timestamp()):
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


def _agreed(name: str, added: Iterable[str], rebind: Rebind) -> bool:
    if isinstance(rebind, bool):
        return rebind
    return all((name, line) in rebind for line in added)


def high_water(tx: Tx, mac: Mac, row: Row) -> int:
    """The highest version of a record that the audit record knows; it outlives this process."""
    return highest_version(tx, mac, row["id"], name=row["name"])


def record_in(
    tx: Tx, recorder: Recorder, row: Row, actor: str, action: str, detail: Mapping[str, Any]
) -> None:
    """Write one audit row about a record; it never states a lower version than rows before it.

    Else a change of the description would make a version that somebody put back the known one.
    """
    version = detail.get("version") or max(row["version"], high_water(tx, recorder.mac, row))
    recorder.record(
        tx,
        actor=actor,
        action=action,
        noun="credential",
        name=row["name"],
        detail={**detail, "id": row["id"], "version": version},
    )


def check_current(tx: Tx, mac: Mac, row: Row) -> None:
    """Raise Unreadable when somebody put the record back to an earlier version."""
    known = high_water(tx, mac, row)
    if known > row["version"]:
        raise Unreadable(
            f"The credential {row['name']} was put back to version {row['version']}; the audit "
            f"record knows version {known}.",
            hint="Enter all its secrets again, and run: postroom audit verify",
        )


def open_details(tx: Tx, keyring: Keyring, row: Row) -> tuple[Details, Unreadable | None]:
    """What is stored of the current version, with its secrets.

    Secrets that do not open are not there, and the error says why: whoever enters all of them again
    does not need it.  Raises Unreadable when not even the other fields can be read.
    """
    if row["plain"] is None:
        return Details({}, {}), None
    try:
        plain, names = json.loads(row["plain"]), json.loads(row["secrets"])
        lines = json.loads(row["destinations"])
    except ValueError:
        raise Unreadable(
            f"The fields of credential {row['name']} cannot be read.",
            hint="Delete it and make it again, or restore the room from a backup.",
        ) from None
    try:
        check_current(tx, audit_code(keyring, tx), row)
        return Details(plain, open_sealed(tx, keyring, row, names, lines)), None
    except Unreadable as error:
        return Details(plain, {}), error


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
    version = next_version(tx, keyring, row)
    details = save.record.split()
    lines = sorted(save.lines)
    stored = {
        "plain": json.dumps(details.plain),
        "secrets": json.dumps(sorted(details.sealed)),
        "typed_by": save.typed.by,
        "typed_at": save.typed.at,
    }
    tx.execute(
        "INSERT INTO credential_versions (credential, version, plain, secrets, destinations, "
        "typed_by, typed_at, presented_at, destroyed_at, holds) VALUES (:id, :version, :plain, "
        ":secrets, :lines, :typed_by, :typed_at, :presented_at, NULL, coalesce((SELECT holds FROM "
        "credential_versions WHERE credential = :id AND version = :holds), nullif(:holds, 0)))",
        id=row["id"],
        version=version,
        holds=save.holds,
        lines=json.dumps(lines),
        presented_at=save.typed.presented_at,
        **stored,
    )
    if details.sealed:
        bound = binding_of(dict(row) | stored, lines, version=version)
        keyring.seal(tx, keyring.new_data_key(tx), bound, details.sealed)
        hints = keyring.hints(tx)
        shown = {slot: _hint(hints, secret) for slot, secret in details.sealed.items()}
        hints.seal(tx, hint_binding(row, version=version), json.dumps(shown))
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


def next_version(tx: Tx, keyring: Keyring, row: Row) -> int:
    """A number that no version of the record ever had: an old blob would open under its own."""
    stored: int | None = tx.value(
        "SELECT max(version) FROM credential_versions WHERE credential = :id", id=row["id"]
    )
    current: int = row["version"]
    return 1 + max(current, stored or 0, high_water(tx, audit_code(keyring, tx), row))


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


def _hint(hints: Hints, secret: Secret) -> str:
    """What a mask adds: the last four characters, or a fingerprint where these say nothing."""
    text = secret.reveal()
    if text.startswith(("-----BEGIN", "{", "[")):
        return f"fingerprint {hints.fingerprint(secret)}"
    return hint(text)
