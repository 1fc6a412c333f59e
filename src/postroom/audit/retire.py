"""Retires whole streams of the audit record that are over and older than they are kept.

What a stream proved stays proved: before it goes its own chain is walked once more and compared with
what checkpoints claim of it, and the checkpoint that removes it states its last row.  A stream in
which anything is wrong stays, for ``verify`` to tell, and so do all that ended after it: what they
claim is what tells.

What a retired stream told of streams that went before it is told once more, as long as a row is left
that is old enough to name them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from postroom.audit.chain import stream_problems
from postroom.audit.reading import term_row
from postroom.audit.record import ACCEPT, CHECKPOINT, RETIRE, Mac, Recorder
from postroom.db import Row, Tx

__all__ = ["BATCH", "carry_versions", "retire"]

BATCH: Final = 100
"""Streams in one transaction at the most."""
_MARGIN: Final = 1000


def retire(tx: Tx, recorder: Recorder, mac: Mac, *, before: float) -> tuple[int, list[str]]:
    """Remove up to :data:`BATCH` streams whose last row was written before the instant ``before``.

    Gives how many there were, and what is wrong with the first that had to stay, if anything is.
    """
    gone: dict[str, list[Any]] = {}
    problems: list[str] = []
    for row in _over(tx, recorder.stream, before):
        problems = stream_problems(tx, mac, row["stream"])
        if problems:
            break
        gone[row["stream"]] = [row["seq"], row["mac"].hex(), _named_until(tx, row["position"])]
    if gone:
        carry_versions(tx, recorder, gone)
        _carry_term(tx, recorder, gone)
        retired, accepted = _told(tx, gone)
        stated: dict[str, Any] = {"accepted": accepted} if accepted else {}
        recorder.state(tx, RETIRE, "retired", retired=retired | gone, **stated)
        for stream in gone:
            tx.execute("DELETE FROM audit WHERE stream = :stream", stream=stream)
    return len(gone), problems


def _named_until(tx: Tx, end: int) -> int:
    """Behind this position no checkpoint names a stream that ended at ``end``."""
    found: int | None = tx.value(
        "SELECT position FROM audit WHERE noun = 'audit' AND name = :name AND position > :end "
        "ORDER BY position LIMIT 1",
        name=CHECKPOINT,
        end=end,
    )
    # releases of schema 1 named those of the last minute; and where none is, one written now does
    return (found or end) + _MARGIN


def _told(tx: Tx, gone: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """What these streams tell of retired and of accepted ones, as far as an older row is left."""
    left = _oldest_left(tx, gone)
    retired: dict[str, Any] = {}
    accepted: list[Any] = []
    for stream in gone:
        for row in tx.all(
            "SELECT position, detail FROM audit WHERE stream = :stream AND noun = 'audit' "
            "AND action IN (:retire, :accept)",
            stream=stream,
            retire=RETIRE,
            accept=ACCEPT,
        ):
            detail = json.loads(row["detail"])
            for one, told in detail.get("retired", {}).items():
                if left is not None and left <= told[2]:
                    retired[one] = told
            if left is not None and left < row["position"]:
                accepted += detail.get("accepted", ())
    return retired, accepted


def _oldest_left(tx: Tx, gone: Mapping[str, Any]) -> int | None:
    position = 0
    while True:
        row = tx.one(
            "SELECT position, stream FROM audit WHERE position > :position "
            "ORDER BY position LIMIT 1",
            position=position,
        )
        if row is None or row["stream"] not in gone:
            return None if row is None else int(row["position"])
        position = row["position"]


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


def carry_versions(tx: Tx, recorder: Recorder, streams: Mapping[str, Any] | None = None) -> None:
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


def _carry_term(tx: Tx, recorder: Recorder, streams: Mapping[str, Any]) -> None:
    """State anew which term of the vault key is active, if one of these streams told it last."""
    row = term_row(tx, recorder.mac)
    if row is not None and row["stream"] in streams:
        told: dict[str, Any] = json.loads(row["detail"])
        recorder.record(
            tx, actor="postroom", action="remember", noun="keys", name="vault", detail=told
        )


def _changes(tx: Tx, streams: Mapping[str, Any] | None) -> list[Row]:
    if streams is None:
        return tx.all(
            "SELECT stream, action, name, detail FROM audit "
            "WHERE noun = 'credential' AND action <> 'open' ORDER BY position"
        )
    stating = tx.all("SELECT stream, action, name, detail FROM audit WHERE record IS NOT NULL")
    return [row for row in stating if row["stream"] in streams]


def _stated(tx: Tx, record: str, streams: Mapping[str, Any]) -> int:
    """The highest version that a row outside of these streams states, or that it was deleted."""
    rows = tx.all("SELECT stream, action, version FROM audit WHERE record = :record", record=record)
    left = [row for row in rows if row["stream"] not in streams]
    if any(row["action"] == "delete" for row in left):
        return 2**63
    return max((row["version"] for row in left), default=-1)
