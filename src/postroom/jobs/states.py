"""The states of a run, and what may follow what.  All of it is here.

    waiting     behind another run of its job, which takes one after the other
    queued      begins at its due time: at once, or when it is tried again
    running     a worker has it
    succeeded   all of it was done; what it sent was let go in the same transaction
    failed      it ended in an error, and is not tried again; what it sent and was held is cancelled
    cancelled   somebody ended it, before or while it ran; as failed
    lost        its worker was killed while it ran, and its job does not say "again"; as failed

A run whose worker is gone is ``running`` until another one takes it: that one begins it anew, or marks
it as lost, in the transaction that takes it.
"""

from __future__ import annotations

from typing import Final

__all__ = ["FINISHED", "FOLLOWS", "OPEN", "may_follow"]

OPEN: Final = ("waiting", "queued", "running")
FINISHED: Final = ("succeeded", "failed", "cancelled", "lost")
FOLLOWS: Final[dict[str, frozenset[str]]] = {
    "waiting": frozenset({"queued", "cancelled"}),
    "queued": frozenset({"running", "cancelled"}),
    "running": frozenset({"succeeded", "failed", "cancelled", "lost", "queued", "running"}),
    "succeeded": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
    "lost": frozenset(),
}
"""Queued after running: tried again, or given back by a worker that stops.  Running after running: its
worker was killed."""


def may_follow(before: str, after: str) -> bool:
    """Whether a run may go from one state to the other."""
    return after in FOLLOWS[before]
