"""The kept versions of a credential: seen by their masks, made current again, destroyed for good."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from postroom.audit import Recorder
from postroom.credentials import proofs
from postroom.credentials.intake import mask_of
from postroom.credentials.record import binding_of, find, hint_binding
from postroom.credentials.store import CredentialStore
from postroom.credentials.trust import other_lines, trusted_in, trusting
from postroom.credentials.types import type_named
from postroom.credentials.types.base import Details
from postroom.credentials.versions import (
    Rebind,
    Save,
    Typed,
    destroy,
    lines_added,
    record_in,
    save_version,
)
from postroom.db import Row, Tx
from postroom.errors import Locked, NotThere, Refused, Unreadable
from postroom.vault import Hints, Keyring

__all__ = ["History", "Version"]


class Version(NamedTuple):
    """One version: ``kept`` ones can be restored; of ``destroyed`` ones only the dates are left.

    ``same_as`` is the newest version that holds the same, typed once: what this one held was sealed anew
    there, for other destinations, or since it was brought back.
    """

    version: int
    state: Literal["current", "kept", "destroyed"]
    secrets: dict[str, str]
    destinations: list[str]
    typed_by: str
    typed_at: float
    presented_at: float | None
    destroyed_at: float | None
    same_as: int | None


class History:
    """The versions of the credentials of one room; without a keyring they can only be listed."""

    def __init__(
        self, keyring: Keyring | None, recorder: Recorder | None, store: CredentialStore
    ) -> None:
        self._keyring = keyring
        self._recorder = recorder
        self._store = store

    def all(self, tx: Tx, name: str) -> list[Version]:
        """Every version there was, newest first.  No secret is opened.  Raises NotThere."""
        row = find(tx, name)
        try:
            hints = None if self._keyring is None else self._keyring.hints(tx)
        except Unreadable:
            hints = None
        found = tx.all(
            "SELECT v.version, v.plain, v.secrets, v.destinations, v.typed_by, v.typed_at, v.presented_at, "
            "v.destroyed_at, coalesce(v.holds, v.version) AS holds, s.blob AS hints "
            "FROM credential_versions v LEFT JOIN sealed s "
            "ON s.kind = 'hint' AND s.record = v.credential AND s.version = v.version "
            "WHERE v.credential = :id ORDER BY v.version DESC",
            id=row["id"],
        )
        newest: dict[int, int] = {}
        for one in found:
            newest.setdefault(one["holds"], one["version"])
        return [_shown(row, one, hints, newest[one["holds"]]) for one in found]

    def restore(
        self,
        tx: Tx,
        name: str,
        version: int,
        *,
        actor: str,
        used_lines: Iterable[str],
        rebind: Rebind = False,
    ) -> int:
        """Make a new version of what a kept one holds; gives its number.

        Its secrets may go where they were bound to go; another place is asked about as for every
        secret that is kept.  Raises NotThere, Refused (``secret_reentry_required``), Unreadable.
        """
        keyring, _ = self._keys()
        row, old = self._kept(tx, name, version, "It needs no restoring.")
        names, bound = json.loads(old["secrets"]), json.loads(old["destinations"])
        # the record as it was when that version was current
        then: Any = dict(row) | dict(old) | {"version": version}
        sealed = keyring.open_all(tx, binding_of(then, bound)) if names else {}
        if sealed.keys() != set(names):
            raise Unreadable(f"A sealed field of version {version} of {row['name']} is not there.")
        record = type_named(row["type"]).load(Details(json.loads(old["plain"]), sealed))
        record.check()
        lines = frozenset(used_lines) | record.own_destinations(trusted_in(tx))
        added = lines_added(tx, keyring, then, lines, kept=bool(names), actor=actor, rebind=rebind)
        trusted = row["type"] == "trusted_certificate"
        others = {one: other_lines(tx, one) for one in trusting(tx, name)} if trusted else {}
        typed = Typed(old["typed_by"], old["typed_at"], old["presented_at"])
        new = save_version(tx, keyring, row, Save(record, lines, typed, version))
        proofs.forget(tx, row["id"])  # the values under its labels may be others
        bound_anew = {"added": added, "rebind": bool(rebind and added)}
        self._record(tx, row, actor, "restore", version=new, restored=version, **bound_anew)
        for other, used in others.items():  # another certificate is another destination
            self._store.bind(tx, other, used, actor=actor, rebind=rebind)
        return new

    def destroy(self, tx: Tx, name: str, version: int, *, actor: str) -> None:
        """Drop the data key and the sealed fields of a kept version, for good.

        Raises NotThere, or Refused for the current version.
        """
        keyring, _ = self._keys()
        row, _ = self._kept(
            tx, name, version, "Give other secrets first, or delete the credential."
        )
        destroy(tx, keyring, row["id"], [version])
        self._record(tx, row, actor, "destroy", destroyed=version)

    def _kept(self, tx: Tx, name: str, version: int, if_current: str) -> tuple[Row, Row]:
        row = find(tx, name)
        old = tx.one(
            "SELECT plain, secrets, destinations, typed_by, typed_at, presented_at, destroyed_at "
            "FROM credential_versions WHERE credential = :id AND version = :version",
            id=row["id"],
            version=version,
        )
        if old is None:
            raise NotThere(
                f"Credential {row['name']} has no version {version}.",
                hint=f"See them: postroom credential versions {row['name']}",
            )
        if version == row["version"]:
            raise Refused(
                f"Version {version} is the current one of {row['name']}; nothing was changed.",
                code="in_use",
                hint=if_current,
            )
        if old["destroyed_at"] is not None:
            raise Refused(
                f"Version {version} of {row['name']} is destroyed; nobody can bring it back.",
                hint=f"See which are kept: postroom credential versions {row['name']}",
            )
        return row, old

    def _keys(self) -> tuple[Keyring, Recorder]:
        if self._keyring is None or self._recorder is None:
            raise self._store.locked or Locked("The room is locked.")
        return self._keyring, self._recorder

    def _record(self, tx: Tx, row: Row, actor: str, action: str, **detail: Any) -> None:
        _, recorder = self._keys()
        record_in(tx, recorder, row, actor, action, detail)


def _shown(row: Row, one: Row, hints: Hints | None, newest: int) -> Version:
    number = one["version"]
    state: Literal["current", "kept", "destroyed"] = "kept"
    if number == row["version"]:
        state = "current"
    elif one["destroyed_at"] is not None:
        state = "destroyed"
    try:
        names, lines = json.loads(one["secrets"]), json.loads(one["destinations"])
    except ValueError:  # one damaged version hides no other
        names, lines = [], []
    told: dict[str, str] = {}
    if hints is not None and one["hints"] is not None:
        try:
            told = json.loads(hints.open(hint_binding(row, version=number), one["hints"]))
        except (Unreadable, ValueError):
            told = dict.fromkeys(names, "unreadable")
    return Version(
        number,
        state,
        {slot: mask_of(told.get(slot, "")) for slot in names},
        lines,
        one["typed_by"],
        one["typed_at"],
        one["presented_at"],
        one["destroyed_at"],
        newest if state == "kept" and newest != number else None,
    )
