"""Retires whole streams of the audit record that are over and older than they are kept.

What a stream proved stays proved: before it goes its own chain is walked once more and compared with
what checkpoints claim of it, and the checkpoint that removes it states its last row.  A stream in
which anything is wrong stays, for ``verify`` to tell.

Order matters.  A stream that itself tells of retired ones goes only when no stream is left that began
before its end; or a claim might outlive the row that explains it.
"""

from __future__ import annotations

import json
from typing import Any, Final

from postroom.audit.chain import stream_problems
from postroom.audit.record import ACCEPT, RETIRE, Heads, Mac, Recorder
from postroom.db import Row, Tx

__all__ = ["BATCH", "carry_versions", "retire"]

BATCH: Final = 100
"""Streams in one transaction at the most."""


def retire(tx: Tx, recorder: Recorder, mac: Mac, *, before: float) -> tuple[int, list[str]]:
    """Remove up to :data:`BATCH` streams whose last row was written before the instant ``before``.

    Gives how many there were, and what is wrong with those that had to stay, one sentence each.
    """
    gone: Heads = {}
    problems: list[str] = []
    for row in _over(tx, recorder.stream, before):
        found = stream_problems(tx, mac, row["stream"])
        problems += found
        if not found and not _explains(tx, row, gone):
            gone[row["stream"]] = row["seq"], row["mac"].hex()
    if gone:
        carry_versions(tx, recorder, gone)
        recorder.state(tx, RETIRE, "retired", retired=gone)
        for stream in gone:
            tx.execute("DELETE FROM audit WHERE stream = :stream", stream=stream)
    return len(gone), problems


def _over(tx: Tx, own: str, before: float) -> list[Row]:
    """The last rows of the streams that are over, those that ended first at the beginning."""
    old = tx.all(
        "SELECT DISTINCT stream FROM audit WHERE at < :before AND stream <> :own LIMIT :limit",
        before=before,
        own=own,
        limit=10 * BATCH,
    )
    ends = [
        tx.one(
            "SELECT stream, seq, at, mac, position FROM audit WHERE stream = :stream "
            "ORDER BY seq DESC LIMIT 1",
            stream=row["stream"],
        )
        for row in old
    ]
    over = [end for end in ends if end is not None and end["at"] < before]
    return sorted(over, key=lambda end: int(end["position"]))[:BATCH]


def _explains(tx: Tx, row: Row, gone: Heads) -> bool:
    """Whether it tells of retired or accepted ones, and an older stream than its end is left."""
    tells = tx.value(
        "SELECT 1 FROM audit WHERE stream = :stream AND action IN (:retire, :accept) "
        "AND noun = 'audit' LIMIT 1",
        stream=row["stream"],
        retire=RETIRE,
        accept=ACCEPT,
    )
    if tells is None:
        return False
    older = tx.all(
        "SELECT DISTINCT stream FROM audit WHERE position < :end AND stream <> :stream",
        end=row["position"],
        stream=row["stream"],
    )
    return any(one["stream"] not in gone for one in older)


def carry_versions(tx: Tx, recorder: Recorder, streams: Heads | None = None) -> None:
    """State anew the highest versions that only rows of these streams state, or rows of schema 1
    (``streams`` None): a record that is put back to an earlier version is told by them.
    """
    highest: dict[str, tuple[int, str]] = {}
    deleted: set[str] = set()
    for row in _changes(tx, streams):
        detail: dict[str, Any] = json.loads(row["detail"])
        record, version = detail.get("id"), detail.get("version")
        if not isinstance(record, str) or not isinstance(version, int):
            continue
        if row["action"] == "delete":
            deleted.add(record)
        highest[record] = max(highest.get(record, (0, "")), (version, row["name"]))
    for record, (version, name) in sorted(highest.items()):
        if record in deleted or (streams is not None and _stated(tx, record, streams) >= version):
            continue
        recorder.record(
            tx,
            actor="postroom",
            action="remember",
            noun="credential",
            name=name,
            detail={"id": record, "version": version},
        )


def _changes(tx: Tx, streams: Heads | None) -> list[Row]:
    if streams is None:
        return tx.all(
            "SELECT stream, action, name, detail FROM audit "
            "WHERE noun = 'credential' AND action <> 'open' ORDER BY position"
        )
    stating = tx.all("SELECT stream, action, name, detail FROM audit WHERE record IS NOT NULL")
    return [row for row in stating if row["stream"] in streams]


def _stated(tx: Tx, record: str, streams: Heads) -> int:
    """The highest version that a row outside of these streams states, or that it was deleted."""
    rows = tx.all("SELECT stream, action, version FROM audit WHERE record = :record", record=record)
    left = [row for row in rows if row["stream"] not in streams]
    if any(row["action"] == "delete" for row in left):
        return 2**63
    return max((row["version"] for row in left), default=-1)
