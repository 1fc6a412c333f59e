"""The states of a run, and what may follow what.  All of it is here.

A run whose worker is gone is ``running`` until another one takes it: that one begins it anew, or marks
it as lost, in the transaction that takes it.
"""

from __future__ import annotations

from typing import Final

__all__ = ["FINISHED", "FOLLOWS", "MEANS", "OPEN", "may_follow"]

MEANS: Final[dict[str, str]] = {
    "waiting": "Behind another run of its job, which takes one after the other.",
    "queued": "Begins at its due time: at once, or when it is tried again.",
    "running": "A worker has it.",
    "succeeded": "All of it was done; what it sent was let go in the same transaction.",
    "failed": "It ended in an error, and is not tried again; what it sent and was held is cancelled.",
    "cancelled": "Somebody ended it, before or while it ran; what it sent and was held is cancelled.",
    "lost": "Its worker was killed while it ran, and its job says `if_killed: lost`; what it sent and "
    "was held is cancelled.",
}
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
