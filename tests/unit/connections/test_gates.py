"""The shared gate: who waits for a place waits no longer than agreed, and asks seldom meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postroom.clock import monotonic
from postroom.connections.gates import SharedGate
from postroom.db import Seat, Tx, take_places
from postroom.protocols.gate import Crowded, Gate
from tests.unit.connections.rooms import SmallRoom, open_small_room

__all__: list[str] = []


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[SmallRoom]:
    async with open_small_room(tmp_path) as opened:
        yield opened


def gate_of(room: SmallRoom, seat: Seat) -> SharedGate:
    async def seated() -> Seat:
        return seat

    return SharedGate(room.db, seated, "gate")


async def _passes(gate: Gate, seconds: float) -> None:
    async with gate.passing(1, until=monotonic() + seconds):
        pass


async def test_another_process_is_waited_for_as_long_as_agreed(
    room: SmallRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    def counted(tx: Tx, *rest: Any, **more: Any) -> bool:
        looks.append(monotonic())
        return take_places(tx, *rest, **more)

    monkeypatch.setattr("postroom.connections.gates.take_places", counted)
    async with Seat(room.db) as one, Seat(room.db) as two:
        mine, other = gate_of(room, one), gate_of(room, two)
        async with other.passing(4, until=monotonic() + 9):
            looks.clear()
            with pytest.raises(Crowded):
                await _passes(mine, 1.2)
            assert 0.5 < looks[-1] - looks[0] < 3.0
            assert len(looks) < 9  # 24 of the first pause, and each a write
            before = len(looks)
            waiting = asyncio.create_task(_passes(mine, 9))
            while len(looks) == before:
                await asyncio.sleep(0.01)
        await waiting
        # whoever gave up waits no more, or nobody who came later would be let in
        while await room.db.read(lambda tx: tx.all("SELECT * FROM gate_places")):
            await asyncio.sleep(0.05)


async def test_in_one_process_too() -> None:
    gate = Gate()
    async with gate.passing(4, until=monotonic() + 9):
        with pytest.raises(Crowded):
            await _passes(gate, 0.05)
    await _passes(gate, 0.05)
