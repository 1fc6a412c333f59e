"""The disk fails once, at each write, sync and name of what a person may ask."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from postroom.app import open_room
from tests.faults.children import Victim, until_dead
from tests.faults.disk import Failure, Kind, library
from tests.faults.dose import dose, minutes
from tests.faults.failing import STORIES, failing_at, prepared, sweep
from tests.faults.stage import Stage
from tests.faults.storing import made

pytestmark = [
    pytest.mark.timeout(minutes(4, 30, 30)),
    pytest.mark.skipif(library() is None, reason="a disk that fails is made with a C compiler"),
]


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("kind", ["write", "sync", "name"])
async def test_a_disk_that_fails_once_leaves_no_half_of_anything(
    stage: Stage, name: str, kind: Kind
) -> None:
    """F4: EIO and ENOSPC at every call: it is said, and what was told to have failed is not there."""
    await prepared(stage)
    wrong: list[str] = []
    count = 0
    for copy, failure in sweep(stage, name, kind):
        refused, found = await failing_at(copy, name, failure)
        wrong += found
        shutil.rmtree(copy.path)
        if not refused:
            break
        count += 1
    assert not wrong, "\n".join(wrong)
    assert count or kind == "name", "nothing was refused"


@pytest.mark.parametrize("nth", dose((2, 6), range(1, 9), range(1, 9)))
async def test_a_worker_whose_disk_keeps_nothing_ends(stage: Stage, nth: int) -> None:
    """F4: after one failed sync nothing more is written by that process, and no other is asked for:
    the next might be called a success, for pages that the kernel has dropped."""
    await made(stage)
    where = ("--room", stage.where[0], "--kek", stage.where[1])
    log = str(stage.settings.room / "room.db-wal")  # where its commits go
    failure = Failure("sync", nth, "EIO", log)
    with Victim("postroom", "worker", *where, disk=failure) as worker:
        assert not await until_dead(worker, seconds=90.0)
        assert f"refused: {log}" in await asyncio.to_thread(worker.lines)
        assert (worker.status, "did not keep what was written" in worker.complaints()) == (78, True)
    room = await open_room(stage.settings)
    assert await room.audit.verify() == []
    await room.close()
