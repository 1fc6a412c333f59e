"""How a source stands, for people: since when, whether somebody is at it, when it is wanted next."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from postroom.clock import rfc3339
from postroom.db import Row
from postroom.errors import WrongUse
from postroom.sources.source import Source

__all__ = ["AT_WORK", "FAILING", "Kept", "Status", "lag_of", "status_of"]

AT_WORK: Final = ("connecting", "signing in", "collecting", "listening")
"""States that hold as long as the worker lives that is in them; killed, it cannot take them back."""
_PASSING: Final = ("connecting", "signing in", "collecting")
FAILING: Final = ("backing off", "failed", "waiting for sign-in")
"""States in which nothing is collected until something changes; the note says what."""
_WELL: Final = ("idle", "listening")
PATIENCE_SECONDS: Final = 10.0
"""So long after it was due a running worker has taken a source, if it is one of its own."""


class Kept:
    """Since when a source is in a state, where others were only passed through meanwhile.

    A source that fails stays failed while it is tried again, and one that listens goes on listening
    after each message: neither is in its state anew.
    """

    def __init__(self, state: str, since: float) -> None:
        """``state`` and ``since`` are how the source was found."""
        self._kind = _kind(state)
        self._began = {} if state in _PASSING else {state: since}

    @property
    def failing(self) -> bool:
        """Whether its last pass failed."""
        return self._kind not in ("well", "")

    def since(self, state: str, now: float) -> float:
        """When it came into a state that it is in ``now``."""
        if state in _PASSING:
            return now
        if _kind(state) != self._kind:
            self._kind, self._began = _kind(state), {}
        return self._began.setdefault(state, now)


def _kind(state: str) -> str:
    if state in _PASSING:
        return ""
    return "well" if state in _WELL else state


@dataclasses.dataclass(frozen=True, slots=True)
class Status:
    """What a source is doing, for people.

    Instants are seconds since 1970.  ``next_wake`` is when it will be looked at again, ``due_since``
    since when nobody does what is due; at most one of them is set.  ``lag`` is how far it is behind,
    in seconds: see :func:`lag_of`.
    """

    name: str
    connection: str
    state: str
    since: float
    note: str
    last_message_at: float | None
    next_wake: float | None
    due_since: float | None
    owner: str | None
    counts: dict[str, int]
    lag: float

    def as_json(self) -> dict[str, Any]:
        """As ``--json`` shows it."""
        shown = dataclasses.asdict(self)
        for key in ("since", "last_message_at", "next_wake", "due_since"):
            shown[key] = None if shown[key] is None else rfc3339(shown[key])
        shown["lag"] = round(self.lag, 1)
        return shown


def status_of(
    row: Row,
    source: Source | WrongUse,
    *,
    note: str,
    owner: str | None,
    counts: dict[str, int],
    working: bool,
    waiting_since: float | None,
    now: float,
) -> Status:
    """The status of a source (pure), with ``note`` in place of the row's.

    ``owner`` is the living one, ``working`` whether any worker runs; of a ``source`` that cannot be
    read it is why.  ``waiting_since`` is when the oldest message came that is not handed over.
    """
    state = row["state"]
    if state in AT_WORK and owner is None:
        state = "idle"
    due = row["due_at"]
    if isinstance(source, WrongUse):
        note = str(source)
    elif owner is None and due <= now:
        told = _nobody(row["name"], source, working=working, late=now - due > PATIENCE_SECONDS)
        note = f"{note} {told}".strip()
    due_since = due if owner is None and due <= now else None
    return Status(
        name=row["name"],
        connection="" if isinstance(source, WrongUse) else source.connection,
        state=state,
        since=row["state_since"],
        note=note,
        last_message_at=row["last_message_at"],
        next_wake=_next_wake(row, watched=owner is not None, now=now),
        due_since=due_since,
        owner=owner,
        counts=counts,
        lag=lag_of(row, state, waiting_since=waiting_since, due_since=due_since, now=now),
    )


def _next_wake(row: Row, *, watched: bool, now: float) -> float | None:
    """What whoever watches it has said, else when it is due."""
    at: float | None = row["wake_at"] if watched else row["due_at"]
    return at if at is not None and at > now else None


def lag_of(
    row: Row, state: str, *, waiting_since: float | None, due_since: float | None, now: float
) -> float:
    """For how many seconds something has waited, or may have, that should be in the sink (pure).

    The longest of: since the oldest message came that is known and not handed over, not counting the
    time before there was the source; since it fails; since it is due and nobody does it.  What a
    schedule lets wait until its next time, and what is held, is not behind.
    """
    since = [] if waiting_since is None else [max(waiting_since, row["created_at"])]
    since += [row["state_since"]] if state in FAILING else []
    since += [] if due_since is None else [due_since]
    return max(0.0, now - min(since, default=now))


def _nobody(name: str, source: Source, *, working: bool, late: bool) -> str:
    """What to do where something is due and nobody is at it; empty where somebody soon will be."""
    if working and not late:
        return ""
    roles = "".join(f" --role {role}" for role in source.worker_roles[:1])
    if not working:
        return (
            f"No worker runs, so nothing is collected. Start one (postroom worker{roles}), or collect "
            f"once: postroom source run {name}"
        )
    wanted = (
        f"it is for workers with the role {' or '.join(source.worker_roles)}"
        if source.worker_roles
        else "its connection may be for workers of another role"
    )
    return f"No running worker takes it: {wanted}. Collect once: postroom source run {name}"
