"""Whom to tell of what now, and over which ways: as tables."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from postroom.fields import parse
from postroom.notices import Notify
from postroom.notices.plan import GIVE_UP_SECONDS, due, ways
from postroom.notices.rows import Kept, Told
from postroom.notices.things import NOTHING, Things

NOW = 1_000_000.0


def notification(name: str, **fields: Any) -> Notify:
    return parse(Notify, {"name": name, **(fields or {"command": ["x"]})})


def kept(
    told: dict[str, Told] | None = None, *, stage: int = 1, over_at: float | None = None
) -> Kept:
    return Kept(
        "source orders-in", NOW - 1000, over_at, {"kind": "source", "stage": stage}, told or {}
    )


HEARD = Told("began", 1, NOW - 900, ok=True, heard=True, via="ann")
FAILED = Told("began", 0, NOW - 10, ok=False, tries=1)
LASTING: list[tuple[str, Told | None, int, str | None]] = [
    ("nobody was told", None, 1, "began"),
    ("they know", HEARD, 1, None),
    ("it came nearer", HEARD, 2, "again"),
    ("it failed a moment ago", FAILED, 1, None),
    ("it failed a while ago", dataclasses.replace(FAILED, at=NOW - 61), 1, "began"),
    ("often, and waits longer", dataclasses.replace(FAILED, at=NOW - 61, tries=3), 1, None),
    ("it failed again", dataclasses.replace(HEARD, ok=False, at=NOW - 61, tries=1), 2, "again"),
    (
        "the way lost it: at once",
        dataclasses.replace(HEARD, ok=False, heard=False, at=0.0),
        1,
        "began",
    ),
]
OVER: list[tuple[str, Told | None, float, str | None]] = [
    ("nobody was told", None, 10, None),
    ("nobody could be told", FAILED, 10, None),
    ("they know that it began", HEARD, 10, "over"),
    ("they know that it is over", dataclasses.replace(HEARD, event="over"), 10, None),
    (
        "they could not be told",
        dataclasses.replace(HEARD, event="over", ok=False, tries=1),
        1000,
        "over",
    ),
    (
        "and now it is too late",
        dataclasses.replace(HEARD, event="over", ok=False, tries=1),
        GIVE_UP_SECONDS + 1,
        None,
    ),
]


@pytest.mark.parametrize(
    ("case", "told", "stage", "event"), LASTING, ids=[one[0] for one in LASTING]
)
def test_a_cause_is_told_once_and_again_when_it_is_nearer(
    case: str, told: Told | None, stage: int, event: str | None
) -> None:
    found = due([kept({"ann": told} if told else {}, stage=stage)], [notification("ann")], now=NOW)
    assert [one.event for one in found] == ([event] if event else [])


@pytest.mark.parametrize(("case", "told", "ago", "event"), OVER, ids=[one[0] for one in OVER])
def test_the_end_of_a_cause_is_told_to_who_heard_of_it(
    case: str, told: Told | None, ago: float, event: str | None
) -> None:
    one = kept({"ann": told} if told else {}, over_at=NOW - ago)
    assert [one.event for one in due([one], [notification("ann")], now=NOW)] == (
        [event] if event else []
    )


def test_who_stands_in_for_another_and_a_ping_are_told_nothing_themselves() -> None:
    others = [
        notification("b", command=["x"], instead_of="ann"),
        notification("c", url="https://h.example/x", every="1d"),
        notification("d", command=["x"], causes=["outbox"]),
    ]
    assert due([kept()], others, now=NOW) == []


# ---------------------------------------------------------------------------- the ways

MAIL = Things(frozenset({"connection:acme", "credential:login"}), frozenset({"mx.example"}))
ALL = [
    notification("ann", service="alerts", to=["ann@example.com"]),
    notification("hook", url="https://hooks.example/x", instead_of="ann"),
    notification("prog", command=["x"], instead_of="hook"),
    notification("other"),
]
THINGS = {
    "ann": MAIL,
    "hook": Things(frozenset(), frozenset({"hooks.example"})),
    "prog": NOTHING,
    "other": NOTHING,
}
SOURCE = Things(frozenset({"connection:acme", "source:in"}), frozenset({"mx.example"}))
CASES: list[tuple[str, Things, list[Things], list[str], list[str]]] = [
    ("nothing is shared: its own way first", NOTHING, [], [], ["ann", "hook", "prog"]),
    ("its connection is broken: never", SOURCE, [SOURCE], [], ["hook", "prog"]),
    ("its credential ends soon: last", Things(frozenset({"credential:login"})), [], [],
     ["hook", "prog", "ann"]),
    ("its host is broken: last", Things(frozenset({"connection:b"}), frozenset({"mx.example"})),
     [Things(frozenset({"connection:b"}), frozenset({"mx.example"}))], [], ["hook", "prog", "ann"]),
    ("another cause has broken it: never", NOTHING, [SOURCE], [], ["hook", "prog"]),
    ("it took it in vain: never", NOTHING, [], ["Ann"], ["hook", "prog"]),
    ("none is left", SOURCE, [SOURCE], ["hook", "prog"], []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("case", "about", "broken", "failed", "order"), CASES, ids=[c[0] for c in CASES]
)
def test_nothing_is_told_over_what_is_broken(
    case: str, about: Things, broken: list[Things], failed: list[str], order: list[str]
) -> None:
    found = ways("ann", ALL, THINGS, about, broken, failed=failed)
    assert [one.name for one in found] == order
