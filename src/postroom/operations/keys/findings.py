"""What there is to say about a room's keys, in plain words; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from postroom.clock import rfc3339
from postroom.vault import Start
from postroom.vault.keks import Known

__all__ = ["Finding", "Level", "findings"]

Level = Literal["ok", "note", "wrong"]


class Finding(NamedTuple):
    """One thing to know.  ``note`` is for somebody's attention, ``wrong`` for their action."""

    level: Level
    topic: str
    text: str


def findings(
    start: Start, known: Sequence[Known], terms: Sequence[tuple[int, str]], left: int
) -> list[Finding]:
    """The findings: whether it is open and why not, what opens it, terms, the kit.

    ``terms`` are numbers and states of the vault key; ``left`` counts the data keys that a rotation
    has still to wrap anew.
    """
    used = "" if start.keyring is None else start.keyring.kek_id
    return [
        *_state(start, known, used),
        *(_key(one, used) for one in known if one.id != used),
        *_terms(terms, left),
        *_kits(known),
    ]


def _state(start: Start, known: Sequence[Known], used: str) -> list[Finding]:
    if start.locked is not None:
        return [
            Finding("wrong", "room", f"The room is locked. {start.locked}"),
            *(
                Finding("note", "key", f"The key {one.id} was at {one.source} when it was added.")
                for one in known
                if one.source
            ),
        ]
    found = [Finding("ok", "room", f"The room is open: the key {used} is at {start.source}.")]
    if start.warning:
        found.append(Finding("note", "key", start.warning))
    return found


def _key(one: Known, used: str) -> Finding:
    if not one.whole:
        return Finding(
            "wrong",
            "key",
            f"The key {one.id} does not open every term of the vault key. Retire it and add it again: "
            f"postroom keys kek retire {one.id}",
        )
    if not used:
        return Finding("note", "key", f"The key {one.id} would open the room.")
    return Finding(
        "note",
        "key",
        f"The key {one.id} opens the room too. When nobody needs it any more: "
        f"postroom keys kek retire {one.id}",
    )


def _terms(terms: Sequence[tuple[int, str]], left: int) -> list[Finding]:
    active = [term for term, state in terms if state == "active"]
    old = [str(term) for term, state in terms if state != "active"]
    if not old:
        return [Finding("ok", "vault key", f"Term {term} is active.") for term in active]
    many = "1 data key is" if left == 1 else f"{left} data keys are"
    return [
        Finding(
            "note",
            "vault key",
            f"A rotation is under way or was interrupted: {many} still under term {', '.join(old)}. "
            "Everything opens. If nobody is at it, finish it with: postroom keys rotate",
        )
    ]


def _kits(known: Sequence[Known]) -> list[Finding]:
    kits = [
        Finding("ok", "kit", f"A recovery kit of the key {one.id} was written at {rfc3339(at)}.")
        for one in known
        if (at := one.kit_at) is not None
    ]
    if kits or not known:
        return kits
    return [
        Finding(
            "note",
            "kit",
            "There is no recovery kit: if the key is lost, every secret is. Write one, and keep it "
            "where the room is not: postroom keys kit --to FILE",
        )
    ]
