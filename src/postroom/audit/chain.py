"""Checks the audit record: every chain, and every end that a checkpoint vouches for."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from postroom.audit.record import (
    ACCEPT,
    CHECKPOINT,
    FIRST,
    RETIRE,
    Heads,
    Mac,
    message,
    stated_version,
)
from postroom.clock import rfc3339
from postroom.db import Row, Tx

__all__ = ["stream_problems", "verify"]

PAGE: Final = 5000
_LOWEST: Final = -(2**63)
_OUTSIDE: Final = "the head kept outside the database"


class _Claim(NamedTuple):
    """What a checkpoint, or somebody outside, states: this row of that stream had this code."""

    stream: str
    seq: int
    code: str


def verify(tx: Tx, mac: Mac, *, known: Mapping[str, tuple[int, str]] | None = None) -> list[str]:
    """What is wrong with the audit record, one sentence each; an empty list when nothing is.

    Names the first bad row of a stream, gaps, a missing beginning, end or whole stream.  ``known``
    are heads that were kept outside the database (:mod:`postroom.audit.outside`): with them a
    database that was put back to an earlier state shows.
    """
    walk = _Walk(mac)
    for row in _all(tx):
        walk.take(row)
    for stream, (seq, code) in (known or {}).items():
        walk.claims.setdefault(_Claim(stream, int(seq), code), _OUTSIDE)
    walk.check_order()
    walk.check_versions()
    walk.check_claims(tx)
    walk.check_lost()
    return walk.problems


def stream_problems(tx: Tx, mac: Mac, stream: str) -> list[str]:
    """What is wrong with one stream: its chain, and what checkpoints claim of it.

    Those are its own, the ones written while it was, and the first one after its end.
    """
    walk = _Walk(mac)
    rows = tx.all("SELECT * FROM audit WHERE stream = :stream ORDER BY seq", stream=stream)
    for row in rows:
        walk.take(row)
    if rows and not walk.problems:
        for row in _claiming(tx, rows[0]["position"], rows[-1]["position"]):
            walk.collect(row)
    walk.claims = {claim: who for claim, who in walk.claims.items() if claim.stream == stream}
    walk.check_claims(tx)
    return walk.problems


def _claiming(tx: Tx, first: int, last: int) -> Iterator[Row]:
    position = first
    while position <= last:
        row = tx.one(
            "SELECT * FROM audit WHERE noun = 'audit' AND name = :name AND position > :position "
            "ORDER BY position LIMIT 1",
            name=CHECKPOINT,
            position=position,
        )
        if row is None:
            return
        yield row
        position = row["position"]


class _Walk:
    """One walk over the rows: what is wrong, what checkpoints claim, where streams end."""

    def __init__(self, mac: Mac) -> None:
        self._mac = mac
        self.problems: list[str] = []
        self.claims: dict[_Claim, str] = {}
        self._ends: Heads = {}
        self._broken: set[str] = set()
        self._retired: dict[str, tuple[int, str, str]] = {}
        self._lost: dict[_Claim, str] = {}
        self._accepted: set[_Claim] = set()
        self._ordered: set[str] = set()
        self._used: dict[tuple[str, int], int] = {}  # the last one
        self._known: dict[tuple[str, int], int] = {}  # the first row that states a version
        self._position = 0  # of the row before, in the same stream
        self._newest_plain = self._oldest_ordered = 0

    def take(self, row: Row) -> None:
        """The next row, by stream and number."""
        stream, seq = row["stream"], row["seq"]
        if not _is_whole(row):
            self._broken.add(stream)
            self.problems.append(f"stream {stream}, row {seq}: this is no audit row of ours.")
            return
        expected, previous = self._ends.get(stream, (0, FIRST.hex()))
        before, self._position = (self._position if expected else 0), row["position"]
        self._ends[stream] = seq, row["mac"].hex()
        if stream in self._broken:
            return
        problem = self._gap(row, expected) or self._unfit(row, bytes.fromhex(previous), before)
        if problem:
            self._broken.add(stream)
            self.problems.append(f"stream {stream}{problem}")
        elif row["noun"] == "audit" and row["action"] in (CHECKPOINT, RETIRE, ACCEPT):
            self.collect(row)

    def _gap(self, row: Row, expected: int) -> str:
        seq = row["seq"]
        if seq == expected + 1:
            return ""
        gap = f"row {expected + 1}" if seq == expected + 2 else f"rows {expected + 1} to {seq - 1}"
        return f": {gap} missing before row {seq}."

    def _unfit(self, row: Row, previous: bytes, before: int) -> str:
        """Whether the code is not that of the row, or the row is not where it was written."""
        stream = row["stream"]
        stated: tuple[str | None, int | None] = (None, None)
        if hmac.compare_digest(self._mac(message(row, previous)), row["mac"]):
            self._ordered.add(stream)
            self._oldest_ordered = min(self._oldest_ordered or row["position"], row["position"])
            if row["noun"] == "credential":
                detail = json.loads(row["detail"])
                stated = stated_version(row["noun"], row["action"], detail) or stated
                self._note_version(detail, row["position"])
        elif stream not in self._ordered and hmac.compare_digest(
            self._mac(message(row, previous, ordered=False)), row["mac"]
        ):  # written by a release of schema 1
            self._newest_plain = max(self._newest_plain, row["position"])
        else:
            return (
                f", row {row['seq']} ({rfc3339(row['at'])}, {row['actor']} {row['action']} "
                f"{row['noun']} {row['name']}): this row, or the one before it, was edited."
            )
        if row["position"] <= before:
            return f", row {row['seq']}: it stands before the row that it follows."
        if (row["record"], row["version"]) != stated:
            return f", row {row['seq']}: the version beside it is not the one that it states."
        return ""

    def _note_version(self, detail: Mapping[str, Any], position: int) -> None:
        record, version = detail.get("id"), detail.get("version")
        if isinstance(record, str) and isinstance(version, int):
            stated = record, version
            self._known[stated] = min(self._known.get(stated, position), position)
            self._used[stated] = max(self._used.get(stated, 0), position)

    def collect(self, row: Row) -> None:
        """What a checkpoint states."""
        who = f"the checkpoint {row['stream']}/{row['seq']} of {rfc3339(row['at'])}"
        detail: dict[str, Any] = json.loads(row["detail"])
        for stream, (seq, code) in detail["heads"].items():
            self.claims.setdefault(_Claim(stream, seq, code), who)
        if "before" in detail:
            self.claims.setdefault(_Claim(*detail["before"]), who)
        for stream, (seq, code, _) in detail.get("retired", {}).items():
            self._retired[stream] = seq, code, who
        if "lost" in detail:
            self._lost.setdefault(_Claim(*detail["lost"]), who)
        self._accepted.update(_Claim(*each) for each in detail.get("accepted", ()))

    def check_order(self) -> None:
        """Rows whose code knows no position were all written before those whose code does."""
        if self._oldest_ordered and self._newest_plain > self._oldest_ordered:
            self.problems.append(
                f"position {self._newest_plain}: a row of schema 1 stands behind rows of the "
                "releases after it; the order was edited."
            )

    def check_versions(self) -> None:
        """No row states a lower version of a record than one before it: each knew the highest."""
        higher: dict[str, tuple[int, int]] = {}  # of a record: where a higher one was first known
        for stated, known in sorted(self._known.items(), reverse=True):
            record, version = stated
            position, before = higher.get(record, (known, version))
            if before > version and position < self._used[stated]:
                self.problems.append(
                    f"position {self._used[stated]}: this row knows version {version} of the "
                    f"credential {record}, and version {before} was known at position {position}: "
                    "it was put back, and rows were hidden for that time."
                )
            higher[record] = min((position, before), (known, version))

    def check_claims(self, tx: Tx) -> None:
        """Every row that somebody vouches for is there, or was retired as it was."""
        missing: set[str] = set()
        # from the last row of a stream to its first: the furthest claim says all about its end
        for claim, who in sorted(self.claims.items(), reverse=True):
            if claim in self._accepted:
                continue
            stream, seq, code = claim
            end = self._ends.get(stream, (0, ""))[0]
            if stream in self._retired:
                problem = _not_as_retired(claim, end, *self._retired[stream], who)
            elif end < seq:
                problem = _missing_end(stream, end, seq, who)
            elif _code(tx, stream, seq) not in (code, None):
                self.problems.append(
                    f"stream {stream}, row {seq}: {who} states another code for it."
                )
                continue
            else:
                continue
            if problem and stream not in missing:
                missing.add(stream)
                self.problems.append(problem)

    def check_lost(self) -> None:
        """Checkpoints that found the database put back, and nobody who said that it was meant."""
        for claim, who in self._lost.items():
            if claim not in self._accepted and claim not in self.claims:
                self.problems.append(
                    f"{who[0].upper()}{who[1:]} found the database put back to an earlier state: row "
                    f"{claim.seq} of stream {claim.stream} had been written and was not there."
                )


def _not_as_retired(claim: _Claim, end: int, last: int, code: str, by: str, who: str) -> str:
    if end:
        return f"stream {claim.stream} was retired by {by}, and rows of it are there."
    if claim.seq > last or (claim.seq == last and claim.code != code):
        return (
            f"stream {claim.stream} was retired by {by} at row {last}; {who} names another row "
            f"{claim.seq} of it."
        )
    return ""


def _missing_end(stream: str, end: int, seq: int, who: str) -> str:
    if not end:
        return (
            f"stream {stream} is missing; {who} names row {seq} of it: it was removed, or the "
            "database was put back to an earlier state."
        )
    return (
        f"stream {stream} ends at row {end}; {who} names row {seq}: its end is missing, or the "
        "database was put back to an earlier state."
    )


def _is_whole(row: Row) -> bool:
    """Whether every column has its type: SQLite keeps what it is given, and so does an attacker."""
    texts = (row[name] for name in ("stream", "actor", "action", "noun", "name", "detail"))
    return (
        isinstance(row["seq"], int)
        and isinstance(row["position"], int)
        and min(row["seq"], row["position"]) > 0
        and isinstance(row["at"], float)
        and isinstance(row["mac"], bytes)
        and all(isinstance(text, str) for text in texts)
    )


def _code(tx: Tx, stream: str, seq: int) -> str | None:
    code = tx.value(
        "SELECT mac FROM audit WHERE stream = :stream AND seq = :seq", stream=stream, seq=seq
    )
    return None if code is None else code.hex()


def _all(tx: Tx) -> Iterator[Row]:
    """Every row by stream and number, a page at a time: it may be far larger than memory."""
    stream, seq = "", _LOWEST
    while True:
        page = tx.all(
            "SELECT * FROM audit WHERE (stream, seq) > (:stream, :seq) "
            "ORDER BY stream, seq LIMIT :limit",
            stream=stream,
            seq=seq,
            limit=PAGE,
        )
        yield from page
        if len(page) < PAGE:
            return
        stream, seq = page[-1]["stream"], page[-1]["seq"]
