"""What a notification may tell: all where an administrator saved it last, else what that person sees.

Whoever saves a notification types the address that hears.  So it hears what they might read themselves:
nothing that rests on a restricted credential which is not granted them, nothing of the audit record, and
not which ports answer (T48, T59).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Final

from postroom.access import Person, users
from postroom.db import Tx
from postroom.jobs import store as jobs
from postroom.notices.rows import Kept, Told
from postroom.operations.desk import Desk, acting
from postroom.operations.sight import NamedSight, grantee_of, sees_named
from postroom.operations.untold import told as as_told
from postroom.sources import store as sources

__all__ = ["heard", "said_to", "saver_of", "seen"]

_NOBODY: Final = "-"
"""The id of no user: whoever saved it is gone or shut out, and has no grant."""


def saver_of(desk: Desk) -> str:
    """What is kept of whoever saves a notification: the id of their user; of an administrator nothing."""
    return "" if desk.person.unrestricted else desk.person.user


def heard(desk: Desk, tx: Tx, name: str, saver: str, kept: Iterable[Kept]) -> dict[str, Kept]:
    """The causes that one notification may tell, by their key, in the words in which it may.

    Of what it was told when the same person had saved it, it may tell that it is over.
    """
    if not saver:
        return {one.key: one for one in kept}
    own = acting(desk, _person(tx, saver))
    found = {}
    with tx.seen_by(NamedSight(grantee_of(own.person), desk.environ)):
        for one in kept:
            told = one.told.get(name, Told())
            knows = one.over_at is not None and told.heard and told.saver == saver
            if knows or _is_there(own, tx, one):
                found[one.key] = _in_words(own, one)
    return found


def seen(desk: Desk, tx: Tx, one: Kept) -> Kept | None:
    """A cause as whoever asks may read it; None where it is not there for them."""
    return _in_words(desk, one) if _is_there(desk, tx, one) else None


def said_to(desk: Desk, kind: str, name: str, said: str) -> str:
    """The sentence of a cause for whoever asks: without what is not theirs to read."""
    if desk.person.unrestricted:
        return said
    if kind == "sign-in":  # it names every connection, and why the last token was refused
        return f"{said.partition(', for connection ')[0]}, for connection {name}."
    return as_told(desk, said)


def _is_there(desk: Desk, tx: Tx, one: Kept) -> bool:
    if desk.person.unrestricted:
        return True
    noun, name = one.text("noun"), one.text("name")
    if noun == "audit":
        return desk.person.may("audit")
    find = {"source": sources.find, "job": jobs.find}.get(noun)
    if find is not None:
        with tx.seen_by(None):
            if find(tx, name) is None:  # nobody knows any more what it rested on
                return False
    return sees_named(tx, noun, name)


def _in_words(desk: Desk, one: Kept) -> Kept:
    kind, name = one.text("kind"), one.text("name")
    said = {key: said_to(desk, kind, name, one.text(key)) for key in ("said", "over")}
    return dataclasses.replace(one, body={**one.body, **said})


def _person(tx: Tx, saver: str) -> Person:
    row = users.of_id(tx, saver)
    there = row is not None and not row["disabled"]
    return Person("", "", frozenset({"view"}), user=saver if there else _NOBODY)
