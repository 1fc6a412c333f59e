"""Usage: what refers to a record or waits under it, and who used it last.  The one way to ask."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from postroom import audit
from postroom.clock import rfc3339
from postroom.connections import store as connections
from postroom.connections.boxed import parted
from postroom.connections.connection import Connection
from postroom.connections.inherit import merge
from postroom.connections.resolver import Resolver
from postroom.connections.scope import expander
from postroom.connections.signins import sign_ins
from postroom.credentials.trust import certificates_named, trusted_in
from postroom.db import Tx
from postroom.errors import PostroomError, Refused
from postroom.fields import describe
from postroom.jobs import runs
from postroom.jobs import store as jobs
from postroom.jobs.states import OPEN
from postroom.notices import destinations
from postroom.notices import store as notifications
from postroom.operations.jobnames import all_namings, jobs_begun, namings
from postroom.operations.variablenames import beside_connections, variables_in
from postroom.services import outbox
from postroom.services import service as services
from postroom.sources import store as sources

__all__ = [
    "OUT_OF_SIGHT",
    "Usage",
    "Use",
    "connections_of_credentials",
    "count_of_connections",
    "count_of_credentials",
    "in_use",
    "of_connection",
    "of_credential",
    "of_job",
    "of_service",
    "of_source",
    "of_variable",
    "of_variables",
    "opened_at",
    "referring_to_credential",
    "standing",
]

TOLD: Final = 8
"""Uses that a sentence names; it counts the others."""
_CREDENTIAL: Final = ("auth", "trust", "client_certificate")


class Use(NamedTuple):
    """One place that refers to a record: ``("source", "orders-in", "connection")``.

    ``via`` is the connection through which it does so, empty when it names the record itself.
    ``number`` is more than one for what is counted by its state: messages of an outbox, of a ledger.
    """

    noun: str
    name: str
    place: str
    via: str = ""
    number: int = 1

    def __str__(self) -> str:
        if self.noun in ("outbox", "ledger"):
            messages = "message" if self.number == 1 else "messages"
            return f"{self.number} {self.place} {messages} in the {self.noun} of {self.name}"
        if self.noun == "runs":
            return f"{self.number} {self.place} run{'s' * (self.number > 1)} of job {self.name}"
        return f"{self.noun} {self.name} ({self.place}{f' of {self.via}' if self.via else ''})"


OUT_OF_SIGHT: Final = Use("connection", "that is not there for you", "restricted")
"""Stands for uses that are not there for whoever asks: nobody takes away from under them, forced or not."""


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """The uses of a record; when it was used last (seconds since 1970, None: never or not kept),
    by whom, and for what.
    """

    uses: tuple[Use, ...]
    used_at: float | None = None
    used_by: str = ""
    used_for: str = ""

    def last_use(self) -> dict[str, Any]:
        """The last use as ``--json`` shows it."""
        return {
            "used_at": None if self.used_at is None else rfc3339(self.used_at),
            "used_by": self.used_by,
            "used_for": self.used_for,
        }

    def as_json(self) -> dict[str, Any]:
        """As ``--json`` shows it."""
        return {"items": [use._asdict() for use in self.uses], **self.last_use()}


def of_credential(tx: Tx, name: str, *, since: float = 0.0) -> Usage:
    """Connections, credentials, services and jobs that name it, what works over, messages waiting.

    ``since`` is when the record was made: what another of its name was opened for is not its use.
    """
    direct = referring_to_credential(tx, name)
    key = name.casefold()
    inherited = [use for text, use in _inherited(tx, _CREDENTIAL) if text.casefold() == key]
    named = [use.name for use in (*direct, *inherited) if use.noun == "connection"]
    return Usage(
        (
            *direct,
            *inherited,
            *_over(tx, named),
            *_in_jobs(tx, "credential", name),
            *_waiting(tx, f"credential:{name}"),
        ),
        *_opened(tx, name, since),
    )


def opened_at(tx: Tx, name: str, *, since: float) -> float | None:
    """When a credential that was made at ``since`` was opened last; None: never."""
    used = _opened(tx, name, since)
    return used[0] if used else None


def _opened(tx: Tx, name: str, since: float) -> tuple[float, str, str] | tuple[()]:
    row = audit.last(tx, noun="credential", name=name, action="open")
    return (row["at"], row["actor"], audit.purpose(row)) if row and row["at"] >= since else ()


def connections_of_credentials(tx: Tx) -> dict[str, set[str]]:
    """The connections that name each credential, or inherit that; one look for a whole list.

    By the casefolded name of the credential.
    """
    found: dict[str, set[str]] = defaultdict(set)
    inherited = ((text.casefold(), use) for text, use in _inherited(tx, _CREDENTIAL))
    for credential, use in (*_credentials_named(tx), *inherited):
        if use.noun == "connection":
            found[credential].add(use.name)
    return found


def referring_to_credential(tx: Tx, name: str) -> list[Use]:
    """Only what names the credential itself: enough to count, and quick."""
    key = name.casefold()
    return [use for credential, use in _credentials_named(tx) if credential == key]


def count_of_credentials(tx: Tx) -> Counter[str]:
    """How often each credential is named itself, by its casefolded name: one look for a whole list."""
    return Counter(credential for credential, _ in _credentials_named(tx))


def _credentials_named(tx: Tx) -> Iterator[tuple[str, Use]]:
    for credential, reference in connections.credentials_named(tx):
        yield credential, Use(*reference)
    for kind, over in (("source", sources.load_all(tx)), ("service", services.load_all(tx))):
        for one in over:
            noun, _, credential = one.connection.casefold().partition(":")
            if noun == "credential":
                yield credential, Use(kind, one.name, "connection")
    for job in jobs.load_all(tx):
        for credential in job.credentials:
            yield credential.casefold(), Use("job", job.name, "credentials")
    for certificate, trusting in certificates_named(tx):
        yield certificate, Use("credential", trusting, "trust")
    for credential, name, place in destinations.credentials_named(tx):
        yield credential, Use("notification", name, place)
    yield from _fitting(tx)


def _fitting(tx: Tx) -> Iterator[tuple[str, Use]]:
    """The connections that name no client, and find its record by authority and client id."""
    resolver = Resolver(tx, expand=expander(tx), trusted=trusted_in(tx))
    for use in sign_ins(resolver.all_sides()).values():
        for connection, places in use.connections.items():
            for place in places:
                if use.grant.credential and _names_no_client(tx, connection, place):
                    found = Use("connection", connection, f"{place}.auth")
                    yield use.grant.credential.casefold(), found


def _names_no_client(tx: Tx, connection: str, place: str) -> bool:
    side = connections.get(tx, connection).sides().get(place)
    return side is not None and side.auth is not None and not side.auth.credential


def of_connection(tx: Tx, name: str) -> Usage:
    """What extends it, the sources and services over it and over those, messages waiting."""
    key = name.casefold()
    family = _beneath(tx, name)
    last = connections.last_use(tx, name)
    over = [use._replace(via="") if use.via.casefold() == key else use
            for use in _over(tx, [name, *(use.name for use in family)])]  # fmt: skip
    jobs = _in_jobs(tx, "connection", name)
    return Usage((*family, *over, *jobs, *_waiting(tx, f"connection:{name}")), last.at, last.by)


def count_of_connections(tx: Tx) -> Counter[str]:
    """How often each connection is named itself, by its casefolded name: one look for a whole list."""
    found = Counter(one.extends.casefold() for one in connections.load_all(tx))
    for over in (sources.load_all(tx), services.load_all(tx)):
        found.update(one.connection.casefold() for one in over)
    found.update(name for name, _ in all_namings(tx, "connection"))
    waiting = {(parted(service)[0].casefold(), state) for service, state in outbox.waiting_by(tx)}
    found.update(service.removeprefix("connection:") for service, _ in waiting)
    return found


def of_source(tx: Tx, name: str) -> Usage:
    """The worker that collects for it, and its messages that are not finished."""
    status = sources.status(tx, name)
    found = []
    if status.owner:
        found.append(Use("worker", status.owner, status.state))
    for state in ("pending", "held", "acquired", "delivered"):
        if status.counts.get(state):
            found.append(Use("ledger", status.name, state, number=status.counts[state]))
    return Usage(tuple(found), status.last_message_at, used_for="a message was collected")


def of_service(tx: Tx, name: str) -> Usage:
    """The jobs that send through it, who is told through it, and the messages that wait in its queue."""
    last = outbox.newest(tx, name)
    used = (last["created_at"], last["created_by"], "a message was stored") if last else ()
    told = [
        Use("notification", one.name, "service")
        for one in notifications.load_all(tx)
        if one.service.casefold() == name.casefold()
    ]
    return Usage((*_in_jobs(tx, "service", name), *told, *_waiting(tx, name)), *used)


def of_job(tx: Tx, name: str) -> Usage:
    """The sources that hand messages to it, the jobs that begin it, its runs that are not finished."""
    found = [
        Use("source", one.name, "sink.job")
        for one in sources.load_all(tx)
        if one.sink.type == "job" and one.sink.job.casefold() == name.casefold()
    ]
    found += [
        Use("job", one.name, "steps")
        for one in jobs.load_all(tx)
        if name.casefold() in (each.casefold() for each in jobs_begun(one.steps))
    ]
    found += [
        Use("runs", name, state, number=number)
        for state, number in runs.counts(tx, name).items()
        if state in OPEN
    ]
    last = runs.listed(tx, job=name, states=(), since=None, limit=1)
    used = (last[0].created_at, last[0].created_by, "a run was begun") if last else ()
    return Usage(tuple(found), *used)


def of_variable(tx: Tx, name: str) -> Usage:
    """Every setting with a macro of that name, and what works over those connections."""
    return of_variables(tx).get(name, Usage(()))


def of_variables(tx: Tx) -> dict[str, Usage]:
    """The same of each variable that is used: every setting is read once."""
    fields = dict.fromkeys(
        one.name.removeprefix("incoming.")
        for one in describe(Connection)
        if one.macro and not one.name.startswith("outgoing.")
    )
    own, inherited = defaultdict[str, list[Use]](list), defaultdict[str, list[Use]](list)
    for connection in connections.load_all(tx):
        for place, text in _texts(connection, fields):
            for name in variables_in(text):
                own[name].append(Use("connection", connection.name, place))
    for text, use in _inherited(tx, fields):
        for name in variables_in(text):
            inherited[name].append(use)
    named = {
        name: {use.name.casefold() for use in (*own[name], *inherited[name])}
        for name in {*own, *inherited}
    }
    works = _over(tx, set().union(*named.values()))
    for name, keys in named.items():
        inherited[name] += [use for use in works if use.via.casefold() in keys]
    for noun, holder, place, used in beside_connections(tx):
        for name in used:
            own[name].append(Use(noun, holder, place))
    return {name: Usage((*own[name], *inherited[name])) for name in {*own, *inherited}}


def standing(tx: Tx, of: Callable[[Tx, str], Usage], name: str) -> tuple[Use, ...]:
    """The uses that stand in the way of removing something; those that are not there for whoever asks
    do too, as one that says no more."""
    seen = of(tx, name).uses
    if tx.sight is None:
        return seen
    with tx.seen_by(None):
        hidden = len(of(tx, name).uses) - len(seen)
    return (*seen, OUT_OF_SIGHT) if hidden > 0 else seen


def in_use(what: str, uses: Iterable[Use], hint: str, *, then: str = "") -> Refused:
    """The refusal to delete or change ``what``, with the list of what uses it."""
    found = list(uses)
    told = ", ".join(map(str, found[:TOLD]))
    if len(found) > TOLD:
        told += f" and {len(found) - TOLD} more"
    return Refused(
        f"{what} is used by {told}. {then}".rstrip(),
        code="in_use",
        uses=[use._asdict() for use in found],
        hint="Ask an administrator." if OUT_OF_SIGHT in found else hint,
    )


# ------------------------------------------------------------------ what works over a connection


def _over(tx: Tx, names: Iterable[str]) -> list[Use]:
    """The sources and services over these connections."""
    keys = {name.casefold() for name in names}
    found = [
        Use("source", one.name, "connection", via=one.connection)
        for one in sources.load_all(tx)
        if one.connection.casefold() in keys
    ]
    return found + [
        Use("service", one.name, "connection", via=one.connection)
        for one in services.load_all(tx)
        if one.connection.casefold() in keys
    ]


def _beneath(tx: Tx, name: str) -> list[Use]:
    """The connections that extend it, directly or through another."""
    everything = connections.load_all(tx)
    found: list[Use] = []
    above = [(name, "")]
    for parent, via in above:  # grows while it is walked
        for one in everything:
            if one.extends.casefold() == parent.casefold() and len(above) <= len(everything):
                found.append(Use("connection", one.name, "extends", via=via))
                above.append((one.name, one.name))
    return found


def _inherited(tx: Tx, fields: Iterable[str]) -> Iterator[tuple[str, Use]]:
    """What connections have in these fields from another one."""
    wanted = tuple(fields)
    for connection in connections.load_all(tx):
        if not connection.extends:
            continue
        try:
            merged = merge(connection, lambda other: connections.get(tx, other))
        except PostroomError:  # broken: it inherits nothing right now
            continue
        for place, text in _texts(merged.connection, wanted):
            parent = merged.inherited.get(place)
            if parent:
                yield text, Use("connection", connection.name, place, via=parent)


def _texts(connection: Connection, fields: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Field (dotted) and text of what a connection says itself; of ``auth`` its credential."""
    for place, part in connection.parts().items():
        for field in fields:
            value: Any = part
            for step in field.split("."):
                value = getattr(value, step, None)
            named = getattr(value, "credential", value)
            for text in named if isinstance(named, list) else [named]:
                if isinstance(text, str) and text:
                    yield f"{place}.{field}".lstrip("."), text


def _in_jobs(tx: Tx, noun: str, name: str) -> list[Use]:
    """The jobs whose steps name it."""
    return [Use("job", one.job, one.place) for one in namings(tx, noun, name)]


def _waiting(tx: Tx, service: str) -> list[Use]:
    """The messages that wait in the outbox of a service, counted by state."""
    return [
        Use("outbox", service, state, number=number)
        for state, number in outbox.waiting(tx, service).items()
    ]
