"""Rows of sessions: who is signed in with a browser, since when, and until when."""

from __future__ import annotations

from typing import Final

from postroom.access.codes import hash_of, new_code
from postroom.clock import timestamp
from postroom.db import Row, Tx
from postroom.secret import Secret

__all__ = [
    "ABSOLUTE",
    "IDLE",
    "end",
    "end_all",
    "end_some",
    "ends_at",
    "find",
    "is_noted",
    "mark_of",
    "note_seen",
    "of_user",
    "proved",
    "start",
]

IDLE: Final = 2 * 3600.0
"""Seconds after which a session that nobody uses is over."""
ABSOLUTE: Final = 12 * 3600.0
"""Seconds after which one is over in any case."""
_NOTED: Final = 60.0
_AGENT: Final = 200
_MOST: Final = 20


def start(tx: Tx, user: str, *, agent: str, proved: bool = True) -> Secret:
    """Begin a session; gives its cookie, which is kept nowhere.  ``proved``: who it is was proved now.

    Sessions that are over are removed, and of the user's own the oldest beyond twenty.
    """
    now = timestamp()
    cookie = Secret(new_code())
    tx.execute(
        "DELETE FROM sessions WHERE expires_at <= :now OR seen_at <= :idle",
        now=now,
        idle=now - IDLE,
    )
    tx.execute(
        "DELETE FROM sessions WHERE user_id = :user AND hash NOT IN (SELECT hash FROM sessions "
        "WHERE user_id = :user ORDER BY created_at DESC, hash LIMIT :most)",
        user=user,
        most=_MOST - 1,
    )
    tx.execute(
        "INSERT INTO sessions (hash, user_id, created_at, seen_at, expires_at, proved_at, agent) "
        "VALUES (:hash, :user, :now, :now, :end, :proved, :agent)",
        hash=hash_of(cookie), user=user, now=now, end=now + ABSOLUTE, agent=_printable(agent),
        proved=now if proved else 0.0,
    )  # fmt: skip
    return cookie


def find(tx: Tx, cookie: Secret) -> Row | None:
    """The session of a cookie with its user's columns, if it is not over and the user not disabled."""
    now = timestamp()
    return tx.one(
        "SELECT u.*, s.hash, s.seen_at, s.expires_at, s.proved_at FROM sessions AS s "
        "JOIN users AS u ON u.id = s.user_id WHERE s.hash = :hash AND s.expires_at > :now "
        "AND s.seen_at > :idle AND u.disabled = 0",
        hash=hash_of(cookie),
        now=now,
        idle=now - IDLE,
    )


def ends_at(row: Row) -> float:
    """When a session is over if nobody uses it any more."""
    return float(min(row["expires_at"], row["seen_at"] + IDLE))


def is_noted(row: Row) -> bool:
    """Whether it is noted already that the session is used now: to the minute."""
    return timestamp() - float(row["seen_at"]) < _NOTED


def note_seen(tx: Tx, hashed: bytes) -> None:
    """Note that a session is used now."""
    tx.execute(
        "UPDATE sessions SET seen_at = :now WHERE hash = :hash", now=timestamp(), hash=hashed
    )


def proved(tx: Tx, hashed: bytes) -> None:
    """Note that its user has proved again who they are."""
    tx.execute(
        "UPDATE sessions SET proved_at = :now WHERE hash = :hash", now=timestamp(), hash=hashed
    )


def end(tx: Tx, hashed: bytes) -> None:
    """End a session."""
    tx.execute("DELETE FROM sessions WHERE hash = :hash", hash=hashed)


def end_all(tx: Tx, user: str) -> int:
    """End every session of a user; gives how many there were."""
    return tx.execute("DELETE FROM sessions WHERE user_id = :user", user=user)


def end_some(tx: Tx, user: str, own: bytes, mark: str = "") -> int:
    """End the session of a user that has this mark, or every one but their ``own``; gives how many."""
    ended = [
        row["hash"]
        for row in of_user(tx, user)
        if (mark_of(row) == mark if mark else row["hash"] != own)
    ]
    for hashed in ended:
        end(tx, hashed)
    return len(ended)


def mark_of(row: Row) -> str:
    """What tells a session apart from others of its user: nobody comes in by it."""
    return bytes(row["hash"]).hex()[:12]


def of_user(tx: Tx, user: str) -> list[Row]:
    """The sessions of a user that are not over, the newest first."""
    now = timestamp()
    return tx.all(
        "SELECT hash, created_at, seen_at, expires_at, agent FROM sessions WHERE user_id = :user "
        "AND expires_at > :now AND seen_at > :idle ORDER BY created_at DESC",
        user=user,
        now=now,
        idle=now - IDLE,
    )


def _printable(agent: str) -> str:
    """What a browser calls itself, short and on one line: it is a stranger's text."""
    return "".join(c if c.isprintable() else " " for c in agent[:_AGENT]).strip()
