"""The rotation of the vault key, from its first step or from wherever the last one ended."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from postroom.db import Tx
from postroom.operations.desk import Desk
from postroom.vault import Kek, rotation
from postroom.vault.terms import Terms

__all__ = ["Rotated", "rotate"]

Tell = Callable[[int, int], None]
"""Is called with how many data keys are done, and of how many."""


class Rotated(NamedTuple):
    """How a rotation ended.

    ``term`` is the active one.  ``resumed``: an earlier rotation was finished, no new one begun.
    ``damaged`` is how many data keys do not open; for their sake the terms in ``kept`` were not
    destroyed.
    """

    term: int
    resumed: bool
    rewrapped: int
    destroyed: list[int]
    kept: list[int]
    damaged: int


async def rotate(
    desk: Desk,
    terms: Terms,
    keks: Collection[Kek],
    *,
    batch: int = rotation.BATCH,
    tell: Tell | None = None,
    begin: bool = True,
) -> Rotated:
    """Rotate; others go on reading and writing.  ``begin=False`` only finishes what was begun.

    Raises Refused when a KEK is not among ``keks``, Locked when the room is.
    """

    def staged(tx: Tx) -> int | None:
        term = rotation.stage(tx, terms, keks) if begin else None
        if term is not None:
            key: str = tx.value("SELECT id FROM vault_keys WHERE term = :term", term=term)
            desk.record(tx, "rotate", "keys", "vault", term=term, vault_key=key)
        return term

    term = await desk.write(staged)
    done, damaged = 0, 0
    moved = True
    while moved:  # until a pass finds nothing that can be moved
        total = done + await desk.db.read(rotation.left)
        before, damaged, after = done, 0, ""
        while found := await desk.db.read(_next(terms, after, batch)):
            done += await desk.write(_swap(found))
            damaged += len(found.damaged)
            after = found.after
            if tell is not None:
                tell(done, total)
        moved = done > before

    def destroyed(tx: Tx) -> tuple[list[int], list[int], int]:
        gone = rotation.destroy_unused(tx)
        for each in gone:
            desk.record(tx, "destroy", "keys", "vault", term=each, rewrapped=done)
        active: int = tx.value("SELECT max(term) FROM vault_keys WHERE state = 'active'")
        return gone, rotation.retired(tx), active

    gone, kept, active = await desk.write(destroyed)
    return Rotated(active, term is None, done, gone, kept, damaged)


def _next(terms: Terms, after: str, batch: int) -> Callable[[Tx], rotation.Batch | None]:
    return lambda tx: rotation.rewrap(tx, terms, after, batch)


def _swap(found: rotation.Batch) -> Callable[[Tx], int]:
    return lambda tx: rotation.swap(tx, found.swaps)
