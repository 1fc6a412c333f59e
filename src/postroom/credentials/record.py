"""A credential as it is listed and shown: masks in the place of secrets; and as it is opened."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import hashlib
import json
import struct
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple

from postroom.credentials.due import ENDING, SOON_DAYS, Due, due_of
from postroom.credentials.intake import mask_of
from postroom.credentials.types import TYPES, type_named
from postroom.credentials.types.base import CredentialType, placed
from postroom.db import Row, Tx
from postroom.errors import InvalidValue, NotThere, Refused, Unreadable
from postroom.fields import describe, nearest
from postroom.vault import Binding, Hints

__all__ = [
    "Credential",
    "Opened",
    "Saved",
    "State",
    "beside",
    "binding_of",
    "check_complete",
    "check_usable",
    "credential_of",
    "find",
    "find_all",
    "find_ending",
    "find_of_types",
    "find_some",
    "hint_binding",
    "not_there",
]

_EVERY: Final = 1_000_000_000
"""More records than there are."""
State = Literal["complete", "incomplete", "unreadable"]


@dataclasses.dataclass(frozen=True)
class Credential:
    """One record, without its secrets.

    ``programs``: any program may be handed it.  ``restricted``: only who has a grant has it.
    ``version`` is 0 until details are given.  ``sealed`` are the slots of the secrets it has,
    ``destinations`` the canonical lines they are bound to.  ``presented_at`` is when the other side last
    accepted them (seconds since 1970, or None).  ``state`` is ``unreadable`` when the record was damaged.
    ``stored`` are the fields that are not sealed, as they are stored.
    """

    id: str
    name: str
    type: str
    description: str
    expires_at: dt.date | None
    rotate_after: dt.date | None
    programs: bool
    restricted: bool
    version: int
    state: State
    missing: list[str]
    stored: Annotated[dict[str, Any], "As its type declares them."] = dataclasses.field(repr=False)
    sealed: list[str]
    destinations: list[str]
    created_at: float
    updated_at: float
    presented_at: float | None
    open_hints: Callable[[], str] | None = dataclasses.field(repr=False, compare=False)

    @property
    def plain(self) -> dict[str, Any]:
        """The fields that are not sealed, as the room file has and ``set_details`` takes them."""
        return {} if self.state == "unreadable" else type_named(self.type).as_input(self.stored)

    @functools.cached_property
    def fields(self) -> dict[str, Any]:
        """Every field as people see it: masks for secrets, certificates by their fingerprint.

        Hints are opened here, when somebody looks.
        """
        if self.state == "unreadable":
            return {}
        return placed(type_named(self.type).present(self.stored), self._masks())

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
        """What somebody should see to: what has ended, or will within a month."""
        return [f"{self.name}: {one}." for one in self.due if one.days <= SOON_DAYS]

    @functools.cached_property
    def due(self) -> list[Due]:
        """Everything of it that ends, nearest first."""
        return due_of(self.stored, self.expires_at, self.rotate_after)


class Saved(NamedTuple):
    """A record after it was saved, and what the person who saved it should be told.

    ``typed``: it has secrets, and the value of every one was given in this same request.
    """

    credential: Credential
    notes: list[str]
    typed: bool = False


class Opened(NamedTuple):
    """A record with its secrets, for one use that was written down."""

    credential: Credential
    version: int
    fields: CredentialType


# The same but for a line or two, because SQL is one text: the first by the unique index of names, the
# last without hints, which a list of ten thousand does not look at.
ONE: Final = """
    SELECT c.id, c.name, c.type, c.description, c.expires_at, c.rotate_after, c.programs, c.restricted,
        c.version, c.created_at, c.updated_at, v.plain, v.secrets, v.destinations, v.typed_by, v.typed_at,
        v.presented_at, s.blob AS hints
    FROM credentials c
    LEFT JOIN credential_versions v ON v.credential = c.id AND v.version = c.version
    LEFT JOIN sealed s ON s.kind = 'hint' AND s.record = c.id AND s.version = c.version
    WHERE c.name_key = :name_key
"""
ALL: Final = """
    SELECT c.id, c.name, c.type, c.description, c.expires_at, c.rotate_after, c.programs, c.restricted,
        c.version, c.created_at, c.updated_at, v.plain, v.secrets, v.destinations, v.typed_by, v.typed_at,
        v.presented_at, s.blob AS hints
    FROM credentials c
    LEFT JOIN credential_versions v ON v.credential = c.id AND v.version = c.version
    LEFT JOIN sealed s ON s.kind = 'hint' AND s.record = c.id AND s.version = c.version
    ORDER BY c.name_key
