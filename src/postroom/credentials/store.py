"""The store of credentials: made, filled, changed, bound, opened and deleted, each written down.

Every call takes a ``tx`` and is one part of one transaction; none touches the network.  Checks that
belong to roles stand above, in the operations.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Collection, Iterable, Mapping
from types import EllipsisType
from typing import Any

from postroom.audit import Recorder, last
from postroom.clock import timestamp
from postroom.credentials.intake import Intake
from postroom.credentials.record import SELECT as _SELECT
from postroom.credentials.record import Credential, Opened, Saved, credential_of, find
from postroom.credentials.types import type_named
from postroom.credentials.types.base import CredentialType, Details
from postroom.credentials.versions import (
    Save,
    empty_version,
    lines_added,
    open_details,
    open_sealed,
    save_version,
    typed_of,
)
from postroom.db import Conflict, Row, Tx
from postroom.errors import InvalidValue, Locked, NotThere, Refused, Unreadable
from postroom.fields import check_name
from postroom.vault import Keyring

__all__ = ["CredentialStore"]

PRESENTED_EVERY = 60.0
"""Seconds between two notes that a secret still works: one for each connection would be a flood."""


class CredentialStore:
    """The credentials of one room.  Without a keyring the room is locked: lists work, no more."""

    def __init__(
        self, keyring: Keyring | None, recorder: Recorder | None, *, locked: Locked | None = None
    ) -> None:
        """``locked`` is what to raise when a secret is wanted and there is no keyring."""
        self._keyring = keyring
        self._recorder = recorder
        self._locked = locked

    # ------------------------------------------------------------------ look

    def get(self, tx: Tx, name: str) -> Credential:
        """One record, with masks; raises NotThere."""
        return credential_of(find(tx, name), self._hints(tx))

    def all(self, tx: Tx) -> list[Credential]:
        """Every record by name, with masks.  No secret is opened; a damaged one hides no other."""
        hints = self._hints(tx)
        return [credential_of(row, hints) for row in tx.all(_SELECT + "ORDER BY c.name_key")]

    def exists(self, tx: Tx, name: str) -> bool:
        """Whether there is a record of that name, without regard to case."""
        return (
            tx.value("SELECT 1 FROM credentials WHERE name_key = :key", key=name.lower())
            is not None
        )

    def trusting(self, tx: Tx, name: str) -> list[str]:
        """The names of the credentials whose ``trust`` field names this one."""
        return [
            found.name
            for found in self.all(tx)
            if str(found.plain.get("trust", "")).lower() == name.lower()
        ]

    # ------------------------------------------------------------------ make and change

    def create(
        self,
        tx: Tx,
        *,
        actor: str,
        name: str,
        type: str,
        description: str = "",
        expires_at: dt.date | None = None,
        rotate_after: dt.date | None = None,
    ) -> Credential:
        """Make a record without details.  Raises InvalidValue, Refused (``name_taken``), Locked."""
        self._keys()
        try:
            check_name(name)
        except ValueError as error:
            raise InvalidValue("name", str(error)) from None
        kind = type_named(type)
        record, now = secrets.token_hex(16), timestamp()
        if self.exists(tx, name):
            raise _name_taken(name)
        try:
            tx.execute(
                "INSERT INTO credentials (id, name, name_key, type, description, expires_at, "
                "rotate_after, version, created_at, updated_at) VALUES (:id, :name, :name_key, "
                ":type, :description, :expires_at, :rotate_after, 0, :now, :now)",
                id=record,
                name=name,
                name_key=name.lower(),
                type=kind.type_name,
                description=description.strip(),
                expires_at=_iso(expires_at),
                rotate_after=_iso(rotate_after),
                now=now,
            )
        except Conflict:
            raise _name_taken(name) from None
        row = find(tx, name)
        self._record(tx, row, actor, "create", type=kind.type_name)
        return self.get(tx, name)

    def set_details(
        self,
        tx: Tx,
        name: str,
        values: Mapping[str, Any],
        *,
        actor: str,
        clear: Collection[str] = (),
        used_lines: Iterable[str] = (),
        rebind: bool = False,
    ) -> Saved:
        """Save details; what is omitted or empty stays sealed, ``None`` and ``clear`` clear.

        ``used_lines`` are the destinations of the connections that name the record.  No change
        makes no version.  Raises InvalidValue, UnknownField, WrongUse
        (``masked_value_submitted``), Refused (``secret_reentry_required``, facts ``lines``),
        Locked, Unreadable.
        """
        keyring, _ = self._keys()
        row = find(tx, name)
        kind = type_named(row["type"])
        stored = open_details(tx, keyring, row)
        intake = _taken(kind, stored, values, clear, row["name"])
        record = kind.load(Details(intake.plain, intake.sealed), where=f"credential {row['name']}")
        record.check()
        lines = frozenset(used_lines) | record.own_destinations(self._trusted(tx))
        details = record.split()
        if row["version"] and stored == details and _lines(row) == lines:
            return Saved(self.get(tx, name), intake.notes)
        kept = bool(set(details.sealed) - intake.typed)
        added = lines_added(row, lines, kept=kept, actor=actor, rebind=rebind)
        version = save_version(
            tx, keyring, row, Save(record, lines, typed_of(row, actor, kept=kept))
        )
        self._record(
            tx,
            row,
            actor,
            "set",
            version=version,
            changed=_changed(stored, details),
            added=added,
            rebind=rebind and bool(added),
        )
        return Saved(self.get(tx, name), intake.notes)

    def change(
        self,
        tx: Tx,
        name: str,
        *,
        actor: str,
        description: str | None = None,
        type: str | None = None,
        expires_at: dt.date | EllipsisType | None = ...,
        rotate_after: dt.date | EllipsisType | None = ...,
        in_use: bool,
    ) -> Credential:
        """Change what stands beside the details; ``...`` and None (for texts) leave it.

        Another type destroys every field of every version; it is refused (``in_use``) while
        something uses the record.
        """
        keyring, _ = self._keys()
        row = find(tx, name)
        changed: dict[str, Any] = {}
        if type is not None and type_named(type).type_name != row["type"]:
            if in_use:
                raise Refused(
                    f"The type of {row['name']} cannot change while something uses it.",
                    code="in_use",
                    hint=f"See what does: postroom credential usage {row['name']}",
                )
            empty_version(tx, keyring, row, type, actor)
            changed["type"] = type
        if description is not None and description.strip() != row["description"]:
            changed["description"] = description.strip()
        for column, value in (("expires_at", expires_at), ("rotate_after", rotate_after)):
            if not isinstance(value, EllipsisType) and _iso(value) != row[column]:
                changed[column] = _iso(value)
        if changed:
            after = dict(row) | changed
            tx.execute(
                "UPDATE credentials SET description = :description, expires_at = :expires_at, "
                "rotate_after = :rotate_after, updated_at = :now WHERE id = :id",
                id=row["id"],
                now=timestamp(),
                description=after["description"],
                expires_at=after["expires_at"],
                rotate_after=after["rotate_after"],
            )
            self._record(tx, find(tx, name), actor, "change", changed=sorted(changed))
        return self.get(tx, name)

    def delete(self, tx: Tx, name: str, *, actor: str) -> None:
        """Delete a record and the keys of all its versions.  Whether it is used is asked above."""
        keyring, _ = self._keys()
        row = find(tx, name)
        keyring.destroy(tx, "credential", row["id"])
        keyring.destroy(tx, "hint", row["id"])
        tx.execute("DELETE FROM credential_versions WHERE credential = :id", id=row["id"])
        tx.execute("DELETE FROM credentials WHERE id = :id", id=row["id"])
        self._record(tx, row, actor, "delete")

    def bind(
        self, tx: Tx, name: str, used_lines: Iterable[str], *, actor: str, rebind: bool
    ) -> bool:
        """Bind a record anew after something that uses it changed; says whether it had to be.

        The same rule as in :meth:`set_details` with no secret typed.
        """
        keyring, _ = self._keys()
        row = find(tx, name)
        if not row["version"]:
            return False
        stored = open_details(tx, keyring, row)
        record = type_named(row["type"]).load(stored)
        lines = frozenset(used_lines) | record.own_destinations(self._trusted(tx))
        if lines == _lines(row):
            return False
        kept = bool(stored.sealed)
        added = lines_added(row, lines, kept=kept, actor=actor, rebind=rebind)
        version = save_version(
            tx, keyring, row, Save(record, lines, typed_of(row, actor, kept=kept))
        )
        self._record(tx, row, actor, "bind", version=version, added=added, rebind=rebind)
        return True

    # ------------------------------------------------------------------ use

    def open(self, tx: Tx, name: str, *, line: str | None, actor: str, purpose: str) -> Opened:
        """Open a record for one use; the audit row is in the same transaction.

        ``line`` is the destination that is about to be dialled, None for a use without a wire.
        Raises NotThere, Refused (``incomplete``, ``destination_not_bound``), Unreadable, Locked.
        """
        keyring, _ = self._keys()
        row = find(tx, name)
        credential = credential_of(row, self._hints(tx))
        _check_usable(credential, line)
        _check_not_rolled_back(tx, row)
        sealed = open_sealed(tx, keyring, row, credential.sealed, credential.destinations)
        fields = type_named(row["type"]).load(Details(credential.plain, sealed))
        self._record(tx, row, actor, "open", version=row["version"], line=line, purpose=purpose)
        return Opened(credential, row["version"], fields)

    def presented(self, tx: Tx, name: str, version: int, at: float) -> None:
        """Note that the other side accepted this version at ``at`` (seconds since 1970)."""
        tx.execute(
            "UPDATE credential_versions SET presented_at = :at WHERE version = :version "
            "AND (presented_at IS NULL OR presented_at < :old) AND credential = "
            "(SELECT id FROM credentials WHERE name_key = :key)",
            at=at,
            version=version,
            old=at - PRESENTED_EVERY,
            key=name.lower(),
        )

    # ------------------------------------------------------------------ inside

    def _keys(self) -> tuple[Keyring, Recorder]:
        if self._keyring is None or self._recorder is None:
            raise self._locked or Locked(
                "This room is locked: its key is missing or wrong.",
                hint="Put the key back, or say where it is with POSTROOM_KEK.",
            )
        return self._keyring, self._recorder

    def _hints(self, tx: Tx) -> Any:
        return None if self._keyring is None else self._keyring.hint_opener(tx)

    def _trusted(self, tx: Tx) -> Any:
        def pem(name: str) -> str:
            try:
                row = find(tx, name)
            except NotThere:
                row = None
            text = None if row is None else json.loads(row["plain"] or "{}").get("certificate")
            if row is None or row["type"] != "trusted_certificate" or not text:
                raise InvalidValue(
                    "trust",
                    f"there is no trusted_certificate credential {name!r} with a certificate in it",
                )
            return str(text)

        return pem

    def _record(self, tx: Tx, row: Row, actor: str, action: str, **detail: Any) -> None:
        _, recorder = self._keys()
        shown = {"id": row["id"], "version": row["version"]} | detail
        recorder.record(
            tx, actor=actor, action=action, noun="credential", name=row["name"], detail=shown
        )


def _taken(
    kind: type[CredentialType],
    stored: Details,
    values: Mapping[str, Any],
    clear: Collection[str],
    name: str,
) -> Intake:
    intake = Intake(stored.plain, stored.sealed)
    for field, value in values.items():
        kind.take(intake, field, value)
    for path in clear:
        if "." in path and path not in stored.plain and path not in stored.sealed:
            intake.clear(path)
        else:
            kind.take(intake, path, None)
    return intake


def _lines(row: Row) -> frozenset[str]:
    return frozenset(json.loads(row["destinations"] or "[]"))


def _changed(before: Details, after: Details) -> list[str]:
    """The names of the fields that differ, for the audit record; never a value."""
    names = set(before.plain) | set(after.plain)
    plain = {name for name in names if before.plain.get(name) != after.plain.get(name)}
    slots = set(before.sealed) | set(after.sealed)
    return sorted(
        plain | {slot for slot in slots if before.sealed.get(slot) != after.sealed.get(slot)}
    )


def _check_usable(credential: Credential, line: str | None) -> None:
    if credential.state == "unreadable":
        raise Unreadable(
            f"The credential {credential.name} cannot be read.",
            hint="Restore it from a backup, or delete it and make it again.",
        )
    if credential.missing:
        raise Refused(
            f"The credential {credential.name} is incomplete: "
            f"{', '.join(credential.missing)} missing.",
            code="incomplete",
            missing=credential.missing,
            hint=f"Give it with: postroom credential set {credential.name}",
        )
    if line is not None and line not in credential.destinations:
        raise Refused(
            f"The secret of {credential.name} may not be presented to {line}; nothing was dialled.",
            code="destination_not_bound",
            line=line,
            bound=credential.destinations,
            hint="Save the connection again, with the secret's value if the host is right.",
        )


def _check_not_rolled_back(tx: Tx, row: Row) -> None:
    """The audit record is the high-water mark of versions: a lower one was put back by hand."""
    latest = last(tx, noun="credential", name=row["name"])
    if latest is None:
        return
    detail = json.loads(latest["detail"])
    if detail.get("id") == row["id"] and detail.get("version", 0) > row["version"]:
        raise Unreadable(
            f"The credential {row['name']} was put back to version {row['version']}; the audit "
            f"record knows version {detail['version']}.",
            hint="Enter its values again, and run: postroom audit verify",
        )


def _name_taken(name: str) -> Refused:
    return Refused(
        f"There is a credential {name!r} already (names do not differ by case).",
        code="name_taken",
        hint="Choose another name, or change that one.",
    )


def _iso(value: dt.date | None) -> str | None:
    return None if value is None else value.isoformat()
