"""The states of an outbox row and of its recipients, and what may follow what.  All of it is here.

    queued      stored, durable; nobody has tried yet
    claimed     a worker has it; nothing of it is on the wire, so a takeover may try again
    submitting  committed before the first byte of DATA; a takeover makes it ambiguous
    deferred    somebody said "not now"; it is tried again at its due time
    held        an operator, or the run it belongs to, keeps it back
    sent        every recipient was accepted
    failed      at least one recipient was refused for good, and none is waiting any more
    ambiguous   DATA was sent and the answer never came (RFC 1047); an operator decides, or, where
                the service says resend, what lies in the Sent folder
    cancelled   taken out of the queue before it was sent

A recipient is queued, deferred, sent, failed, ambiguous or cancelled.  A row with one waiting
recipient is tried again for that one only; a row that is finished shows its worst recipient.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["ASKING", "FINISHED", "FOLLOWS", "WAITING", "may_follow", "row_state"]

WAITING: Final = frozenset({"queued", "claimed", "submitting", "deferred", "held"})
FINISHED: Final = frozenset({"sent", "failed", "ambiguous", "cancelled"})
ASKING: Final = frozenset({"failed", "ambiguous"})
"""Finished, and a person is wanted: to try it again, to cancel what is in doubt, or to settle it."""
FOLLOWS: Final[dict[str, frozenset[str]]] = {
    "queued": frozenset({"claimed", "held", "cancelled"}),
    "claimed": frozenset(
        {"submitting", "queued", "deferred", "failed", "claimed", "held", "cancelled"}
    ),  # held, cancelled: once its worker is gone
    "submitting": frozenset({"sent", "deferred", "failed", "ambiguous"}),
    "deferred": frozenset({"claimed", "held", "cancelled", "failed", "queued"}),
    "held": frozenset({"queued", "cancelled"}),
    "ambiguous": frozenset({"queued", "cancelled", "sent", "deferred"}),
    "failed": frozenset({"queued"}),
    "sent": frozenset(),
    "cancelled": frozenset(),
}


def may_follow(before: str, after: str) -> bool:
    """Whether a row may go from one state to the other."""
    return after in FOLLOWS[before]


def row_state(recipients: Iterable[str]) -> str:
    """The state of a row from those of its recipients, after an attempt."""
    states = set(recipients)
    for state in ("ambiguous", "deferred", "queued", "failed", "cancelled"):
        if state in states:
            return state
    return "sent"
