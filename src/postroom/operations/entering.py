"""Coming in: what every way has in common - tries that are counted, the session, the record."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from postroom.access import Person, invitations, sessions, throttle, users
from postroom.access.codes import csrf_of
from postroom.access.passwords import is_sound
from postroom.access.throttle import Limit
from postroom.clock import rfc3339
from postroom.db import Row, Tx
from postroom.errors import Refused
from postroom.operations.desk import Desk, acting
from postroom.secret import Secret

__all__ = [
    "NOBODY",
    "Own",
    "OwnSession",
    "Session",
    "SignedIn",
    "enter",
    "entered",
    "find_session",
    "invited_by",
    "note",
    "note_refused",
    "own_of",
    "secret_of",
    "signed_in",
    "take_tries",
    "wrong",
]

NOBODY: Final = Person("nobody", "", frozenset())
"""Who asks before they are known, as the audit record calls them."""


@dataclasses.dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in: who they are, and what their forms carry (``csrf``).

    ``proved_at`` is when they last proved who they are; ``expires_at`` when it is over if nobody uses
    it any more.  Both are seconds since 1970.  ``ways``: how they can prove it, ``password`` and
    ``openid``.
    """

    person: Person
    name: str
    csrf: str
    proved_at: float
    expires_at: float
    ways: tuple[str, ...]


class OwnSession(NamedTuple):
    """One session of one's own: ``mark`` names it, ``here`` is the one that asks; times as RFC 3339."""

    mark: str
    created_at: str
    seen_at: str
    expires_at: str
    agent: str
    here: bool


class Own(NamedTuple):
    """What people may know of themselves: ``has_password``, or they come in at a provider alone."""

    name: str
    address: str
    role: str
    verbs: frozenset[str]
    has_password: bool
    has_provider: bool
    sessions: list[OwnSession]


class SignedIn(NamedTuple):
    """A session, and the cookie that it is known by: it is kept nowhere else.  ``back`` is the page on
    which it was asked for, where one was said.
    """

    cookie: Secret
    session: Session
    back: str = ""


async def take_tries(desk: Desk, keys: tuple[tuple[Limit, str], ...], name: str, peer: str) -> None:
    """Take a try from each; raises Refused (``too_many``) where there is none.

    At the first that has none the others are left alone: whoever may not try takes no try from others.
    """

    def body(tx: Tx) -> float:
        throttle.tidy(tx)
        for limit, key in keys:
            wait = throttle.take(tx, limit, key)
            if not wait:
                continue
            if throttle.is_news(tx, limit, key):
                row = users.look_up(tx, name)
                known = "" if row is None else row["name"]
                note(desk, tx, NOBODY, "too-many", known, what=limit.what, peer=peer)
            return wait
        return 0.0

    if wait := await desk.write(body):
        raise throttle.too_often(wait)


def invited_by(tx: Tx, code: Secret) -> Row | None:
    """The user of a one-time code; None: the first administrator.  Raises Refused."""
    row = invitations.find(tx, code)
    if row is not None and row["user_id"] is None and not users.any_user(tx):
        return None
    user = None if row is None else users.of_id(tx, row["user_id"])
    if user is None or user["disabled"]:
        raise Refused(
            "This address is not good any more.",
            code="not_signed_in",
            hint="It opens once, and expires: ask an administrator for another one.",
        )
    return user


def enter(
    desk: Desk, tx: Tx, row: Row, action: str, agent: str, *, proved: bool = True, **detail: Any
) -> tuple[Secret, Row]:
    """Begin a session in a transaction; gives its cookie and its row.  ``proved``: who it is was proved."""
    cookie = sessions.start(tx, row["id"], agent=agent, proved=proved)
    users.seen(tx, row["id"])
    note(desk, tx, users.person_of(row), action, row["name"], **detail)
    found = sessions.find(tx, cookie)
    if found is None:
        raise wrong()
    return cookie, found


def own_of(cookie: Secret, tx: Tx) -> Own:
    """What whoever has that cookie may know of themselves.  Raises Refused (``not_signed_in``)."""
    row, session = find_session(cookie, tx)
    known = [
        OwnSession(
            sessions.mark_of(one),
            rfc3339(one["created_at"]),
            rfc3339(one["seen_at"]),
            rfc3339(sessions.ends_at(one)),
            one["agent"],
            here=one["hash"] == row["hash"],
        )
        for one in sessions.of_user(tx, row["id"])
    ]
    return Own(
        row["name"], row["address"], row["role"], session.person.verbs,
        has_password=bool(row["password"]), has_provider=bool(row["subject"]), sessions=known,
    )  # fmt: skip


async def entered(desk: Desk, body: Callable[[Tx], tuple[Secret, Row]]) -> SignedIn:
    """Do what begins a session; gives it with its cookie."""
    return signed_in(*await desk.write(body))


def signed_in(cookie: Secret, row: Row) -> SignedIn:
    """A session that was begun, by its cookie and its row."""
    return SignedIn(cookie, _session_of(row, cookie))


def note_refused(desk: Desk, tx: Tx, row: Row | None, what: str, peer: str) -> None:
    """Record that somebody was not let in.

    What a stranger typed as a name is not written down: it may be a password.
    """
    why = "unknown" if row is None else "disabled" if row["disabled"] else what
    if row is not None and row["password"] and not is_sound(row["password"]):
        why = "edited"  # below the floor, or beyond reason: nobody here wrote that
    note(desk, tx, NOBODY, "refuse", "" if row is None else row["name"], why=why, peer=peer)


def note(
    desk: Desk, tx: Tx, who: Person, action: str, name: str, *, noun: str = "user", **detail: Any
) -> None:
    """Write an audit row under the name of somebody who stands before the door."""
    acting(desk, who).record(tx, action, noun, name, **detail)


def find_session(cookie: Secret, tx: Tx) -> tuple[Row, Session]:
    """The session of a cookie, with its row and its user's.  Raises Refused (``not_signed_in``)."""
    row = sessions.find(tx, cookie)
    if row is None:
        raise Refused("You are not signed in.", code="not_signed_in", hint="Sign in again.")
    return row, _session_of(row, cookie)


def _session_of(row: Row, cookie: Secret) -> Session:
    kept = {"password": row["password"], "openid": row["subject"]}
    return Session(
        users.person_of(row), row["name"], csrf_of(cookie), row["proved_at"], sessions.ends_at(row),
        tuple(way for way, there in kept.items() if there),
    )  # fmt: skip


def secret_of(given: str | Secret) -> Secret:
    """What came from outside, as a secret: from here on no log has it."""
    if isinstance(given, Secret):
        return given
    try:
        return Secret(given)
    except ValueError:
        return Secret("")


def wrong() -> Refused:
    """The one answer to a name and a password that let nobody in."""
    return Refused(
        "The name or the password is wrong.",
        code="not_signed_in",
        hint="Type both again; an administrator can let you choose another password.",
    )
