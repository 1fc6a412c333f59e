"""The vault key is rotated while writers and rotations are killed and frozen."""

from __future__ import annotations

import pytest

from tests.faults import rotating
from tests.faults.dose import minutes
from tests.faults.stage import Stage

pytestmark = pytest.mark.timeout(minutes(3, 15, 300))


async def test_nothing_is_lost_when_a_rotation_and_two_writers_are_killed(stage: Stage) -> None:
    """F5, T20: every acknowledged secret opens, the next rotation ends, no term is left over."""
    assert await rotating.killed_rotations(stage) == []


async def test_destroying_waits_for_a_writer_that_has_read_the_old_term(stage: Stage) -> None:
    """F7, T19: the rotation of another process neither begins a term nor destroys one before the
    writer has committed."""
    assert await rotating.frozen_writer(stage) == []


async def test_a_term_that_came_into_use_again_is_not_destroyed(stage: Stage) -> None:
    """F7, T19: the proof is in the transaction that destroys, not in what was seen before."""
    assert await rotating.late_destroyer(stage) == []


async def test_what_was_wrapped_for_an_old_term_is_not_written(stage: Stage) -> None:
    """F7, T19: compare and swap, after two further rotations."""
    assert await rotating.late_swap(stage) == []
