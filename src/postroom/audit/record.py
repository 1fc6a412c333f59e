"""One audit row per change and per opening of a secret, chained by HMAC per process start.

A chain is a *stream*: one per process start, so that processes never wait for each other.  Row
``n`` of a stream carries HMAC-SHA-256 (RFC 2104) over the row and the code of row ``n - 1``; the
key is sealed in the vault, so who edits the table cannot make the codes fit.  Sequence number and
previous code are read from the table in the same transaction and remembered no longer than that:
what is rolled back leaves no hole.

The chain shows an edit, a gap and a swap, but not a missing end.  So the first row of every stream,
its last one, and one in between whenever somebody asks, is a *checkpoint*: it states the heads
(number and code) of the streams that moved since the checkpoint before it, and names that one.  A
later process thus vouches for the ends of earlier ones.
"""

from __future__ import annotations

import json
import secrets
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

from postroom.clock import timestamp
from postroom.db import Row, Tx

__all__ = [
    "CHECKPOINT",
    "FIRST",
    "Heads",
    "Mac",
    "Recorder",
    "heads",
    "last",
    "message",
    "purpose",
    "rows",
]

Mac = Callable[[bytes], bytes]
"""HMAC-SHA-256 under the room's audit key: data in, 32 bytes out."""

Heads = dict[str, tuple[int, str]]
"""Stream to its last number and the code of that row, in hexadecimal."""

FIRST: Final = bytes(32)
"""What stands for the code before the first row of a stream."""
CHECKPOINT: Final = "checkpoint"
CLOCK_MARGIN: Final = 60.0
"""Seconds by which clocks of processes may differ and a checkpoint still sees every stream."""

_length = struct.Struct(">Q").pack


def message(
    stream: str,
    seq: int,
    previous: bytes,
    at: float,
    actor: str,
    action: str,
    noun: str,
    name: str,
    detail: str,
) -> bytes:
    """The bytes a row's code is over: every part behind its length (8 bytes)."""
    parts = (
        stream.encode(),
        _length(seq),
        previous,
        struct.pack(">d", at),
        actor.encode(),
        action.encode(),
        noun.encode(),
        name.encode(),
        detail.encode(),
    )
    framed: list[bytes] = []
    for part in parts:
        framed += (_length(len(part)), part)
    return b"".join(framed)


