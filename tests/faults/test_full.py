"""The disk that holds the room is full, at every write of a change and of a rotation."""

from __future__ import annotations

import pytest

from tests.faults.dose import dose, minutes
from tests.faults.filling import PAGES, full_at, judged, small_disk
from tests.faults.history import History
from tests.faults.stage import Stage
from tests.faults.storing import made

pytestmark = pytest.mark.timeout(minutes(3, 10, 10))


async def test_a_full_disk_leaves_no_half_of_anything(stage: Stage) -> None:
    """F4: what was told to have failed is not there, what was told done is, and with room on the disk
    everything goes on; the client hears one sentence, ``room_full``."""
    wrong: list[str] = []
    heard: set[str] = set()
    with small_disk(stage.settings.room), History() as history:
        await made(stage)
        for pages in (*range(0, PAGES, dose(10, 2, 1)), PAGES):
            found, told = await full_at(stage, history, pages)
            wrong += found
            heard.update(told)
        wrong += judged(history)
    assert wrong == []
    assert {step.split()[1] for step in heard} <= {"ok", "room_full", "not_found"}
    for step in ("create", "set", "rotate"):
        assert {f"{step} ok", f"{step} room_full"} <= heard, "the sweep did not reach that step"
