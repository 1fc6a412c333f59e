"""One application of room files, inside one transaction: record by record, each a step of the plan."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from postroom.connections import store as connections
from postroom.connections.connection import Connection
from postroom.credentials.store import Credential
from postroom.credentials.types import type_named
from postroom.db import Tx
from postroom.errors import InvalidValue, NotThere, PostroomError, WrongUse
from postroom.fields import describe, parse, shown
from postroom.jobs import store as jobs
from postroom.jobs.missing import missing
from postroom.notices import store as notifications
from postroom.notices.notification import Notify as Notification
from postroom.operations import usage
from postroom.operations.connections import Connections, merge
from postroom.operations.credentials import Credentials, check_type
from postroom.operations.desk import Desk, Rebind
from postroom.operations.fits import check_users
from postroom.operations.jobs import Jobs
from postroom.operations.notify import Notify
from postroom.operations.permitting import check_fed
from postroom.operations.roomplan import Lacking, Plan, Step, Wanted
from postroom.operations.services import Services
from postroom.operations.sources import Sources
from postroom.operations.variables import Variables
from postroom.operations.waking import wake
from postroom.secret import Secret
from postroom.services import service as services
from postroom.services.service import Service
from postroom.sources import store as sources
from postroom.variables import store as variables

__all__ = ["Application"]

_DATES: Final = ("expires_at", "rotate_after")
_SAID: Final = {"description", "programs", *_DATES}
"""What is said of a credential; nothing signs in with it."""


class Application:
    """One application, inside one transaction."""

    def __init__(self, desk: Desk, wanted: Wanted, *, rebind: Rebind = False) -> None:
        """``typed`` collects the credentials (in lower case) whose every secret the files give."""
        self._desk = desk
        self._wanted = wanted
        self._rebind = rebind
        self.typed: set[str] = set()
        self._steps: list[Step] = []
        self._notes: list[str] = []

    def run(self, tx: Tx, prune: Sequence[str]) -> Plan:
        self._variables(tx)
        for name, record in _certificates_first(self._wanted.records["credentials"]):
            self._at("credentials", name, functools.partial(self._credential, tx, record))
        for name, record in _parents_first(self._wanted.records["connections"]):
            self._at("connections", name, functools.partial(self._connection, tx, record))
        for name, record in self._wanted.records["services"].items():
            self._at("services", name, functools.partial(self._service, tx, record))
        for name, record in self._wanted.records["jobs"].items():
            self._at("jobs", name, functools.partial(self._job, tx, name, record))
        for name, record in self._wanted.records["sources"].items():
            self._at("sources", name, functools.partial(self._source, tx, record))
        for name, record in _parents_first(self._wanted.records["notify"], above="instead_of"):
            self._at("notify", name, functools.partial(self._notification, tx, record))
        self._prune(tx, prune)
        self._wake(tx)
        for name, record in self._wanted.records["connections"].items():
            whole = functools.partial(check_users, self._desk, tx, record["name"])
            self._at("connections", name, whole)
        named = [
            self._desk.credentials.get(tx, record["name"])
            for record in self._wanted.records["credentials"].values()
        ]
        lacking = [Lacking(one.name, one.type, tuple(one.missing)) for one in named if one.missing]
        return Plan(tuple(self._steps), tuple(self._notes), incomplete=tuple(lacking))

    def _at(self, noun: str, name: str, do: Callable[[], None]) -> None:
        """Do one record; whatever is wrong with it is said with file and line."""
        try:
            do()
        except PostroomError as error:
            if not isinstance(error, WrongUse) and error.code != "in_use":
                raise
            document, place = self._wanted.places[noun, name]
            raise document.placed(error, *place) from None

    def _variables(self, tx: Tx) -> None:
        known = variables.all_variables(tx)
        for name, value in self._wanted.variables.items():
            if known.get(name) != value:
                check_fed(self._desk.person, tx, name)
            changed = variables.set_variable(tx, name, value)
            self._step("variable", name, known.get(name), value if changed else known.get(name))

    def _credential(self, tx: Tx, record: dict[str, Any]) -> None:
        store, actor = self._desk.credentials, self._desk.actor
        name, fields = record["name"], record.get("fields") or {}
        new = not store.exists(tx, name)
        dates = {key: str(record[key] or "") for key in _DATES if key in record}
        if new:
            if "type" not in record:
                raise InvalidValue("type", "is needed for a new credential")
            store.create(
                tx,
                actor=actor,
                name=name,
                type=record["type"],
                description=record.get("description") or "",
                programs=bool(record.get("programs")),
                **dates,
            )
        before = store.get(tx, name)
        if not new:
            check_type(self._desk, tx, name, record.get("type"))
            store.change(
                tx,
                name,
                actor=actor,
                description=_description(record),
                type=record.get("type"),
                programs=bool(record["programs"]) if "programs" in record else None,
                **dates,
            )
        type_name = record.get("type") or before.type
        _refuse_plain_secrets(type_name, fields, known_plain=before.plain)
        saved = store.set_details(
            tx,
            name,
            _unwrapped(type_name, fields),
            actor=actor,
            rebind=self._rebind,
            used_lines=self._desk.lines_of(tx, name),
        )
        if saved.typed:
            self.typed.add(name.casefold())
        self._notes += [f"credential {name}: {note}" for note in saved.notes]
        self._steps.append(_step_of(None if new else before, saved.credential))

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

    def _job(self, tx: Tx, key: str, record: dict[str, Any]) -> None:
        operations, (document, _) = Jobs(self._desk), self._wanted.places["jobs", key]
        old = _or_none(lambda: shown(jobs.get(tx, record["name"])))
        base = document.path.parent.resolve() if document.here else Path("/")
        job = operations.declared(operations.merged(old or {}, record), base)
        if old != shown(job):
            operations.save(tx, job, new=old is None)
            self._notes += [f"job {job.name}: {one}" for one in missing(job)]
        self._step("job", job.name, old, shown(job))

    def _source(self, tx: Tx, record: dict[str, Any]) -> None:
        operations = Sources(self._desk)
        old = _or_none(lambda: shown(sources.get(tx, record["name"])))
        source = operations.declared(merge(old or {}, record), Path("/"))
        if old != shown(source):
            operations.save(tx, source, new=old is None)
        self._step("source", source.name, old, shown(source))

    def _notification(self, tx: Tx, record: dict[str, Any]) -> None:
        operations = Notify(self._desk)
        old = _or_none(lambda: shown(notifications.get(tx, record["name"])))
        one = parse(Notification, operations.merged(old or {}, record))
        if old != shown(one):
            operations.save(tx, one, new=old is None)
        self._step("notification", one.name, old, shown(one))

    def _step(self, noun: str, name: str, old: Any, new: Any) -> None:
        if old is None:
            self._steps.append(Step("add", noun, name))
        elif old == new:
            self._steps.append(Step("same", noun, name))
        else:
            fields = _differing(old, new) if isinstance(old, Mapping) else ("value",)
            self._steps.append(Step("change", noun, name, tuple(fields)))

    def _wake(self, tx: Tx) -> None:
        """What rests on a variable or a credential that changed begins anew; who saves the other
        nouns has seen to that."""
        for step in self._steps:
            if step.verb not in ("add", "change"):
                continue
            if step.noun == "variable":
                wake(tx, usage.of_variable(tx, step.name).uses)
            elif step.noun == "credential" and not set(step.fields) <= _SAID:
                wake(tx, usage.of_credential(tx, step.name).uses)

    def _prune(self, tx: Tx, nouns: Sequence[str]) -> None:
        """Remove what no file names, users before what they use."""
        removers: dict[str, tuple[Iterable[str], Callable[[Tx, str], None]]] = {
            "notify": (
                (*_last_first(notifications.load_all(tx)), *notifications.unreadable(tx)),
                Notify(self._desk).remove,
            ),
            "sources": (
                (row["name"] for row in sources.rows(tx)),
                Sources(self._desk).remove,
            ),
            "jobs": (
                (*(one.name for one in jobs.load_all(tx)), *jobs.unreadable(tx)),
                Jobs(self._desk).remove,
            ),
            "services": (
                (*(one.name for one in services.load_all(tx)), *services.unreadable(tx)),
                Services(self._desk).remove,
            ),
            "connections": (
                (*_children_first(connections.load_all(tx)), *connections.unreadable(tx)),
                Connections(self._desk).remove,
            ),
            "credentials": (
                (one.name for one in self._desk.credentials.all(tx, hints=False)),
                Credentials(self._desk).remove,
            ),
            "variables": (variables.all_variables(tx), Variables(self._desk).remove),
        }
        for noun, (names, remove) in removers.items():
            kept = self._wanted.variables if noun == "variables" else self._wanted.records[noun]
            keys = {name.casefold() for name in kept}
            for name in list(names) if noun in nouns else ():
                if name.casefold() not in keys:
                    remove(tx, name)
                    one = "notification" if noun == "notify" else noun.removesuffix("s")
                    self._steps.append(Step("remove", one, name))


def _step_of(before: Credential | None, after: Credential) -> Step:
    """The step of a credential, which was not there ``before`` (None) or was so."""
    if before is None:
        return Step("add", "credential", after.name)
    changed = [
        key
        for key in ("type", "description", "expires_at", "rotate_after", "programs", "plain")
        if getattr(before, key) != getattr(after, key)
    ]
    if before.version != after.version and "plain" not in changed:
        changed.append("secret")
    fields = tuple("fields" if key == "plain" else key for key in changed)
    return Step("change" if changed else "same", "credential", after.name, fields)


def _last_first(found: Sequence[Notification]) -> list[str]:
    """Names in an order in which nothing is removed before what stands in for it."""
    by_name = {one.name.casefold(): one.model_dump() for one in found}
    return [str(one["name"]) for _, one in reversed(_parents_first(by_name, above="instead_of"))]


def _children_first(found: Sequence[Connection]) -> list[str]:
    """Names in an order in which nothing is removed before what extends it."""
    by_name = {one.name.casefold(): one.model_dump() for one in found}
    return [str(one["name"]) for _, one in reversed(_parents_first(by_name))]


def _refuse_plain_secrets(
    type_name: str, fields: Mapping[str, Any], *, known_plain: Collection[str]
) -> None:
    """A plain text in a sealed field of a file would lie there for everybody: ``secret_in_file``."""
    sealed = {one.name for one in describe(type_named(type_name)) if one.sealed}
    for name, value in fields.items():
        inner = (
            [entry.get("value") for entry in value.values() if isinstance(entry, Mapping)]
            if isinstance(value, Mapping) and name == "client_secrets"
            else []
        )
        generic = type_name == "generic" and name not in known_plain and _stands_open(value)
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


def _stands_open(value: Any) -> bool:
    """Whether a custom field has its value in the file and does not say that it is plain."""
    if isinstance(value, Mapping):
        return isinstance(value.get("value"), str) and value.get("plain") is not True
    return isinstance(value, str)


def _unwrapped(type_name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """References may stand in fields that are not sealed too: a certificate from its file."""
    plain = {one.name for one in describe(type_named(type_name)) if not one.sealed}
    return {
        name: value.reveal() if isinstance(value, Secret) and name in plain else value
        for name, value in fields.items()
    }


def _certificates_first(records: Mapping[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Credentials in an order in which whatever a ``trust`` field names is there before it."""
    return sorted(records.items(), key=lambda item: item[1].get("type") != "trusted_certificate")


def _parents_first(
    records: Mapping[str, dict[str, Any]], *, above: str = "extends"
) -> list[tuple[str, dict[str, Any]]]:
    """Records in an order in which each stands behind the one it names ``above`` it, cycles last."""
    done: dict[str, dict[str, Any]] = {}

    def take(key: str, seen: tuple[str, ...]) -> None:
        parent = str(records[key].get(above) or "").casefold()
        if parent in records and parent not in seen:
            take(parent, (*seen, key))
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


def _description(record: Mapping[str, Any]) -> str | None:
    """What the file says of the description: a null clears it, saying nothing keeps it."""
    return (record["description"] or "") if "description" in record else None
