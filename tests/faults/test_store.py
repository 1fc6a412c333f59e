"""Writers of credentials are killed: at random times, and at every named point."""

from __future__ import annotations

import pytest

from tests.faults import storing
from tests.faults.dose import minutes
from tests.faults.stage import Stage

pytestmark = pytest.mark.timeout(minutes(3, 15, 300))


async def test_no_acknowledged_change_is_lost_to_a_kill_at_any_time(stage: Stage) -> None:
    """F1: every acknowledged version opens, no record is unreadable, the file is whole."""
    assert await storing.killed_writers(stage) == []
