"""F8 for runs: workers that run jobs are killed and frozen, again and again."""

from __future__ import annotations

import pytest

from tests.faults import running
from tests.faults.dose import minutes
from tests.faults.stage import Stage

pytestmark = pytest.mark.timeout(minutes(3, 30, 600))


async def test_killed_again_and_again_every_run_is_done_and_none_twice_at_once(
    stage: Stage,
) -> None:
    """F8: what a run sends arrives once; a program of a killed worker has ended before the next."""
    assert await running.killed_workers(stage) == []


async def test_frozen_for_longer_than_the_lease_a_worker_settles_nothing_any_more(
    stage: Stage,
) -> None:
    """F8: others take its runs over; thawed, it can neither send nor settle."""
    assert await running.frozen_workers(stage) == []
