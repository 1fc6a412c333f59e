"""The room file: apply what it says in one transaction, plan first; export without secrets."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from postroom.connections import store as connections
from postroom.connections.connection import Connection
from postroom.credentials.types import type_named
from postroom.db import Tx
from postroom.errors import InvalidValue, NotThere, PostroomError, UnknownField, WrongUse
from postroom.fields import describe, nearest, parse, shown
from postroom.operations.connections import Connections, merge
from postroom.operations.credentials import Credentials
from postroom.operations.desk import Desk
from postroom.operations.services import Services
from postroom.operations.sources import Sources
from postroom.operations.yamlfile import Document, read_document, secret_of
from postroom.secret import Secret
from postroom.services import service as services
from postroom.services.service import Service
from postroom.sources import store as sources
from postroom.variables import store as variables

__all__ = ["Plan", "RoomFile", "Step"]

NOUNS: Final = ("variables", "credentials", "connections", "sources", "services")
_CREDENTIAL: Final = ("name", "type", "description", "expires_at", "rotate_after", "fields")


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One line of a plan: add, change, same or remove; ``fields`` are those that change."""

    verb: Literal["add", "change", "same", "remove"]
    noun: str
    name: str
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        fields = f": {', '.join(self.fields)}" if self.fields else ""
        return f"{self.verb:<7}{self.noun} {self.name}{fields}"


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What applying does, or did; ``notes`` are for the person who wrote the file."""

    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()

    @property
    def changes(self) -> int:
        """How many records are added, changed or removed."""
        return sum(1 for step in self.steps if step.verb != "same")


class _OnlyPlanned(Exception):
    """Ends a dry run: everything was done, nothing is kept."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan


Prompt = Callable[[str], Secret]


