"""The table of states of an outbox row: what may follow what, and what a row shows."""

from __future__ import annotations

import pytest

from postroom.services.states import FINISHED, FOLLOWS, WAITING, may_follow, row_state

STATES = WAITING | FINISHED


def test_every_state_has_its_line() -> None:
    """The table is complete: every state is named, and only states follow."""
    assert set(FOLLOWS) == STATES
    assert all(after <= STATES for after in FOLLOWS.values())
    assert set() == WAITING & FINISHED


def test_nothing_gets_stuck() -> None:
    """From every waiting state there is a way to an end (nothing lost)."""
    for state in WAITING:
        reached, following = {state}, {state}
        while following:
            following = {after for one in following for after in FOLLOWS[one]} - reached
            reached |= following
        assert "sent" in reached
        assert "failed" in reached


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        ("queued", "held", True),
        ("queued", "cancelled", True),
        ("queued", "sent", False),  # only by way of claimed and submitting
        ("claimed", "cancelled", True),  # of a worker that is gone; nothing of it is on the wire
        ("claimed", "held", True),
        ("submitting", "cancelled", False),
        ("submitting", "queued", False),  # its DATA may have arrived
        ("submitting", "ambiguous", True),
        ("ambiguous", "queued", True),
        ("deferred", "queued", True),
        ("deferred", "cancelled", True),
        ("failed", "queued", True),
        ("sent", "queued", False),
        ("sent", "cancelled", False),
        ("cancelled", "queued", False),
        ("held", "queued", True),
        ("held", "sent", False),
    ],
)
def test_what_may_follow(before: str, after: str, allowed: bool) -> None:
    """A message that may have arrived is never sent again by itself; a sent one never at all."""
    assert may_follow(before, after) is allowed


@pytest.mark.parametrize(
    ("recipients", "shown"),
    [
        (["sent"], "sent"),
        (["sent", "sent"], "sent"),
        (["sent", "failed"], "failed"),
        (["sent", "deferred", "failed"], "deferred"),
        (["queued", "failed"], "queued"),
        (["ambiguous", "sent"], "ambiguous"),
        (["ambiguous", "deferred", "failed"], "ambiguous"),
        (["cancelled", "sent"], "cancelled"),
        (["cancelled", "failed"], "failed"),
    ],
)
def test_the_row_shows_its_worst_recipient(recipients: list[str], shown: str) -> None:
    """Waiting ones first, since the row is tried again for them; then the worst."""
    assert row_state(recipients) == shown
    assert row_state(reversed(recipients)) == shown
