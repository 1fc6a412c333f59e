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
from typing import Any, Final

from postroom.access import grants
from postroom.audit import Recorder
from postroom.clock import timestamp
from postroom.credentials import proofs
from postroom.credentials.intake import Intake
from postroom.credentials.record import (
    Credential,
    Opened,
    Saved,
    check_usable,
    credential_of,
    find,
    find_all,
    find_ending,
    find_some,
)
from postroom.credentials.trust import other_lines, trusted_in, trusting
from postroom.credentials.types import type_named
from postroom.credentials.types.base import CredentialType, Details
from postroom.credentials.versions import (
    ACCEPTED,
    Rebind,
    Save,
    check_current,
    empty_version,
    lines_added,
    open_details,
    open_sealed,
    record_in,
    save_version,
    typed_of,
)
from postroom.db import Conflict, Row, Tx
from postroom.errors import InvalidValue, Locked, Refused, Unreadable
from postroom.fields import check_name
from postroom.vault import Keyring

__all__ = ["Credential", "CredentialStore", "Opened", "Rebind", "Saved"]

Day = dt.date | str | None
"""A date, or its text (``2027-01-31``); None or an empty text for no date."""

PRESENTED_EVERY = 60.0
"""Seconds between two notes that a secret still works: one for each connection would be a flood."""


_BY_NAME: Final = "SELECT name FROM credentials WHERE name_key = :key"