class RoomFile:
    """Apply and export."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def apply(
        self,
        paths: Sequence[Path],
        *,
        dry_run: bool = False,
        rebind: bool = False,
        prune: Sequence[str] = (),
        prompt: Prompt | None = None,
    ) -> Plan:
        """Make the room what the files say; later files win field by field.

        All of it or nothing.  ``prune`` names nouns whose records that no file names are removed.
        Raises what is wrong with file and line, or ``secret_reentry_required``.
        """
        wrong = [noun for noun in prune if noun not in NOUNS]
        if wrong:
            raise InvalidValue(
                "--prune", f"there is no noun {wrong[0]!r}; choose of {', '.join(NOUNS)}"
            )
        wanted = _Wanted()
        for path in paths:
            wanted.read(read_document(path), prompt)
        job = _Apply(self._desk, wanted)

        def body(tx: Tx) -> Plan:
            before = self._desk.resolver(tx).all_destinations()
            plan = job.run(tx, prune)
            self._desk.rebind(tx, before, rebind=rebind, typed=wanted.typed)
            if plan.changes:
                self._desk.record(
                    tx,
                    "apply",
                    "room",
                    "room",
                    files=[str(p) for p in paths],
                    changes=[str(step) for step in plan.steps if step.verb != "same"],
                )
            if dry_run:
                raise _OnlyPlanned(plan)
            return plan

        try:
            return await self._desk.write(body)
        except _OnlyPlanned as planned:
            return planned.plan

    async def export(self) -> str:
        """The room as a room file, without secrets; applying it to this room changes nothing."""

        def body(tx: Tx) -> dict[str, Any]:
            whole: dict[str, Any] = {"postroom": 1}
            for noun, records in _exported(self._desk, tx).items():
                if records:
                    whole[noun] = records
            return whole

        return yaml.safe_dump(
            await self._desk.db.read(body),
            sort_keys=False,
            allow_unicode=True,
            default_flow_style=None,
            width=100,
        )


def _exported(desk: Desk, tx: Tx) -> dict[str, Any]:
    credentials = []
    for one in desk.credentials.all(tx):
        record: dict[str, Any] = {"name": one.name, "type": one.type}
        if one.description:
            record["description"] = one.description
        for date in ("expires_at", "rotate_after"):
            if getattr(one, date):
                record[date] = getattr(one, date).isoformat()
        if one.plain:
            record["fields"] = one.plain
        credentials.append(record)
    return {
        "variables": variables.all_variables(tx),
        "credentials": credentials,
        "connections": [shown(one) for one in connections.load_all(tx)],
        "sources": [shown(one) for one in sources.load_all(tx)],
        "services": [shown(one) for one in services.load_all(tx)],
    }


class _Wanted:
    """What the files say, merged, with the document and place each record came from."""

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self.records: dict[str, dict[str, dict[str, Any]]] = {noun: {} for noun in NOUNS[1:]}
        self.places: dict[tuple[str, str], tuple[Document, tuple[str | int, ...]]] = {}
        self.typed: set[str] = set()

    def read(self, document: Document, prompt: Prompt | None) -> None:
        """Take one file in."""
        if document.data.get("postroom") != 1:
            raise InvalidValue("", f"{document.at()}: a room file begins with: postroom: 1")
        for noun, value in document.data.items():
            if noun == "postroom":
                continue
            if noun not in NOUNS:
                close = nearest(noun, NOUNS)
                raise UnknownField(
                    f"{document.at(noun)}: there is no section {noun!r}.",
                    hint=f"Did you mean {close}?" if close else f"Sections: {', '.join(NOUNS)}.",
                )
            if noun == "variables":
                self._variables(document, value)
            else:
                self._records(document, noun, value, prompt)

    def _variables(self, document: Document, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise InvalidValue("", f"{document.at('variables')}: variables is a map")
        self.variables |= {name: str(text) for name, text in value.items()}

    def _records(self, document: Document, noun: str, value: Any, prompt: Prompt | None) -> None:
        if not isinstance(value, list):
            raise InvalidValue("", f"{document.at(noun)}: {noun} is a list")
        for index, record in enumerate(value):
            if not isinstance(record, Mapping) or not isinstance(record.get("name"), str):
                raise InvalidValue(
                    "", f"{document.at(noun, index)}: each of {noun} is a map with a name"
                )
            key = record["name"].casefold()
            self.places[noun, key] = (document, (noun, index))
            data = dict(record)
            if noun == "credentials":
                data = self._credential(document, index, data, prompt)
            if (
                noun == "sources"
                and isinstance(data.get("sink"), dict)
                and data["sink"].get("path")
            ):
                path = document.path.parent.resolve() / Path(str(data["sink"]["path"])).expanduser()
                data["sink"] = {**data["sink"], "path": str(path)}
            self.records[noun][key] = merge_records(self.records[noun].get(key, {}), data)

    def _credential(
        self, document: Document, index: int, record: dict[str, Any], prompt: Prompt | None
    ) -> dict[str, Any]:
        for name in record:
            if name not in _CREDENTIAL:
                close = nearest(name, _CREDENTIAL)
                raise UnknownField(
                    f"{document.at('credentials', index, name)}: there is no field {name!r}.",
                    hint=f"Did you mean {close}?"
                    if close
                    else f"Fields here: {', '.join(_CREDENTIAL)}.",
                )
        fields = record.get("fields")
        if isinstance(fields, Mapping):
            place = ("credentials", index, "fields")
            record["fields"] = self._resolved(document, fields, place, record["name"], prompt)
        return record

    def _resolved(
        self,
        document: Document,
        fields: Mapping[str, Any],
        place: tuple[str | int, ...],
        name: str,
        prompt: Prompt | None,
    ) -> dict[str, Any]:
        """The fields with every reference to a secret replaced by the secret."""
        found: dict[str, Any] = {}
        for key, value in fields.items():
            here = (*place, key)
            if isinstance(value, Mapping) and set(value) & {"from_env", "from_file", "prompt"}:
                dotted = ".".join(str(part) for part in here[3:])
                try:
                    found[key] = secret_of(
                        value,
                        base=document.path.parent,
                        prompt=functools.partial(prompt, f"{name} {dotted}") if prompt else None,
                    )
                except PostroomError as error:
                    raise document.placed(error, *here) from None
                self.typed.add(name.casefold())
            elif isinstance(value, Mapping):
                found[key] = self._resolved(document, value, here, name, prompt)
            else:
                found[key] = value
        return found


def merge_records(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """A record of a later file over one of an earlier: field by field; a null stays a null."""
    merged = dict(old)
    for key, value in new.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge_records(merged[key], value) if both and key != "auth" else value
    return merged


class _Apply:
    """One application, inside one transaction."""

    def __init__(self, desk: Desk, wanted: _Wanted) -> None:
        self._desk = desk
        self._wanted = wanted
        self._steps: list[Step] = []
        self._notes: list[str] = []

    def run(self, tx: Tx, prune: Sequence[str]) -> Plan:
        self._variables(tx)
        for name, record in _certificates_first(self._wanted.records["credentials"]):
            self._at("credentials", name, lambda r=record: self._credential(tx, r))  # type: ignore[misc]
        for name, record in _parents_first(self._wanted.records["connections"]):
            self._at("connections", name, lambda r=record: self._connection(tx, r))  # type: ignore[misc]
        for name, record in self._wanted.records["services"].items():
            self._at("services", name, lambda r=record: self._service(tx, r))  # type: ignore[misc]
        for name, record in self._wanted.records["sources"].items():
            self._at("sources", name, lambda r=record: self._source(tx, r))  # type: ignore[misc]
        self._prune(tx, prune)
        return Plan(tuple(self._steps), tuple(self._notes))

    def _at(self, noun: str, name: str, do: Callable[[], None]) -> None:
        """Do one record; whatever is wrong with it is said with file and line."""
        try:
            do()
        except WrongUse as error:
            document, place = self._wanted.places[noun, name]
            raise document.placed(error, *place) from None

    def _variables(self, tx: Tx) -> None:
        known = variables.all_variables(tx)
        for name, value in self._wanted.variables.items():
            changed = variables.set_variable(tx, name, value)
            self._step("variable", name, known.get(name), value if changed else known.get(name))

    def _credential(self, tx: Tx, record: dict[str, Any]) -> None:
        store, actor = self._desk.credentials, self._desk.actor
        name, fields = record["name"], record.get("fields") or {}
        new = not store.exists(tx, name)
        dates = {key: _date(record, key) for key in ("expires_at", "rotate_after") if key in record}
        if new:
            if "type" not in record:
                raise InvalidValue("type", "is needed for a new credential")
            store.create(
                tx,
                actor=actor,
                name=name,
                type=record["type"],
                description=record.get("description") or "",
                **dates,
            )
        before = store.get(tx, name)
        if not new:
            uses = Credentials(self._desk).usage_of(tx, name)
            store.change(
                tx,
                name,
                actor=actor,
                description=record.get("description"),
                type=record.get("type"),
                in_use=bool(uses),
                **dates,
            )
        _refuse_plain_secrets(record.get("type") or before.type, fields)
        typed = name.casefold() in self._wanted.typed
        saved = store.set_details(
            tx, name, fields, actor=actor, rebind=typed, used_lines=self._desk.lines_of(tx, name)
        )
        self._notes += [f"credential {name}: {note}" for note in saved.notes]
        after = saved.credential
        if new:
            self._steps.append(Step("add", "credential", name))
            return
        changed = [
            key
            for key in ("type", "description", "expires_at", "rotate_after", "plain")
            if getattr(before, key) != getattr(after, key)
        ]
        if before.version != after.version and "plain" not in changed:
            changed.append("secret")
        self._steps.append(
            Step(
                "change" if changed else "same",
                "credential",
                after.name,
                tuple("fields" if key == "plain" else key for key in changed),
            )
        )

    def _connection(self, tx: Tx, record: dict[str, Any]) -> None:
        old = _or_none(lambda: shown(connections.get(tx, record["name"])))
        connection = parse(Connection, merge(old or {}, record))
        if old != shown(connection):
            Connections(self._desk).save(tx, connection, new=old is None)
        self._step("connection", connection.name, old, shown(connection))

    def _service(self, tx: Tx, record: dict[str, Any]) -> None:
        old = _or_none(lambda: shown(services.get(tx, record["name"])))
        service = parse(Service, merge(old or {}, record))
        if old != shown(service):
            Services(self._desk).save(tx, service, new=old is None)
        self._step("service", service.name, old, shown(service))

    def _source(self, tx: Tx, record: dict[str, Any]) -> None:
        operations = Sources(self._desk)
        old = _or_none(lambda: shown(sources.get(tx, record["name"])))
        source = operations.declared(merge(old or {}, record), Path("/"))
        if old != shown(source):
            operations.save(tx, source, new=old is None)
        self._step("source", source.name, old, shown(source))

    def _step(self, noun: str, name: str, old: Any, new: Any) -> None:
        if old is None:
            self._steps.append(Step("add", noun, name))
        elif old == new:
            self._steps.append(Step("same", noun, name))
        else:
            fields = _differing(old, new) if isinstance(old, Mapping) else ("value",)
            self._steps.append(Step("change", noun, name, tuple(fields)))

    def _prune(self, tx: Tx, nouns: Sequence[str]) -> None:
        """Remove what no file names, users before what they use."""
        removers: dict[str, tuple[Iterable[str], Callable[[str], None]]] = {
            "sources": (
                (one.name for one in sources.load_all(tx)),
                lambda name: sources.delete(tx, name),
            ),
            "services": (
                (one.name for one in services.load_all(tx)),
                lambda name: services.delete(tx, name),
            ),
            "connections": (
                (one.name for one in reversed(connections.load_all(tx))),
                lambda name: connections.delete(tx, name),
            ),
            "credentials": (
                (one.name for one in self._desk.credentials.all(tx)),
                lambda name: self._desk.credentials.delete(tx, name, actor=self._desk.actor),
            ),
            "variables": (
                variables.all_variables(tx),
                lambda name: variables.delete_variable(tx, name),
            ),
        }
        for noun, (names, remove) in removers.items():
            kept = self._wanted.variables if noun == "variables" else self._wanted.records[noun]
            keys = {name.casefold() for name in kept}
            for name in list(names) if noun in nouns else ():
                if name.casefold() not in keys:
                    remove(name)
                    self._steps.append(Step("remove", noun.removesuffix("s"), name))


def _refuse_plain_secrets(type_name: str, fields: Mapping[str, Any]) -> None:
    """A plain text in a sealed field of a file would lie there for everybody: ``secret_in_file``."""
    sealed = {one.name for one in describe(type_named(type_name)) if one.sealed}
    for name, value in fields.items():
        inner = (
            [entry.get("value") for entry in value.values() if isinstance(entry, Mapping)]
            if isinstance(value, Mapping) and name == "client_secrets"
            else []
        )
        generic = (
            type_name == "generic"
            and name == "fields"
            and isinstance(value, Mapping)
            and any(isinstance(each, str) for each in value.values())
        )
        if (
            (name in sealed and isinstance(value, str))
            or generic
            or any(isinstance(each, str) for each in inner)
        ):
            raise WrongUse(
                f"{name}: a secret stands in the file as plain text.",
                code="secret_in_file",
                field=name,
                hint="Write {from_env: NAME}, {from_file: PATH} or {prompt: true} "
                "instead, and treat the value that stood there as known to others.",
            )


def _certificates_first(records: Mapping[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Credentials in an order in which whatever a ``trust`` field names is there before it."""
    return sorted(records.items(), key=lambda item: item[1].get("type") != "trusted_certificate")


def _parents_first(records: Mapping[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Connections in an order in which each stands behind the one it extends, cycles last."""
    done: dict[str, dict[str, Any]] = {}

    def take(key: str, above: tuple[str, ...]) -> None:
        parent = str(records[key].get("extends") or "").casefold()
        if parent in records and parent not in above:
            take(parent, (*above, key))
        done.setdefault(key, records[key])

    for key in records:
        take(key, (key,))
    return list(done.items())


def _or_none(get: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return get()
    except NotThere:
        return None


def _differing(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += _differing(before, after, f"{prefix}{key}.")
        elif before != after:
            found.append(prefix + key)
    return found


def _date(record: Mapping[str, Any], key: str) -> Any:
    import datetime as dt

    value = record[key]
    if value is None:
        return None
    try:
        return dt.date.fromisoformat(str(value))
    except ValueError:
        raise InvalidValue(key, "give a date such as 2027-01-31") from None
