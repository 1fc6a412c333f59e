"""One audit row per change and per opening of a secret, chained by HMAC per process start.

A chain is a *stream*: one per process start, so that processes never wait for each other; a process
that lives for days begins another one every day.  Row ``n`` of a stream carries HMAC-SHA-256 (RFC
2104) over the row and the code of row ``n - 1``; the key is sealed in the vault, so who edits the
table cannot make the codes fit.  Sequence number and previous code are read from the table in the
same transaction and remembered no longer than that: what is rolled back leaves no hole.

The *position* is the order of writing over all streams.  It is part of the code, and it alone decides
what is newer: a clock that is set back, or an instant that somebody edits, changes nothing.

The chain shows an edit, a gap and a swap, but not a missing end.  So the first row of every stream,
its last one, and one in between every minute, is a *checkpoint*: it states the heads (number and
code) of the streams that moved since the checkpoint before it, and names that one.  A later process
thus vouches for the ends of earlier ones, and the newest checkpoint for all that was before it.
"""

from __future__ import annotations

import hmac
import json
import secrets
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

from postroom.clock import monotonic, timestamp
from postroom.db import Row, Tx
from postroom.errors import RoomError

__all__ = [
    "ACCEPT",
    "CHECKPOINT",
    "FIRST",
    "HIGHEST",
    "RETIRE",
    "Heads",
    "Mac",
    "Recorder",
    "heads",
    "is_own",
    "message",
    "newest",
    "stated_version",
]

Mac = Callable[[bytes], bytes]
"""HMAC-SHA-256 under the room's audit key: data in, 32 bytes out."""

Heads = dict[str, tuple[int, str]]
"""Stream to its last number and the code of that row, in hexadecimal."""

FIRST: Final = bytes(32)
"""What stands for the code before the first row of a stream."""
CHECKPOINT: Final = "checkpoint"
RETIRE: Final = "retire"
"""A checkpoint that states which streams were removed in its own transaction."""
ACCEPT: Final = "accept"
"""A checkpoint that somebody wrote after the database was put back: it is known and meant."""
STREAM_SECONDS: Final = 86400.0
"""How long a stream is written to: streams are retired whole, so none may live for years."""

HIGHEST: Final = "highest version"
"""With the id of a record: the highest version that the rows know, as it is kept (Tx.kept)."""
_END: Final = ("audit", "end")
"""The last row of all, as a transaction knows it (Tx.known)."""
_length = struct.Struct(">Q").pack
_encoded = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def message(row: Mapping[str, Any] | Row, previous: bytes, *, ordered: bool = True) -> bytes:
    """The bytes a row's code is over: every part behind its length (8 bytes).

    Rows of schema 1 had no position (``ordered`` is False).  As that is a part of its own, no row
    passes for one of the other kind.
    """
    parts = [
        row["stream"].encode(),
        _length(row["seq"]),
        previous,
        struct.pack(">d", row["at"]),
        *(row[name].encode() for name in ("actor", "action", "noun", "name", "detail")),
    ]
    if ordered:
        parts.append(_length(row["position"]))
    framed: list[bytes] = []
    for part in parts:
        framed += (_length(len(part)), part)
    return b"".join(framed)


def stated_version(noun: str, action: str, detail: Mapping[str, Any]) -> tuple[str, int] | None:
    """The id of the record and the version that such a row states.

    An opening states none: the change that made the version did, and openings are many.
    """
    record, version = detail.get("id"), detail.get("version")
    if noun != "credential" or action == "open" or not isinstance(record, str):
        return None
    return (record, version) if isinstance(version, int) else None


