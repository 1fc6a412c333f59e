"""The KEKs of a room: which open it, where each was when it was added, and how one is retired."""

from __future__ import annotations

from typing import NamedTuple

from postroom.clock import timestamp
from postroom.db import Tx
from postroom.errors import NotThere, Refused
from postroom.vault.kek import Kek
from postroom.vault.terms import Terms, kek_ids

__all__ = ["Known", "add", "kit_written", "known", "retire"]


class Known(NamedTuple):
    """A KEK that opens the room.

    ``source`` is where it was when it was added, and ``whole`` says whether it opens every term.
    ``kit_at`` is when its recovery kit was written (seconds since 1970, or None).
    """

    id: str
    source: str
    created_at: float
    kit_at: float | None
    whole: bool


def known(tx: Tx) -> list[Known]:
    """Every KEK that opens the room, oldest first."""
    rows = tx.all(
        "SELECT w.kek, min(w.created_at) AS wrapped_at, count(*) AS terms, k.source, "
        "k.created_at, k.kit_at, (SELECT count(*) FROM vault_keys) AS all_terms "
        "FROM vault_key_wraps w LEFT JOIN keks k ON k.id = w.kek "
        "GROUP BY w.kek, k.source, k.created_at, k.kit_at ORDER BY wrapped_at, w.kek"
    )
    return [
        Known(
            row["kek"],
            row["source"] or "",
            row["created_at"] or row["wrapped_at"],
            row["kit_at"],
            row["terms"] == row["all_terms"],
        )
        for row in rows
    ]


def add(tx: Tx, terms: Terms, kek: Kek) -> None:
    """Let one more KEK open the room.  Raises Refused when it does already."""
    if kek.id in kek_ids(tx):
        raise Refused(f"The key {kek.id} opens this room already; nothing was changed.")
    terms.add_kek(tx, kek)


def kit_written(tx: Tx, kek_id: str) -> None:
    """Note that a recovery kit of this KEK was written now."""
    tx.execute("UPDATE keks SET kit_at = :now WHERE id = :kek", now=timestamp(), kek=kek_id)


def retire(tx: Tx, kek_id: str) -> None:
    """Let a KEK open the room no more.  Raises NotThere, or Refused for the last one.

    Whether a living process needs it is asked above.
    """
    there = known(tx)
    if kek_id not in {one.id for one in there}:
        raise NotThere(
            f"No key {kek_id!r} opens this room.", hint="See which do: postroom keys kek list"
        )
    if not any(one.whole for one in there if one.id != kek_id):
        raise Refused(
            f"The key {kek_id} is the last one that opens this room; without it every secret would "
            "be lost.",
            code="in_use",
            hint="Add another one first: postroom keys kek add SOURCE",
        )
    tx.execute("DELETE FROM vault_key_wraps WHERE kek = :kek", kek=kek_id)
    tx.execute("DELETE FROM keks WHERE id = :kek", kek=kek_id)
