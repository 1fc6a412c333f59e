"""The collector whose messages begin runs is killed (kill -9): between any two of its steps."""

from __future__ import annotations

import pytest

from tests.faults import beginning
from tests.faults.dose import minutes
from tests.faults.stage import Stage

pytestmark = pytest.mark.timeout(minutes(3, 20, 120))


async def test_killed_between_any_two_steps_each_message_has_one_run(stage: Stage) -> None:
    """F12, promise 2: run, bytes and ledger entry are there together, and once."""
    assert await beginning.killed_beginners(stage) == []


async def test_killed_at_any_moment_each_message_has_one_run(stage: Stage) -> None:
    """F12, promise 2: the same at moments that nobody chose."""
    assert await beginning.killed_at_random(stage) == []


async def test_killed_workers_pass_each_letter_on_once(stage: Stage) -> None:
    """F8, F12, promise 2: from the mailbox through a run to the other mailbox, by real workers."""
    assert await beginning.killed_workers(stage) == []
