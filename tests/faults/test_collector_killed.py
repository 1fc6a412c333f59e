"""The collector is killed (kill -9): between any two of its steps, and by the messages themselves."""

from __future__ import annotations

import pytest

from tests.faults import collecting
from tests.faults.dose import minutes
from tests.faults.stage import Stage

pytestmark = pytest.mark.timeout(minutes(3, 20, 120))


async def test_killed_between_any_two_steps_all_is_there_once(stage: Stage) -> None:
    """F12, promise 2: in the sink with exact bytes, in the ledger and in the folder for what is done."""
    assert await collecting.killed_collectors(stage) == []


async def test_killed_while_messages_come_with_their_listing(stage: Stage) -> None:
    """F12, promise 2: the same, where the attempt is counted by a mark at the cursor."""
    assert await collecting.killed_while_arriving(stage) == []


async def test_killed_at_any_moment_nothing_is_lost_or_doubled(stage: Stage) -> None:
    """F12, promise 2: the same with one large batch, at moments that nobody chose."""
    assert await collecting.killed_at_random(stage) == []


async def test_a_message_that_kills_whoever_reads_it_stops_no_other(stage: Stage) -> None:
    """F18: every tenth is held after its third kill, the nine arrive."""
    assert await collecting.poisoned(stage) == []


async def test_what_is_recorded_was_durable_before(stage: Stage) -> None:
    """Promise 2: files are synced, then named, then their directory is synced, then the ledger says so."""
    assert await collecting.durable_before_recorded(stage) == []
