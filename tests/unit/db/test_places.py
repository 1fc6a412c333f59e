"""Places: four at a time in the whole room, in the order they came, and none for the dead."""

from __future__ import annotations

import pytest

from postroom.db import (
    Database,
    Tx,
    close_gate,
    gate_closed_for,
    give_places,
    places_wanted,
    take_places,
)
from postroom.db.claims import LEASE_SECONDS

NOW = 1_800_000_000.0


@pytest.fixture
async def seats(db: Database) -> Database:
    """A room with the seats ``ours``, ``theirs`` and ``third``."""

    def sit(tx: Tx) -> None:
        for owner in ("ours", "theirs", "third"):
            tx.execute(
                "INSERT INTO workers (owner, pid, host, started_at, heartbeat_at) "
                "VALUES (:owner, 1, 'h', :now, :now)",
                owner=owner,
                now=NOW,
            )

    await db.write(sit)
    return db


async def _take(
    db: Database, owner: str, wanted: int, *, busy: int = 0, now: float = NOW, gate: str = "g"
) -> bool:
    return await db.write(
        lambda tx: take_places(tx, gate, owner, busy=busy, wanted=wanted, width=4, now=now)
    )


async def _give(db: Database, owner: str, *, busy: int = 0) -> None:
    await db.write(lambda tx: give_places(tx, "g", owner, busy=busy))


async def test_there_are_no_more_than_the_width(seats: Database) -> None:
    assert await _take(seats, "ours", 3)
    assert not await _take(seats, "theirs", 2)
    assert await _take(seats, "theirs", 1, gate="another")
    await _give(seats, "ours", busy=2)
    assert await _take(seats, "theirs", 2)
    assert not await _take(seats, "ours", 1, busy=2)


async def test_who_waits_for_all_is_not_passed_by_who_wants_one(seats: Database) -> None:
    assert await _take(seats, "ours", 1)
    assert not await _take(seats, "theirs", 4, now=NOW + 1)
    assert await seats.read(lambda tx: places_wanted(tx, "g", "ours"))
    assert not await _take(seats, "third", 1, now=NOW + 2)
    assert not await _take(seats, "ours", 1, busy=1, now=NOW + 3)
    await _give(seats, "ours")
    assert not await _take(seats, "third", 1, now=NOW + 4)
    assert await _take(seats, "theirs", 4, now=NOW + 5)


async def test_who_gives_up_waiting_stands_in_nobodys_way(seats: Database) -> None:
    assert await _take(seats, "ours", 1)
    assert not await _take(seats, "theirs", 4)
    await _give(seats, "theirs")
    assert not await seats.read(lambda tx: places_wanted(tx, "g", "ours"))
    assert await _take(seats, "third", 1, now=NOW + 1)


async def test_the_places_of_the_dead_and_the_frozen_are_free(seats: Database) -> None:
    assert await _take(seats, "ours", 4)
    await seats.write(lambda tx: tx.execute("DELETE FROM workers WHERE owner = 'ours'"))
    assert await _take(seats, "theirs", 4)

    def beat(tx: Tx) -> None:
        tx.execute(
            "UPDATE workers SET heartbeat_at = :now WHERE owner = 'third'",
            now=NOW + LEASE_SECONDS + 1,
        )

    await seats.write(beat)
    assert await _take(seats, "third", 4, now=NOW + LEASE_SECONDS + 1)


async def test_a_closed_gate_is_closed_for_all_until_it_opens(seats: Database) -> None:
    async def closed(now: float) -> float:
        return await seats.read(lambda tx: gate_closed_for(tx, "g", now=now))

    assert await closed(NOW) == 0.0
    await seats.write(lambda tx: close_gate(tx, "g", seconds=10, now=NOW))
    await seats.write(lambda tx: close_gate(tx, "g", seconds=1, now=NOW + 1))  # it says less
    assert await closed(NOW + 4) == 6.0
    assert await closed(NOW + 11) == 0.0
    assert await closed(NOW - 3600) == 0.0, "a clock set back must not keep it closed for an hour"
