"""Token buckets as rows: every process of the room shares one limit."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.db import Database, Tx, give_tokens, open_database, take_tokens


class Bucket:
    """A bucket of 10, refilled in 60 seconds."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def take(self, wanted: int, now: float) -> tuple[int, float]:
        return await self._db.write(
            lambda tx: take_tokens(tx, "b", wanted=wanted, most=10, per=60.0, now=now)
        )


@pytest.fixture
def bucket(db: Database) -> Bucket:
    return Bucket(db)


async def test_a_full_bucket_gives_what_it_has(bucket: Bucket) -> None:
    """At most ``max`` at once, and then the time until the next."""
    assert await bucket.take(4, 0.0) == (4, 0.0)
    taken, wait = await bucket.take(8, 0.0)
    assert taken == 6
    assert wait == pytest.approx(6.0)
    taken, wait = await bucket.take(1, 3.0)
    assert taken == 0
    assert wait == pytest.approx(3.0)
    assert await bucket.take(1, 6.0) == (1, 0.0)


async def test_it_never_holds_more_than_its_size(bucket: Bucket) -> None:
    """A quiet year saves up no burst."""
    await bucket.take(10, 0.0)
    assert (await bucket.take(100, 365 * 86400.0))[0] == 10


async def test_a_clock_that_jumps_back_freezes_nothing(bucket: Bucket) -> None:
    """After a jump back the bucket refills from there on."""
    await bucket.take(10, 10_000.0)
    assert (await bucket.take(1, 0.0))[0] == 0
    assert (await bucket.take(1, 6.1))[0] == 1


async def test_tokens_not_needed_come_back(db: Database, bucket: Bucket) -> None:
    """What was taken and not used is there for the next, but never more than the size."""
    await bucket.take(10, 0.0)
    await db.write(lambda tx: give_tokens(tx, "b", 3))
    assert (await bucket.take(10, 0.0))[0] == 3
    await db.write(lambda tx: give_tokens(tx, "b", 1000))
    assert (await bucket.take(100, 0.0))[0] == 10


async def test_two_connections_share_one_bucket(db: Database, bucket: Bucket) -> None:
    """The limit is of the room, not of the process."""
    other = open_database(db.path)
    assert (await bucket.take(6, 0.0))[0] == 6
    assert (await Bucket(other).take(6, 0.0))[0] == 4
    await other.close()


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 20)), min_size=1, max_size=30))
def test_no_more_than_the_rate_over_any_time(
    tmp_path_factory: pytest.TempPathFactory, asks: list[tuple[float, int]]
) -> None:
    """Whoever asks when: never more than the bucket plus the rate times the time that passed."""
    path = Path(tmp_path_factory.getbasetemp()) / "limits.db"
    db = open_database(path, create=not path.exists())
    now, total = 0.0, 0

    def body(tx: Tx) -> None:
        nonlocal now, total
        tx.execute("DELETE FROM limits")
        for pause, wanted in asks:
            now += pause
            taken, wait = take_tokens(tx, "x", wanted=wanted, most=10, per=60.0, now=now)
            total += taken
            assert 0 <= taken <= wanted
            assert (wait > 0) is (taken < wanted)
            assert total <= 10 + now / 6.0 + 1e-6

    import asyncio

    async def run() -> None:
        await db.write(body)
        await db.close()

    asyncio.run(run())
