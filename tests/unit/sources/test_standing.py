"""How a source stands: how far it is behind, and which states are none of its own."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.sources.standing import AT_WORK, FAILING, Kept, lag_of

NOW = 10_000.0


@pytest.mark.parametrize(
    ("state", "known", "lag"),
    [
        ("listening", {}, 0.0),
        ("idle", {}, 0.0),
        ("collecting", {"waiting_since": NOW - 60}, 60.0),
        ("idle", {"waiting_since": NOW + 60}, 0.0),  # a clock that goes wrong
        ("listening", {"waiting_since": 5.0}, NOW - 100.0),  # from before there was the source
        ("backing off", {}, 700.0),
        ("failed", {"waiting_since": NOW - 60}, 700.0),
        ("waiting for sign-in", {"waiting_since": NOW - 900}, 900.0),
        ("idle", {"due_since": NOW - 30}, 30.0),
        ("idle", {"due_since": NOW - 30, "waiting_since": NOW - 20}, 30.0),
    ],
)
def test_how_far_it_is_behind(state: str, known: dict[str, Any], lag: float) -> None:
    """The longest that anything waits, or may wait, which should be in the sink."""
    row: Any = {"created_at": 100.0, "state_since": NOW - 700}
    whole = {"waiting_since": None, "due_since": None, **known}
    assert lag_of(row, state, **whole, now=NOW) == lag


def test_whoever_waits_for_a_person_waits_since_then() -> None:
    """Not since it was tried again: connecting and signing in are passed through."""
    kept = Kept("listening", 1.0)
    assert kept.since("waiting for sign-in", 50.0) == 50.0
    assert kept.failing
    assert kept.since("signing in", 60.0) == 60.0
    assert kept.since("waiting for sign-in", 61.0) == 50.0
    assert kept.since("idle", 70.0) == 70.0
    assert not kept.failing
    assert not set(AT_WORK) & set(FAILING)
