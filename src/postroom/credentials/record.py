"""A credential as it is listed and shown: masks in the place of secrets; and as it is opened."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import json
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from postroom.clock import now
from postroom.credentials.intake import mask_of
from postroom.credentials.types import type_named
from postroom.credentials.types.base import CredentialType, placed
from postroom.db import Row, Tx
from postroom.errors import InvalidValue, NotThere, Unreadable
from postroom.vault import Binding

__all__ = [
    "SELECT",
    "Credential",
    "Hints",
    "Opened",
    "Saved",
    "binding_of",
    "credential_of",
    "find",
]

Hints = Callable[[Binding, bytes], str]
State = Literal["complete", "incomplete", "unreadable"]

SELECT: Final = (
    "SELECT c.id, c.name, c.type, c.description, c.expires_at, c.rotate_after, c.version, "
    "c.created_at, c.updated_at, v.plain, v.secrets, v.destinations, v.typed_by, v.typed_at, "
    "v.presented_at, s.blob AS hints FROM credentials c "
    "LEFT JOIN credential_versions v ON v.credential = c.id AND v.version = c.version "
    "LEFT JOIN sealed s ON s.kind = 'hint' AND s.record = c.id AND s.version = c.version "
)


@dataclasses.dataclass(frozen=True)
class Credential:
    """One record.  ``plain`` are its fields without secrets, as the room file has them; ``fields``
    are all of them as people see them: masks for secrets, a certificate by its fingerprint.

    ``version`` is 0 until details are given.  ``presented_at`` is when the other side last accepted
    it (seconds since 1970, or None).  ``state`` is ``unreadable`` when the record was damaged.
    """

    id: str
    name: str
    type: str
    description: str
    expires_at: dt.date | None
    rotate_after: dt.date | None
    version: int
    state: State
    missing: list[str]
    plain: dict[str, Any]
    sealed: list[str]
    destinations: list[str]
    created_at: float
    updated_at: float
    presented_at: float | None
    open_hints: Callable[[], str] | None = dataclasses.field(repr=False, compare=False)

    @functools.cached_property
    def fields(self) -> dict[str, Any]:
        """The fields as people see them.  Hints are opened here, when somebody looks."""
        try:
            kind = type_named(self.type)
        except InvalidValue:
            return {}
        return placed(kind.present(self.plain), self._masks())

    def _masks(self) -> dict[str, str]:
        hints: dict[str, str] = {}
        if self.sealed and self.open_hints is not None:
            try:
                hints = json.loads(self.open_hints())
            except (Unreadable, ValueError):
                hints = dict.fromkeys(self.sealed, "unreadable")
        return {slot: mask_of(hints.get(slot, "")) for slot in self.sealed}

    @property
    def warnings(self) -> list[str]:
        """What somebody should see to: an expiry that has passed, a rotation that is due."""
        today = now().date()
        found = []
        if self.expires_at is not None and self.expires_at < today:
            found.append(f"{self.name} expired on {self.expires_at}.")
        if self.rotate_after is not None and self.rotate_after <= today:
            found.append(f"{self.name} was to be replaced after {self.rotate_after}.")
        return found


class Saved(NamedTuple):
    """A record after it was saved, and what the person who saved it should be told."""

    credential: Credential
    notes: list[str]


class Opened(NamedTuple):
    """A record with its secrets, for one use that was written down."""

    credential: Credential
    version: int
    fields: CredentialType


def find(tx: Tx, name: str) -> Row:
    """The row of a record by name, without regard to case; raises NotThere."""
    row = tx.one(SELECT + "WHERE c.name_key = :name_key", name_key=name.lower())
    if row is None:
        raise NotThere(
            f"There is no credential {name!r}.",
            name=name,
            hint="See them all with: postroom credential list",
        )
    return row


def binding_of(row: Row, destinations: list[str], *, version: int | None = None) -> Binding:
    """What the sealed fields of a version are bound to."""
    return Binding(
        "credential",
        row["id"],
        row["name"],
        row["type"],
        row["version"] if version is None else version,
        tuple(destinations),
    )


def credential_of(row: Row, hints: Hints | None) -> Credential:
    """The record in a row of :data:`SELECT`; ``hints`` opens hint blobs, None when locked."""
    plain, sealed, destinations, state, missing = _read(row)
    open_hints = None
    if hints is not None and row["hints"] is not None:
        opener, blob, bound = hints, row["hints"], hint_binding(row["id"], row)

        def open_hints() -> str:
            return opener(bound, blob)

    return Credential(
        row["id"],
        row["name"],
        row["type"],
        row["description"],
        _date(row["expires_at"]),
        _date(row["rotate_after"]),
        row["version"],
        state,
        missing,
        plain,
        sealed,
        destinations,
        row["created_at"],
        row["updated_at"],
        row["presented_at"],
        open_hints,
    )


def hint_binding(record: str, row: Row, *, version: int | None = None) -> Binding:
    """What a hint is bound to: the record and its version; where secrets go is not its matter."""
    return Binding(
        "hint", record, row["name"], row["type"], row["version"] if version is None else version
    )


def _read(row: Row) -> tuple[dict[str, Any], list[str], list[str], State, list[str]]:
    try:
        kind = type_named(row["type"])
        if row["plain"] is None:
            if row["version"]:
                raise ValueError("the current version is not there")
            return {}, [], [], "incomplete", kind.lacks({}, ())
        plain = json.loads(row["plain"])
        sealed = json.loads(row["secrets"])
        lines = json.loads(row["destinations"])
        missing = kind.lacks(plain, sealed)
    except (ValueError, TypeError, AttributeError, InvalidValue):
        # one damaged record never hides the others
        return {}, [], [], "unreadable", []
    return plain, sealed, lines, "incomplete" if missing else "complete", missing


def _date(text: str | None) -> dt.date | None:
    return None if text is None else dt.date.fromisoformat(text)
