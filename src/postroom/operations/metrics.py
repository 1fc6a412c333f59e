"""The figures of a room for Prometheus, counted when they are asked for; names only up to a limit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from postroom.clock import timestamp
from postroom.db import SCHEMA, Tx, is_living, workers
from postroom.jobs.states import OPEN
from postroom.operations.desk import Desk
from postroom.operations.sight import NOBODY, NamedSight
from postroom.services import finding
from postroom.services import service as services
from postroom.sources import entries
from postroom.sources import store as sources
from postroom.sources.standing import AT_WORK, lag_of

__all__ = ["MOST_NAMES", "figures"]

MOST_NAMES: Final = 100
"""Sources and services that have a line of their own; the others are in the sums alone, as are all that
rest on a restricted credential."""
_CLAIMED: Final = {
    "sources": "SELECT count(*) FROM sources WHERE owner IS NOT NULL",
    "outbox": "SELECT count(*) FROM outbox WHERE owner IS NOT NULL",
    "runs": "SELECT count(*) FROM runs WHERE owner IS NOT NULL",
    "sent_copies": "SELECT count(*) FROM sent_copies WHERE owner IS NOT NULL",
}
_COUNTED: Final = {
    "postroom_ledger_messages": "SELECT state, count(*) AS n FROM ledger GROUP BY state",
    "postroom_outbox_messages": "SELECT state, count(*) AS n FROM outbox GROUP BY state",
    "postroom_runs": "SELECT state, count(*) AS n FROM runs GROUP BY state",
    "postroom_sign_ins": "SELECT state, count(*) AS n FROM sign_ins GROUP BY state",
}
_ABOUT: Final = {
    "postroom_ledger_messages": "Messages of all sources, by state (delivered, done, ignored, failed ...).",
    "postroom_outbox_messages": "Messages in the outbox, by state; finished ones are kept for 90 days.",
    "postroom_runs": "Runs of jobs, by state; finished ones are kept as long as their job says.",
    "postroom_sign_ins": "Sign-ins by OAuth, by state.",
}
_OLDEST: Final = (
    "SELECT state, min(queued_at) AS n FROM outbox WHERE finished_at IS NULL GROUP BY state"
)
_LASTING: Final = "SELECT cause FROM notices WHERE over_at IS NULL"


def figures(desk: Desk, days_left: int | None) -> bytes:
    """All of them, in the text format; for a thread of its own.

    ``days_left`` are those to the next end of anything in a credential; None: nothing ends.
    """
    registry = CollectorRegistry()
    registry.register(_Room(desk, days_left))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return generate_latest(registry)


class _Room(Collector):
    """Counts what the room holds."""

    def __init__(self, desk: Desk, days_left: int | None) -> None:
        self._desk = desk
        self._days_left = days_left

    def collect(self) -> Iterable[Metric]:
        """Every family, of one snapshot."""
        locked = self._desk.locked is not None

        def body(tx: Tx) -> list[Metric]:
            open_to_all = _Open(tx, self._desk.environ)
            return list(_families(tx, open_to_all, locked, self._days_left))

        return self._desk.db.read_now(body)


class _Open:
    """The sources and services that are there for whoever may view: others have no line of their own."""

    def __init__(self, tx: Tx, environ: Mapping[str, str]) -> None:
        with tx.seen_by(NamedSight(NOBODY, environ)):
            self.sources = {row["name"] for row in sources.rows(tx)}
            self.services = {one.name for one in services.load_all(tx)}


def _families(tx: Tx, named: _Open, locked: bool, days_left: int | None) -> Iterator[Metric]:
    now = timestamp()
    yield _gauge("postroom_schema", "Schema number of this release.", SCHEMA)
    yield _gauge("postroom_locked", "1: the room's key could not be used.", locked)
    yield _gauge("postroom_workers", "Living workers.", len(workers(tx, now=now)))
    for name, about in _ABOUT.items():
        yield _by(name, about, "state", {row["state"]: row["n"] for row in tx.all(_COUNTED[name])})
    yield _by(
        "postroom_outbox_oldest_seconds",
        "Age of the oldest message that is not finished, by state.",
        "state",
        {row["state"]: max(0.0, now - row["n"]) for row in tx.all(_OLDEST)},
    )
    attempts = tx.value("SELECT count(*) FROM outbox_attempts")
    yield _gauge("postroom_outbox_attempts", "Tries of the messages in the outbox.", attempts)
    yield from _of_sources(tx, named, now)
    yield from _of_services(tx, named)
    open_runs = sum(tx.value(_OPEN_RUNS, state=state) for state in OPEN)
    yield _gauge("postroom_runs_open", "Runs that are not finished.", open_runs)
    claims = {name: tx.value(_CLAIMED[name]) for name in _CLAIMED}
    yield _by("postroom_claims", "Rows that a process has claimed, by table.", "table", claims)
    rows = tx.value("SELECT max(position) FROM audit") or 0
    yield _counter("postroom_audit_rows", "Rows written to the audit record.", rows)
    if days_left is not None:
        about = (
            "Days to the next end of a credential, client secret or certificate; negative: past."
        )
        yield _gauge("postroom_next_expiry_days", about, days_left)
    lasting: dict[str, int] = {}
    for row in tx.all(_LASTING):
        kind = row["cause"].partition(" ")[0]
        lasting[kind] = lasting.get(kind, 0) + 1
    yield _by(
        "postroom_notices", "What a person has to know right now, by cause.", "cause", lasting
    )


_OPEN_RUNS: Final = "SELECT count(*) FROM runs WHERE finished_at IS NULL AND state = :state"


def _of_sources(tx: Tx, named: _Open, now: float) -> Iterator[Metric]:
    """By state, and how far each is behind: the first by name have a line of their own."""
    states: dict[str, int] = {}
    lags: dict[str, float] = {}
    for row in sources.rows(tx):
        living = is_living(tx, row["owner"], now=now)
        state = "idle" if row["state"] in AT_WORK and not living else row["state"]
        states[state] = states.get(state, 0) + 1
        lags[row["name"]] = lag_of(
            row,
            state,
            waiting_since=entries.waiting_since(tx, row["id"]),
            due_since=row["due_at"] if not living and row["due_at"] <= now else None,
            now=now,
        )
    yield _by("postroom_sources", "Sources, by state.", "state", states)
    about = "For how long a source has been behind: something waits that should be in its sink."
    yield _by("postroom_source_lag_seconds", about, "source", _first(lags, named.sources))
    most = max(lags.values(), default=0.0)
    yield _gauge(
        "postroom_source_lag_most_seconds", "The same of the source that is furthest.", most
    )


def _of_services(tx: Tx, named: _Open) -> Iterator[Metric]:
    known = named.services  # implicit ones may hold an address
    about = "Messages of a service that are sent as soon as they are due."
    yield _by(
        "postroom_service_waiting", about, "service", _first(finding.due_by_service(tx), known)
    )
    about = "Messages of a service that failed or are in doubt, and nobody has settled."
    unsettled = finding.unsettled(tx)
    yield _by("postroom_service_unsettled", about, "service", _first(unsettled, known))
    total = sum(unsettled.values())
    yield _gauge("postroom_outbox_unsettled", "The same of all services.", total)


def _first(values: Mapping[str, float], known: Collection[str]) -> dict[str, float]:
    there = [one for one in values.items() if one[0] in known]
    return dict(sorted(there, key=lambda one: one[0].casefold())[:MOST_NAMES])


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value=float(value))


def _counter(name: str, about: str, value: float) -> Metric:
    return CounterMetricFamily(name, about, value=float(value))


def _by(name: str, about: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=[label])
    for key, value in values.items():
        family.add_metric([key], float(value))
    return family