class Recorder:
    """Writes the audit rows of one process start; ``mac`` comes from the keyring."""

    def __init__(self, mac: Mac) -> None:
        self._mac = mac
        self.stream = secrets.token_hex(8)
        self.has_recorded = False
        """Whether this process wrote a row, or tried to: only then is there a stream to close."""

    def record(
        self,
        tx: Tx,
        *,
        actor: str,
        action: str,
        noun: str,
        name: str,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Write one row in the transaction of the change itself: both are kept, or neither.

        ``detail`` is JSON-able and never holds a secret.
        """
        self.has_recorded = True
        head = self._head(tx)
        if head is None:
            head = self._checkpoint(tx, 0, FIRST, "opened")
        self._append(tx, *head, actor, action, noun, name, detail or {})

    def checkpoint(self, tx: Tx) -> None:
        """State the heads of all streams that moved; wanted once a minute while a process lives."""
        head = self._head(tx)
        if head is not None:  # a process that changed nothing leaves no trace
            self._checkpoint(tx, *head, "running")

    def close(self, tx: Tx) -> None:
        """Write the last checkpoint of this stream, if it has any row."""
        head = self._head(tx)
        if head is not None:
            self._checkpoint(tx, *head, "closed")

    def _head(self, tx: Tx) -> tuple[int, bytes] | None:
        known: tuple[int, bytes] | None = tx.known.get(("audit", self.stream))
        if known is not None:
            return known
        row = tx.one(
            "SELECT seq, mac FROM audit WHERE stream = :stream ORDER BY seq DESC LIMIT 1",
            stream=self.stream,
        )
        return None if row is None else (row["seq"], row["mac"])

    def _checkpoint(self, tx: Tx, seq: int, mac: bytes, why: str) -> tuple[int, bytes]:
        before = last(tx, noun="audit", name=CHECKPOINT)
        since = before["at"] - CLOCK_MARGIN if before is not None else None
        detail: dict[str, Any] = {"why": why, "heads": heads(tx, since=since)}
        if before is not None:
            detail["before"] = [before["stream"], before["seq"], before["mac"].hex()]
        return self._append(tx, seq, mac, "postroom", CHECKPOINT, "audit", CHECKPOINT, detail)

    def _append(
        self,
        tx: Tx,
        seq: int,
        previous: bytes,
        actor: str,
        action: str,
        noun: str,
        name: str,
        detail: Mapping[str, Any],
    ) -> tuple[int, bytes]:
        at = timestamp()
        text = json.dumps(detail, sort_keys=True, separators=(",", ":"))
        mac = self._mac(
            message(self.stream, seq + 1, previous, at, actor, action, noun, name, text)
        )
        tx.execute(
            "INSERT INTO audit (stream, seq, at, actor, action, noun, name, detail, mac) "
            "VALUES (:stream, :seq, :at, :actor, :action, :noun, :name, :detail, :mac)",
            stream=self.stream,
            seq=seq + 1,
            at=at,
            actor=actor,
            action=action,
            noun=noun,
            name=name,
            detail=text,
            mac=mac,
        )
        tx.known["audit", self.stream] = seq + 1, mac
        return seq + 1, mac


def heads(tx: Tx, *, since: float | None = None) -> Heads:
    """The last row of every stream, or of those that have a row at or after ``since``.

    Keep them outside the database (a backup's manifest, say) and give them to ``verify`` later:
    that is what shows a database that was put back to an earlier state as a whole.
    """
    found = tx.all(
        "SELECT stream, seq, mac FROM audit WHERE (stream, seq) IN "
        "(SELECT stream, max(seq) FROM audit WHERE stream IN "
        "(SELECT DISTINCT stream FROM audit WHERE :since IS NULL OR at >= :since) "
        "GROUP BY stream)",
        since=since,
    )
    return {row["stream"]: (row["seq"], row["mac"].hex()) for row in found}


def last(tx: Tx, *, noun: str, name: str, action: str | None = None) -> Row | None:
    """The latest row about one record, or None; with ``action`` the latest that did this."""
    return tx.one(
        "SELECT stream, seq, at, actor, action, detail, mac FROM audit "
        "WHERE noun = :noun AND name = :name AND (:action IS NULL OR action = :action) "
        "ORDER BY at DESC LIMIT 1",
        noun=noun,
        name=name,
        action=action,
    )


def purpose(row: Row) -> str:
    """What a secret was opened for, as the row of its opening says it."""
    return str(json.loads(row["detail"]).get("purpose", ""))


def rows(
    tx: Tx,
    *,
    limit: int = 100,
    noun: str | None = None,
    name: str | None = None,
    before: float | None = None,
    checkpoints: bool = True,
) -> list[dict[str, Any]]:
    """The latest rows first, for people: ``at`` in seconds, ``detail`` as an object.

    Without ``checkpoints`` only what somebody did.
    """
    found = tx.all(
        "SELECT stream, seq, at, actor, action, noun, name, detail FROM audit "
        "WHERE (:noun IS NULL OR noun = :noun) AND (:name IS NULL OR name = :name) "
        "AND (:before IS NULL OR at < :before) AND (:checkpoints OR action <> :checkpoint) "
        "ORDER BY at DESC, stream, seq DESC LIMIT :limit",
        noun=noun,
        name=name,
        before=before,
        checkpoints=int(checkpoints),
        checkpoint=CHECKPOINT,
        limit=limit,
    )
    return [dict(row) | {"detail": json.loads(row["detail"])} for row in found]