"""

LISTED: Final = """
    SELECT c.id, c.name, c.type, c.description, c.expires_at, c.rotate_after, c.programs, c.restricted,
        c.version, c.created_at, c.updated_at, v.plain, v.secrets, v.destinations, v.typed_by, v.typed_at,
        v.presented_at, NULL AS hints
    FROM credentials c
    LEFT JOIN credential_versions v ON v.credential = c.id AND v.version = c.version
    ORDER BY c.name_key
"""
OF_TYPE: Final = LISTED.replace("ORDER BY", "WHERE c.type = :type ORDER BY")
DATED: Final = LISTED.replace(
    "ORDER BY", "WHERE c.expires_at IS NOT NULL OR c.rotate_after IS NOT NULL ORDER BY"
)
SOME: Final = (
    LISTED.replace(
        "ORDER BY",
        "WHERE c.name_key > :after AND (:types = '' OR instr(:types, ',' || c.type || ',') > 0) "
        "AND (:part = '' OR instr(lower(c.name || ' ' || c.description), :part) > 0) ORDER BY",
    )
    + " LIMIT :most"
)


def find(tx: Tx, name: str) -> Row:
    """The row of a record by name, without regard to case; raises NotThere."""
    row = tx.one(ONE, name_key=name.lower())
    if row is None or tx.hides("credential", row):
        raise not_there(tx, name)
    return row


def not_there(tx: Tx, name: str) -> NotThere:
    """What to say of a name that there is not."""
    rows = tx.all("SELECT name FROM credentials")
    close = nearest(name, [one["name"] for one in rows if not tx.hides("credential", one)])
    return NotThere(
        f"There is no credential called {name!r}.",
        name=name,
        hint=f"Did you mean {close}?" if close else "List them: postroom credential list",
    )


def find_all(tx: Tx, *, hints: bool = True) -> list[Row]:
    """The rows of all records, by name; without ``hints`` none can be masked."""
    rows = tx.all(ALL if hints else LISTED)
    return rows if tx.sight is None else [row for row in rows if not tx.hides("credential", row)]


def find_of_types(tx: Tx, types: Collection[str]) -> list[Row]:
    """The rows of the records of these types, by name, as :func:`find_all` without hints."""
    rows = [row for kind in types for row in tx.all(OF_TYPE, type=kind)]
    rows.sort(key=lambda row: str(row["name"]).lower())
    return rows if tx.sight is None else [row for row in rows if not tx.hides("credential", row)]


def find_ending(tx: Tx) -> list[Row]:
    """The rows of the records of which something may end, as :func:`find_all` without hints."""
    rows = {row["id"]: row for row in (*tx.all(DATED), *find_of_types(tx, _may_end()))}
    some = sorted(rows.values(), key=lambda row: str(row["name"]).lower())
    return some if tx.sight is None else [row for row in some if not tx.hides("credential", row)]


@functools.cache
def _may_end() -> tuple[str, ...]:
    """The types that have a field that ends, and the one that may have any field."""
    return tuple(
        kind.type_name
        for kind in TYPES
        if ENDING & kind.model_fields.keys() or kind.type_name == "generic"
    )


def find_some(
    tx: Tx, *, after: str, limit: int | None, types: Collection[str] = (), part: str = ""
) -> list[Row]:
    """At most so many rows behind a name, by name, of what is there for whoever asks; None: all.

    ``types``: of these alone; ``part``: with that in their name or description, in any case.
    """
    found: list[Row] = []
    limit = _EVERY if limit is None else limit
    key = after.lower()
    among = f",{','.join(types)}," if types else ""
    while len(found) < limit:
        rows = tx.all(SOME, after=key, most=limit, types=among, part=part.lower())
        found += [row for row in rows if not tx.hides("credential", row)]
        if len(rows) < limit:
            break
        key = rows[-1]["name"].lower()
    return found[:limit]


def binding_of(
    row: Row | Mapping[str, Any], destinations: list[str], *, version: int | None = None
) -> Binding:
    """What the sealed fields of a version are bound to; ``row`` has the columns of that version."""
    return Binding(
        "credential",
        row["id"],
        row["name"],
        row["type"],
        row["version"] if version is None else version,
        tuple(destinations),
        beside(row["plain"], row["secrets"], row["typed_by"], row["typed_at"]),
    )


@functools.lru_cache(4096)  # nothing secret, and the same few records are opened again and again
def beside(plain: str, secrets: str, typed_by: str, typed_at: float) -> bytes:
    """The digest of what a version keeps in the clear beside its secrets, as it is stored.

    Bound to them, so that nobody who can only write the database makes a password sign in for
    another user, widens who may be written from, or begins the time for corrections anew.
    ``presented_at`` changes without the secrets; the audit record keeps that (versions.is_kind).
    """
    parts = (plain.encode(), secrets.encode(), typed_by.encode(), struct.pack(">d", typed_at))
    return hashlib.sha256(b"".join(struct.pack(">Q", len(part)) + part for part in parts)).digest()


def credential_of(row: Row, hints: Hints | None) -> Credential:
    """The record in a row of :func:`find`; ``hints`` opens hint blobs, None when locked."""
    stored, sealed, destinations, state, missing = _read(row)
    open_hints = None
    if hints is not None and row["hints"] is not None:
        open_hints = functools.partial(_opened_hints, hints, row)
    return Credential(
        row["id"],
        row["name"],
        row["type"],
        row["description"],
        _date(row["expires_at"]),
        _date(row["rotate_after"]),
        bool(row["programs"]),
        bool(row["restricted"]),
        row["version"],
        state,
        missing,
        stored,
        sealed,
        destinations,
        row["created_at"],
        row["updated_at"],
        row["presented_at"],
        open_hints,
    )


def check_complete(credential: Credential) -> None:
    """Raise Refused (``incomplete``) when something is missing without which nothing can use it."""
    if credential.missing:
        raise Refused(
            f"The credential {credential.name} is incomplete: "
            f"{', '.join(credential.missing)} missing.",
            code="incomplete",
            missing=credential.missing,
            hint=f"Give it with: postroom credential set {credential.name}, which asks for it; a script "
            f"gives it by {_flag_of(credential)}.",
        )


def _flag_of(credential: Credential) -> str:
    """The flag that gives the first field that is missing."""
    name = credential.missing[0]
    sealed = {one.name for one in describe(type_named(credential.type)) if one.sealed}
    top, dot, below = name.partition(".")
    flag = f"--{top.replace('_', '-')}{dot}{below}"
    if credential.type == "generic":
        return "--FIELD-from-env NAME"
    return f"{flag}-from-env NAME" if name in sealed or dot else f"{flag} VALUE"


def check_usable(credential: Credential, line: str | None) -> None:
    """Raise Unreadable, or Refused: incomplete, or not bound to the line about to be dialled."""
    if credential.state == "unreadable":
        raise Unreadable(
            f"The credential {credential.name} cannot be read.",
            hint="Restore it from a backup, or delete it and make it again.",
        )
    check_complete(credential)
    if line is not None and line not in credential.destinations:
        raise Refused(
            f"The secret of {credential.name} may not be presented to {line}; nothing was dialled.",
            code="destination_not_bound",
            line=line,
            bound=credential.destinations,
            hint="Save the connection again, with the secret's value if the host is right.",
        )


def hint_binding(row: Row, *, version: int | None = None) -> Binding:
    """What a hint is bound to: the record and its version; where secrets go is not its matter."""
    number = row["version"] if version is None else version
    return Binding("hint", row["id"], row["name"], row["type"], number)


def _opened_hints(hints: Hints, row: Row) -> str:
    return hints.open(hint_binding(row), row["hints"])


def _read(row: Row) -> tuple[dict[str, Any], list[str], list[str], State, list[str]]:
    try:
        kind = type_named(row["type"])
        if row["plain"] is None:
            if row["version"]:
                raise ValueError("the current version is not there")
            return {}, [], [], "incomplete", _missing(kind, row, {}, [])
        plain = json.loads(row["plain"])
        sealed, lines = list(_texts(row["secrets"])), list(_texts(row["destinations"]))
        if not isinstance(plain, dict):
            raise TypeError("these are no fields")
        missing = _missing(kind, row, plain, sealed)
    except (ValueError, TypeError, AttributeError, InvalidValue):
        # one damaged record never hides the others
        return {}, [], [], "unreadable", []
    return plain, sealed, lines, "incomplete" if missing else "complete", missing


def _missing(
    kind: type[CredentialType], row: Row, plain: dict[str, Any], sealed: list[str]
) -> list[str]:
    undescribed = ["description"] if kind.needs_description and not row["description"] else []
    return undescribed + kind.lacks(plain, sealed)


@functools.lru_cache(4096)
def _texts(text: str) -> tuple[str, ...]:
    """A JSON list of texts; a room of ten thousand records has few different ones."""
    found = json.loads(text)
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise TypeError("this is no list of texts")
    return tuple(found)


def _date(text: str | None) -> dt.date | None:
    try:
        return None if text is None else dt.date.fromisoformat(text)
    except ValueError:
        return None  # a damaged date hides no record
