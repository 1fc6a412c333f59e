"""Parking: what would go over a connection that has refused the sign-in waits, whoever stored it.

A gate for each service is closed for that time, for all processes of the room: what is stored
meanwhile waits as well, and no connection is opened for it.  An edit opens it again
(:func:`postroom.services.held.hurry`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeVar

from postroom.connections.refused import REFUSED_SECONDS, is_refused
from postroom.db import Tx, close_gate, gate_closed_for, open_gate
from postroom.errors import PostroomError

__all__ = ["PARKED", "Parked", "leave", "may_go", "park", "wait_after"]

Parked = Literal["outbox", "sent_copies"]
"""What waits: messages to be sent, or copies for a Sent folder, which is another sign-in."""

PARKED: Final = "The sign-in was refused a moment ago, so it is not tried again at once."
_PARK: Final[Mapping[Parked, str]] = {
    "outbox": "UPDATE outbox SET due_at = :due, reason = CASE reason WHEN '' THEN :why "
    "ELSE reason END WHERE service = :service AND owner IS NULL AND finished_at IS NULL "
    "AND state IN ('queued', 'deferred') AND due_at < :due",
    "sent_copies": "UPDATE sent_copies SET due_at = :due, said = CASE said WHEN '' THEN :why "
    "ELSE said END WHERE service = :service AND owner IS NULL AND state = 'waiting' "
    "AND due_at < :due",
}

T = TypeVar("T")


def wait_after(error: PostroomError, backoff: float) -> float:
    """Seconds until what met this error is tried again (pure)."""
    return max(backoff, REFUSED_SECONDS) if is_refused(error) else backoff


def park(
    tx: Tx, what: Parked, services: Iterable[str], error: PostroomError, *, now: float
) -> None:
    """After a refused sign-in let everything of these services wait; other errors park nothing."""
    if is_refused(error):
        for service in services:
            close_gate(tx, _gate(what, service), seconds=REFUSED_SECONDS, now=now)
            _park(tx, what, service, now + REFUSED_SECONDS)


def may_go(tx: Tx, what: Parked, services: Mapping[str, T], *, now: float) -> dict[str, T]:
    """Those of these services whose gate is open; what has come to the others waits with the rest."""
    closed = {name: gate_closed_for(tx, _gate(what, name), now=now) for name in services}
    for service, seconds in closed.items():
        if seconds:
            _park(tx, what, service, now + seconds)
    return {name: one for name, one in services.items() if not closed[name]}


def leave(tx: Tx, service: str) -> None:
    """Open the gates of a service: what stood in the way may be gone."""
    for what in _PARK:
        open_gate(tx, _gate(what, service))


def _park(tx: Tx, what: Parked, service: str, due_at: float) -> None:
    tx.execute(_PARK[what], service=service, due=due_at, why=PARKED)


def _gate(what: Parked, service: str) -> str:
    return f"{what}:{service.casefold()}"
