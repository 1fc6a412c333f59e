"""Checks the audit record: every chain, and every end that a checkpoint vouches for."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping
from typing import Final

from postroom.audit.record import CHECKPOINT, FIRST, Heads, Mac, message
from postroom.clock import rfc3339
from postroom.db import Row, Tx

__all__ = ["verify"]

PAGE: Final = 5000
_Claims = dict[tuple[str, int], tuple[str, str]]


def verify(tx: Tx, mac: Mac, *, known: Mapping[str, tuple[int, str]] | None = None) -> list[str]:
    """What is wrong with the audit record, one sentence each; an empty list when nothing is.

    Names the first bad row of a stream, gaps, a missing beginning, end or whole stream.  ``known``
    are heads that were kept outside the database (:func:`postroom.audit.heads`): with them a
    database that was put back to an earlier state shows.
    """
    problems: list[str] = []
    claims: _Claims = {}
    for stream, (seq, code) in (known or {}).items():
        claims[stream, int(seq)] = (code, "the heads kept outside the database")
    found = _check_chains(tx, mac, problems, claims)
    ends_missing: set[str] = set()
    # from the last row of a stream to its first: the furthest claim says all about a missing end
    for (stream, seq), (code, who) in sorted(claims.items(), reverse=True):
        end = found.get(stream, (0, ""))[0]
        if end < seq:
            if stream not in ends_missing:
                ends_missing.add(stream)
                problems.append(_missing_end(stream, end, seq, who))
        elif _code(tx, stream, seq) not in (code, None):
            problems.append(f"stream {stream}, row {seq}: {who} states another code for it.")
    return problems


def _missing_end(stream: str, end: int, seq: int, who: str) -> str:
    if not end:
        return f"stream {stream} is missing; {who} names {seq} rows of it."
    return (
        f"stream {stream} ends at row {end}; {who} names row {seq}: its end is missing, or the "
        "database was put back to an earlier state."
    )


def _check_chains(tx: Tx, mac: Mac, problems: list[str], claims: _Claims) -> Heads:
    """Walk every stream; add what is wrong, collect what checkpoints claim, give the ends."""
    ends: Heads = {}
    broken: set[str] = set()
    for row in _all(tx):
        stream, seq = row["stream"], row["seq"]
        if not _is_whole(row):
            broken.add(stream)
            problems.append(f"stream {stream}, row {seq}: this is no audit row of ours.")
            continue
        expected, previous = ends.get(stream, (0, FIRST.hex()))
        ends[stream] = seq, row["mac"].hex()
        if stream in broken:
            continue
        if seq != expected + 1:
            broken.add(stream)
            what = (
                f"row {expected + 1}"
                if seq == expected + 2
                else (f"rows {expected + 1} to {seq - 1}")
            )
            problems.append(f"stream {stream}: {what} missing before row {seq}.")
            continue
        if not hmac.compare_digest(mac(_message(row, bytes.fromhex(previous))), row["mac"]):
            broken.add(stream)
            problems.append(
                f"stream {stream}, row {seq} ({rfc3339(row['at'])}, {row['actor']} {row['action']} "
                f"{row['noun']} {row['name']}): this row, or the one before it, was edited."
            )
            continue
        if row["action"] == CHECKPOINT and row["noun"] == "audit":
            _collect(row, claims)
    return ends


def _is_whole(row: Row) -> bool:
    """Whether every column has its type: SQLite keeps what it is given, and so does an attacker."""
    texts = (row[name] for name in ("stream", "actor", "action", "noun", "name", "detail"))
    return (
        isinstance(row["seq"], int)
        and isinstance(row["at"], float)
        and isinstance(row["mac"], bytes)
        and all(isinstance(text, str) for text in texts)
    )


def _collect(row: Row, claims: _Claims) -> None:
    who = f"the checkpoint {row['stream']}/{row['seq']} of {rfc3339(row['at'])}"
    detail = json.loads(row["detail"])
    for stream, (seq, code) in detail["heads"].items():
        claims.setdefault((stream, seq), (code, who))
    if "before" in detail:
        stream, seq, code = detail["before"]
        claims.setdefault((stream, seq), (code, who))


def _message(row: Row, previous: bytes) -> bytes:
    return message(
        row["stream"],
        row["seq"],
        previous,
        row["at"],
        row["actor"],
        row["action"],
        row["noun"],
        row["name"],
        row["detail"],
    )


def _code(tx: Tx, stream: str, seq: int) -> str | None:
    code = tx.value(
        "SELECT mac FROM audit WHERE stream = :stream AND seq = :seq", stream=stream, seq=seq
    )
    return None if code is None else code.hex()


def _all(tx: Tx) -> Iterator[Row]:
    """Every row by stream and number, a page at a time: it may be far larger than memory."""
    stream, seq = "", 0
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
