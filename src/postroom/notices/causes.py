"""What a person has to know, as the room's own tables tell it (docs/notify.md has the same for people)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from typing import Final

from postroom.connections.resolver import Resolver
from postroom.connections.signins import sign_ins
from postroom.credentials.due import Due
from postroom.credentials.record import Credential
from postroom.credentials.tokens import rows as tokens
from postroom.db import Row, Tx, is_living, workers
from postroom.errors import PostroomError
from postroom.jobs import runs
from postroom.notices.notification import Cause
from postroom.notices.things import NOTHING, Things, of_connection, of_service
from postroom.services import finding
from postroom.sources import store as sources
from postroom.sources.standing import FAILING

__all__ = ["STEPS", "STUCK_SECONDS", "Found", "at_work", "audit_failure", "ending", "step_of"]

STUCK_SECONDS: Final = 15 * 60.0
"""So long a source may fail, or wait for a worker, before anybody is told."""
RECENT_SECONDS: Final = 3600.0
"""So long a failed run is told of although others went well since: a job of each message is no stream of
notices."""
STEPS: Final = (30, 14, 7, 3, 1)
"""Days before an end at which people are told of it, and told again."""


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """Something that a person has to know.

    ``key`` is the same as long as it lasts; ``said`` is one sentence, ``over`` the one for when it is
    over, ``do`` what to do about it.  ``stage`` grows when people should be told again.  ``things``
    are what it is about; ``broken`` says that they are known not to work.
    """

    key: str
    kind: Cause
    noun: str
    name: str
    said: str
    over: str
    do: str
    stage: int = 1
    things: Things = NOTHING
    broken: bool = False


def ending(credentials: Iterable[Credential]) -> list[Found]:
    """What of these credentials ends within :data:`STEPS`, or has ended (pure)."""
    return [
        _end(credential, due, stage)
        for credential in credentials
        for due in credential.due
        if (stage := step_of(due.days))
    ]


def step_of(days: int) -> int:
    """How many of :data:`STEPS` are reached when so many days are left; one more when it is over."""
    return sum(days <= step for step in STEPS) + (days < 0)


def _end(credential: Credential, due: Due, stage: int) -> Found:
    name = credential.name
    if due.what == "rotate_after":
        over = f"Credential {name} was replaced, or has more time."
    else:
        over = f"Credential {name}: what was to expire ({due.subject or 'all of it'}) is replaced or gone."
    return Found(
        key=f"expiry credential:{name.casefold()} {due.what}",
        kind="expiry",
        noun="credential",
        name=name,
        said=f"Credential {name}: {due}.",
        over=over,
        do=f"Give it a new one: postroom credential set {name}",
        stage=stage,
        things=Things(frozenset({f"credential:{name.casefold()}"})),
        broken=due.days < 0 and due.what != "rotate_after",
    )


def at_work(tx: Tx, resolver: Resolver, *, now: float) -> list[Found]:
    """Sign-ins that are needed, sources that are stuck, dead letters, jobs that fail, and whether a worker
    is there."""
    working = bool(workers(tx, now=now))
    found = list(_sign_ins(tx, resolver))
    waiting = frozenset(thing for one in found for thing in one.things.own)
    for row in sources.rows(tx):
        found += _of_source(tx, resolver, row, waiting, working=working, now=now)
    found += _unsent(tx, resolver)
    found += map(_failed_run, runs.failing(tx, since=now - RECENT_SECONDS))
    if not working:
        said = "No worker runs: nothing is collected, sent or run by itself."
        found.append(
            Found("worker", "worker", "room", "room", said, "A worker runs again.", _START)
        )
    return found


_START: Final = "Start one: postroom worker"


def _sign_ins(tx: Tx, resolver: Resolver) -> Iterator[Found]:
    required = [row for row in tokens.find_all(tx) if row["state"] == tokens.REQUIRED]
    uses = sign_ins(resolver.all_sides()) if required else {}
    for row in required:
        use = uses.get(row["id"])
        if use is None:  # it serves nothing any more
            continue
        serves = sorted(use.connections)
        own = {f"sign-in:{row['id']}", *(f"connection:{one.casefold()}" for one in serves)}
        who = row["account"] or row["client_id"]
        yield Found(
            key=f"sign-in {row['id']}",
            kind="sign-in",
            noun="connection",
            name=serves[0],
            said=f"Somebody has to sign in as {who}, for connection {', '.join(serves)}. {row['note']}",
            over=f"Nobody has to sign in as {who} any more, for connection {', '.join(serves)}.",
            do=f"Sign in: postroom connection signin {serves[0]}",
            things=Things(frozenset(own)),
            broken=True,
        )


def _of_source(
    tx: Tx, resolver: Resolver, row: Row, waiting: frozenset[str], *, working: bool, now: float
) -> Iterator[Found]:
    name = row["name"]
    try:
        connection = sources.source_of(row).connection
    except PostroomError as error:
        yield _stuck(name, f"Source {name} cannot be read: {error}", NOTHING)
        return
    things = of_connection(resolver, connection, sides=("incoming",)).with_more(f"source:{name}")
    told = row["state"] == "waiting for sign-in" and things.own & waiting
    if row["state"] in FAILING and now - row["state_since"] >= STUCK_SECONDS and not told:
        yield _stuck(
            name, f"Source {name} collects nothing ({row['state']}): {row['note']}", things
        )
    elif (
        working
        and row["due_at"] <= now - STUCK_SECONDS
        and not is_living(tx, row["owner"], now=now)
    ):
        yield _stuck(name, f"Source {name} is due, and no worker that runs takes it.", NOTHING)
    failed = tx.value(_FAILED, source=row["id"])
    if failed:
        yield Found(
            key=f"ledger {name.casefold()}",
            kind="ledger",
            noun="source",
            name=name,
            said=f"{_messages(failed)} of source {name} failed on the way to the sink.",
            over=f"No message of source {name} is failed any more.",
            do=f"See why: postroom source ledger {name} --state failed",
            stage=len(str(failed)),
            things=things,
        )


_FAILED: Final = "SELECT count(*) FROM ledger WHERE source = :source AND state = 'failed'"


def _stuck(name: str, said: str, things: Things) -> Found:
    return Found(
        key=f"source {name.casefold()}",
        kind="source",
        noun="source",
        name=name,
        said=said.rstrip(": "),
        over=f"Source {name} collects again.",
        do=f"See: postroom source show {name}",
        things=things,
        broken=bool(things.own),
    )


def _unsent(tx: Tx, resolver: Resolver) -> Iterator[Found]:
    for service, count in finding.unsettled(tx).items():
        last = tx.one(_LAST, service=service)
        yield Found(
            key=f"outbox {service.casefold()}",
            kind="outbox",
            noun="service",
            name=service,
            said=f"{_messages(count)} of service {service} failed, or nobody knows whether they arrived.",
            over=f"Nothing of service {service} is failed or in doubt any more.",
            do=f"See and settle them: postroom outbox list --service {service} --unsettled",
            stage=len(str(count)),
            things=of_service(tx, resolver, service),
            # a wrong recipient is no broken service: it is one as long as nothing was sent since
            broken=last is None or last["state"] in ("failed", "ambiguous"),
        )


_LAST: Final = (
    "SELECT state FROM outbox WHERE service = :service AND finished_at IS NOT NULL "
    "AND state IN ('sent', 'failed', 'ambiguous') ORDER BY finished_at DESC LIMIT 1"
)


def _failed_run(run: runs.Run) -> Found:
    return Found(
        key=f"job {run.job.casefold()}",
        kind="job",
        noun="job",
        name=run.job,
        said=_ended(f"The last run of job {run.job} that failed: {run.reason}"),
        over=f"Job {run.job} runs well again.",
        do=f"See why: postroom job log {run.id}",
    )


def audit_failure(problems: list[str]) -> list[Found]:
    """What is wrong with the audit record, as a cause; empty where nothing is (pure)."""
    if not problems:
        return []
    more = f" And {len(problems) - 1} more." if len(problems) > 1 else ""
    return [
        Found(
            key="audit",
            kind="audit",
            noun="audit",
            name="audit",
            said=f"The audit record is not whole: {_ended(problems[0])}{more}",
            over="The audit record is whole again.",
            do="See all: postroom audit verify",
        )
    ]


def _ended(sentence: str) -> str:
    return re.sub(r"[.\s]*$", ".", sentence)


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"