class CredentialStore:
    """The credentials of one room.  Without a keyring the room is locked: lists work, no more."""

    def __init__(
        self, keyring: Keyring | None, recorder: Recorder | None, *, locked: Locked | None = None
    ) -> None:
        """``locked`` is what to raise when a secret is wanted and there is no keyring."""
        self._keyring = keyring
        self._recorder = recorder
        self.locked = locked

    # ------------------------------------------------------------------ look

    def get(self, tx: Tx, name: str) -> Credential:
        """One record, with masks; raises NotThere."""
        return self._shown(tx, [find(tx, name)])[0]

    def all(
        self,
        tx: Tx,
        *,
        hints: bool = True,
        after: str = "",
        limit: int | None = None,
        ending: bool = False,
        types: Collection[str] = (),
        part: str = "",
    ) -> list[Credential]:
        """Every record by name, with masks.  No secret is opened; a damaged one hides no other.

        Without ``hints``, for lists that show no fields, it is faster and every mask is ``****``.
        With a ``limit``, at most so many behind the name ``after``, and without hints.
        ``ending``: only those of which something may end; ``types``, ``part``: only those of these
        types, with that in their name or description; all without hints.
        """
        if ending:
            return self._shown(tx, find_ending(tx))
        if limit is not None or types or part:
            return self._shown(tx, find_some(tx, after=after, limit=limit, types=types, part=part))
        return self._shown(tx, find_all(tx, hints=hints))

    def exists(self, tx: Tx, name: str) -> bool:
        """Whether there is a record of that name, without regard to case."""
        row = tx.one(_BY_NAME, key=name.lower())
        return row is not None and not tx.hides("credential", row)

    # ------------------------------------------------------------------ make and change

    def create(
        self,
        tx: Tx,
        *,
        actor: str,
        name: str,
        type: str,
        description: str = "",
        expires_at: Day = None,
        rotate_after: Day = None,
        programs: bool = False,
    ) -> Credential:
        """Make a record without details.  Raises InvalidValue, Refused (``name_taken``), Locked."""
        self._keys()
        try:
            check_name(name)
        except ValueError as error:
            raise InvalidValue("name", str(error)) from None
        kind = type_named(type)
        if tx.one(_BY_NAME, key=name.lower()) is not None:  # hidden or not
            raise _name_taken(name)
        try:
            tx.execute(
                "INSERT INTO credentials (id, name, name_key, type, description, expires_at, "
                "rotate_after, programs, version, created_at, updated_at) VALUES (:id, :name, "
                ":name_key, :type, :description, :expires_at, :rotate_after, :programs, 0, :now, :now)",
                id=secrets.token_hex(16),
                name=name,
                name_key=name.lower(),
                type=kind.type_name,
                description=description.strip(),
                expires_at=_iso("expires_at", expires_at),
                rotate_after=_iso("rotate_after", rotate_after),
                programs=int(programs),
                now=timestamp(),
            )
        except Conflict:
            raise _name_taken(name) from None
        self._record(tx, find(tx, name), actor, "create", type=kind.type_name)
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
        rebind: Rebind = False,
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
        stored, trouble = open_details(tx, keyring, row)
        intake = _taken(kind, stored, values, clear)
        if trouble is not None and set(json.loads(row["secrets"])) - intake.typed - intake.cleared:
            raise trouble
        record = kind.load(Details(intake.plain, intake.sealed), where=f"credential {row['name']}")
        record.check()
        lines = frozenset(used_lines) | record.own_destinations(trusted_in(tx))
        details = record.split()
        kept = bool(details.sealed.keys() - intake.typed)
        typed = bool(details.sealed) and not kept
        same = row["version"] if trouble is None and stored == details else 0
        if same and _lines(row) == lines:
            return Saved(self.get(tx, name), intake.notes, typed)
        added = lines_added(tx, keyring, row, lines, kept=kept, actor=actor, rebind=rebind)
        trusted = row["type"] == "trusted_certificate"
        others = {one: other_lines(tx, one) for one in trusting(tx, name)} if trusted else {}
        origin = typed_of(row, actor, kept=kept)
        version = save_version(tx, keyring, row, Save(record, lines, origin, same))
        changed = _changed(stored, details)
        proofs.forget(tx, row["id"], proofs.labels_of(changed))
        bound = {"added": added, "rebind": bool(rebind and added)}
        self._record(tx, row, actor, "set", version=version, changed=changed, **bound)
        for other, used in others.items():  # another certificate is another destination
            self.bind(tx, other, used, actor=actor, rebind=rebind)
        return Saved(self.get(tx, name), intake.notes, typed)

    def change(
        self,
        tx: Tx,
        name: str,
        *,
        actor: str,
        description: str | None = None,
        type: str | None = None,
        expires_at: Day | EllipsisType = ...,
        rotate_after: Day | EllipsisType = ...,
        programs: bool | None = None,
    ) -> Credential:
        """Change what stands beside the details; ``...`` and None (for others than dates) leave it.

        Another type destroys every field of every version; whether it is used is asked above.
        """
        keyring, _ = self._keys()
        row = find(tx, name)
        changed: dict[str, Any] = {}
        if type is not None and type_named(type).type_name != row["type"]:
            empty_version(tx, keyring, row, type, actor)
            proofs.forget(tx, row["id"])
            changed["type"] = type
        if description is not None and description.strip() != row["description"]:
            changed["description"] = description.strip()
        for column, value in (("expires_at", expires_at), ("rotate_after", rotate_after)):
            if not isinstance(value, EllipsisType) and _iso(column, value) != row[column]:
                changed[column] = _iso(column, value)
        if programs is not None and programs != bool(row["programs"]):
            changed["programs"] = int(programs)
        if changed:
            after = dict(row) | changed
            tx.execute(
                "UPDATE credentials SET description = :description, expires_at = :expires_at, "
                "rotate_after = :rotate_after, programs = :programs, updated_at = :now WHERE id = :id",
                id=row["id"],
                now=timestamp(),
                description=after["description"],
                expires_at=after["expires_at"],
                rotate_after=after["rotate_after"],
                programs=after["programs"],
            )
            self._record(tx, find(tx, name), actor, "change", changed=sorted(changed))
        return self.get(tx, name)

    def delete(self, tx: Tx, name: str, *, actor: str) -> None:
        """Delete a record and the keys of all its versions.  Whether it is used is asked above."""
        keyring, _ = self._keys()
        row = find(tx, name)
        keyring.destroy(tx, "credential", row["id"])
        keyring.destroy(tx, "hint", row["id"])
        proofs.forget(tx, row["id"])
        grants.forget(tx, credential=row["id"])
        tx.execute("DELETE FROM credential_versions WHERE credential = :id", id=row["id"])
        tx.execute("DELETE FROM credentials WHERE id = :id", id=row["id"])
        self._record(tx, row, actor, "delete")

    def bind(
        self, tx: Tx, name: str, used_lines: Iterable[str], *, actor: str, rebind: Rebind
    ) -> bool:
        """Bind a record anew after something that uses it changed; says whether it had to be.

        The same rule as in :meth:`set_details` with no secret typed.
        """
        keyring, _ = self._keys()
        row = find(tx, name)
        if not row["version"]:
            return False
        stored, trouble = open_details(tx, keyring, row)
        record = type_named(row["type"]).load(stored)
        lines = frozenset(used_lines) | record.own_destinations(trusted_in(tx))
        if lines == _lines(row) or (trouble is not None and lines < _lines(row)):
            return False  # what does not open keeps its longer list, and is in nobody's way
        if trouble is not None:
            raise trouble
        kept = bool(stored.sealed)
        added = lines_added(tx, keyring, row, lines, kept=kept, actor=actor, rebind=rebind)
        origin = typed_of(row, actor, kept=kept)
        version = save_version(tx, keyring, row, Save(record, lines, origin, row["version"]))
        bound = {"added": added, "rebind": bool(rebind and added)}
        self._record(tx, row, actor, "bind", version=version, **bound)
        return True

    # ------------------------------------------------------------------ use

    def open(self, tx: Tx, name: str, *, line: str | None, actor: str, purpose: str) -> Opened:
        """Open a record for one use; the audit row is in the same transaction.

        ``line`` is the destination that is about to be dialled, None for a use without a wire.
        Raises NotThere, Refused (``incomplete``, ``destination_not_bound``), Unreadable, Locked.
        """
        keyring, recorder = self._keys()
        row = find(tx, name)
        credential = credential_of(row, keyring.hints(tx))
        check_usable(credential, line)
        check_current(tx, recorder.mac, row)
        sealed = open_sealed(tx, keyring, row, credential.sealed, credential.destinations)
        fields = type_named(row["type"]).load(Details(credential.stored, sealed))
        use = {"line": line, "purpose": purpose, "version": row["version"]}
        self._record(tx, row, actor, "open", **use)
        return Opened(credential, row["version"], fields)

    def unreadable(self, tx: Tx, name: str, *, actor: str, purpose: str, why: str) -> None:
        """Write down, in a transaction of its own, that a record did not open for a use."""
        self._record(tx, find(tx, name), actor, "unreadable", purpose=purpose, why=why)

    def presented(self, tx: Tx, name: str, version: int, at: float) -> None:
        """Note that the other side accepted this version at ``at`` (seconds since 1970).

        The first time is written down too: from then on nobody corrects where it goes unasked.
        """
        first = tx.execute(
            "UPDATE credential_versions SET presented_at = :at WHERE version = :version "
            "AND presented_at IS NULL AND credential = "
            "(SELECT id FROM credentials WHERE name_key = :key)",
            at=at,
            version=version,
            key=name.lower(),
        )
        if first:
            self._record(tx, find(tx, name), "postroom", ACCEPTED, accepted=version)
            return
        tx.execute(
            "UPDATE credential_versions SET presented_at = :at WHERE version = :version "
            "AND presented_at < :old AND credential = "
            "(SELECT id FROM credentials WHERE name_key = :key)",
            at=at,
            version=version,
            old=at - PRESENTED_EVERY,
            key=name.lower(),
        )

    # ------------------------------------------------------------------ inside

    def _keys(self) -> tuple[Keyring, Recorder]:
        if self._keyring is None or self._recorder is None:
            raise self.locked or Locked(
                "This room is locked: its key is missing or wrong.",
                hint="Put the key back, or say where it is with POSTROOM_KEK.",
            )
        return self._keyring, self._recorder

    def _shown(self, tx: Tx, rows: list[Row]) -> list[Credential]:
        try:
            hints = None if self._keyring is None else self._keyring.hints(tx)
        except Unreadable:
            hints = None  # a damaged key of hints takes the hints away, not the list
        return [credential_of(row, hints) for row in rows]

    def _record(self, tx: Tx, row: Row, actor: str, action: str, **detail: Any) -> None:
        _, recorder = self._keys()
        record_in(tx, recorder, row, actor, action, detail)


def _taken(
    kind: type[CredentialType], stored: Details, values: Mapping[str, Any], clear: Collection[str]
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


def _name_taken(name: str) -> Refused:
    return Refused(
        f"There is a credential {name!r} already (names do not differ by case).",
        code="name_taken",
        hint="Choose another name, or change that one.",
    )


def _iso(field: str, value: Day) -> str | None:
    if not value:
        return None
    try:
        day = dt.date.fromisoformat(value.strip()) if isinstance(value, str) else value
    except ValueError:
        raise InvalidValue(field, "give a date such as 2027-01-31") from None
    return day.isoformat()
