"""Handing over: what becomes of a batch that fails while something else has failed already."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest

from postroom.db.claims import claim_lost
from postroom.errors import Refused
from postroom.sinks import DirectorySink
from postroom.sources.deadline import Deadline
from postroom.sources.handing import Batch, Hands, Tally
from postroom.sources.naming import Naming
from tests.unit.sources.definitions import source_of


async def lost(body: Any) -> Any:
    """The fence: another worker has taken the source over."""
    await asyncio.sleep(0)
    raise claim_lost()


def hands(path: Path, deadline: Deadline) -> Hands:
    sink = DirectorySink(type="directory", path=str(path))
    return Hands(source_of(), sink, Naming(), lost, deadline, Tally(), lambda tally: None)


async def test_a_batch_that_nobody_asks_for_any_more_is_no_noise(tmp_path: Path) -> None:
    """What failed first is what is told; asyncio writes nothing of the other on standard error."""
    said: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: said.append(context))
    row: Any = {"id": 1, "message": "7", "retries": 0, "size": 1}
    async with Deadline(60.0) as deadline:
        made = hands(tmp_path, deadline)
        await made.take(Batch([row], {}))
        await made.ended()
        assert made.busy
    del made
    gc.collect()
    await asyncio.sleep(0)
    assert said == []


async def test_a_batch_that_is_asked_for_tells_how_it_ended(tmp_path: Path) -> None:
    row: Any = {"id": 1, "message": "7", "retries": 0, "size": 1}
    async with Deadline(60.0) as deadline:
        made = hands(tmp_path, deadline)
        await made.take(Batch([row], {}))
        with pytest.raises(Refused, match="taken this work over"):
            await made.settled()