class Recorder:
    """Writes the audit rows of one process start; ``mac`` comes from the keyring."""

    def __init__(self, mac: Mac) -> None:
        self.mac = mac
        self.stream = secrets.token_hex(8)
        self._begun = False
        self._since = 0.0

    @property
    def begun(self) -> bool:
        """Whether this process has written anything, or tried to."""
        return self._begun

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

        ``detail`` is JSON-able and never holds a secret.  Raises RoomError (``audit_unavailable``).
        """
        if self._is_old():
            self.close(tx)
            self._anew()
        head = self._head(tx) or self._begin(tx)
        self._append(tx, head, actor, action, noun, name, detail or {})

    def checkpoint(self, tx: Tx, **stated: Any) -> bool:
        """State the heads of all streams that moved; wanted once a minute while a process lives.

        Where nothing moved, by whomever, nothing is written.  Gives whether something was.
        """
        before = newest(tx, self.mac)
        top = tx.value("SELECT max(position) FROM audit")
        if not stated and (before["position"] if before else None) == top:
            return False
        head = self._head(tx) or self._begin(tx)
        old = self._is_old()
        self._checkpoint(tx, head, CHECKPOINT, "closed" if old else "running", stated)
        if old:
            self._anew()
        return True

    def state(self, tx: Tx, action: str, why: str, *, actor: str = "", **stated: Any) -> None:
        """Write a checkpoint that says more: ``retire`` and ``accept``."""
        head = self._head(tx) or self._begin(tx)
        self._checkpoint(tx, head, action, why, stated, actor=actor)

    def close(self, tx: Tx, **stated: Any) -> None:
        """Write the last checkpoint of this stream, if it has any row."""
        head = self._head(tx)
        if head is not None:
            self._checkpoint(tx, head, CHECKPOINT, "closed", stated)

    def _head(self, tx: Tx) -> Mapping[str, Any] | Row | None:
        known: Mapping[str, Any] | None = tx.known.get(_END)
        if known is not None and known["stream"] == self.stream:
            return known
        return tx.one(
            "SELECT seq, mac, (SELECT max(position) FROM audit) AS top FROM audit "
            "WHERE stream = :stream ORDER BY seq DESC LIMIT 1",
            stream=self.stream,
        )

    def _begin(self, tx: Tx) -> Mapping[str, Any]:
        """The first row.  A stream that was retired, or undone, is never begun a second time."""
        if self._begun:
            self._anew()
        self._begun, self._since = True, monotonic()
        top = tx.value("SELECT max(position) FROM audit") or 0
        return self._checkpoint(tx, {"seq": 0, "mac": FIRST, "top": top}, CHECKPOINT, "opened", {})

    def _is_old(self) -> bool:
        return self._begun and monotonic() - self._since > STREAM_SECONDS

    def _anew(self) -> None:
        self.stream, self._begun = secrets.token_hex(8), False

    def _checkpoint(
        self,
        tx: Tx,
        head: Mapping[str, Any] | Row,
        action: str,
        why: str,
        stated: Mapping[str, Any],
        *,
        actor: str = "",
    ) -> Mapping[str, Any]:
        before = newest(tx, self.mac)
        since = 0 if before is None else before["position"]
        detail: dict[str, Any] = {"why": why, "heads": heads(tx, since=since), **stated}
        if before is not None:
            detail["before"] = [before["stream"], before["seq"], before["mac"].hex()]
        return self._append(tx, head, actor or "postroom", action, "audit", CHECKPOINT, detail)

    def _append(
        self,
        tx: Tx,
        head: Mapping[str, Any] | Row,
        actor: str,
        action: str,
        noun: str,
        name: str,
        detail: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        row = {
            "position": head["top"] + 1,
            "stream": self.stream,
            "seq": head["seq"] + 1,
            "at": timestamp(),
            "actor": actor,
            "action": action,
            "noun": noun,
            "name": name,
            "detail": _encoded(detail),
        }
        row["mac"] = self.mac(message(row, head["mac"]))
        row["record"], row["version"] = stated_version(noun, action, detail) or (None, None)
        tx.kept.pop((HIGHEST, row["record"]), None)
        written = tx.execute(
            "INSERT INTO audit (position, stream, seq, at, actor, action, noun, name, detail, mac, "
            "record, version) VALUES (:position, :stream, :seq, :at, :actor, :action, :noun, "
            ":name, :detail, :mac, :record, :version)",
            **row,
        )
        if written != 1:  # a trigger that somebody put there swallowed it
            raise RoomError(
                "The audit record does not take a row, so nothing is done.",
                code="audit_unavailable",
                hint="Somebody changed the room's tables; restore it from a backup.",
            )
        end = {**row, "top": row["position"]}
        tx.known[_END] = (
            end  # the last row of all: whoever writes next in this transaction follows it
        )
        return end


def is_own(tx: Tx, mac: Mac, row: Row) -> bool:
    """Whether a row, with all its columns, has the code that it had when it was written here.

    The code of the row before it is taken from the table: one that was edited makes this one unfit.
    """
    before = FIRST
    if row["seq"] != 1:
        before = tx.value(
            "SELECT mac FROM audit WHERE stream = :stream AND seq = :seq - 1",
            stream=row["stream"],
            seq=row["seq"],
        )
    try:
        return any(
            hmac.compare_digest(mac(message(row, before, ordered=ordered)), row["mac"])
            for ordered in (True, False)
        )
    except (TypeError, AttributeError, struct.error):  # a column of a type that we never write
        return False


def newest(tx: Tx, mac: Mac) -> Row | None:
    """The newest checkpoint that is one of ours, with all its columns; None where none is.

    One whose code does not fit vouches for nothing, and nothing may be written behind it.
    """
    row = tx.one(_NEWEST, name=CHECKPOINT, below=2**63 - 1)
    while row is not None and not is_own(tx, mac, row):
        row = tx.one(_NEWEST, name=CHECKPOINT, below=row["position"])
    return row


_NEWEST: Final = (
    "SELECT * FROM audit WHERE noun = 'audit' AND name = :name AND position < :below "
    "ORDER BY position DESC LIMIT 1"
)


def heads(tx: Tx, *, since: int = 0) -> Heads:
    """The last row of every stream, or of those that were written to behind position ``since``."""
    found = tx.all(
        "SELECT stream, seq, mac FROM audit WHERE position IN "
        "(SELECT max(position) FROM audit WHERE position > :since GROUP BY stream)",
        since=since,
    )
    return {row["stream"]: (row["seq"], row["mac"].hex()) for row in found}
