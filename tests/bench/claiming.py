"""Claims a second in batches, and the takeover of all that a killed worker had."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path

from postroom.clock import timestamp
from postroom.db import Database, Queue, Seat, Tx, open_database
from tests.bench.collecting import Say
from tests.bench.figures import Figure, Samples
from tests.bench.rooms import Scratch
from tests.child import Child

__all__ = ["claiming"]

BATCH = 1000
_QUEUE = Queue("sources")
_ROW = (
    "INSERT INTO sources (id, name, name_key, body, created_at, updated_at, store, mailbox, state, "
    "state_since, note, failures, successes, due_at, epoch) VALUES (:id, :id, :id, '{}', 0, 0, 's', "
    "'', 'idle', 0, '', 0, 0, 0, 0)"
)
_OWNER = """
import asyncio, sys
from pathlib import Path
from tests.bench.claiming import own_all
asyncio.run(own_all(Path(sys.argv[1])))
"""


def claiming(rows: int, runs: int, disk: Scratch, say: Say) -> list[Figure]:
    """Figures of claiming ``rows`` sources in batches, and of taking them over after kill -9."""
    rates: list[float] = []
    used: list[float] = []
    bare: list[float] = []
    takeover: list[float] = []
    for run in range(runs):
        with disk.new() as base:
            bare.append(_bare_loop(_filled(base / "bare.db", rows), rows))
            rate, cpu = asyncio.run(_claimed(_filled(base / "room.db", rows), rows))
            rates.append(rate)
            used.append(cpu)
        with disk.new() as base:
            takeover.append(_taken_over(_filled(base / "room.db", rows), rows))
        say(
            f"claim, run {run + 1}: {rates[-1]:,.0f}/s ({used[-1]:.2f} s CPU, "
            f"{rows / used[-1]:,.0f}/s of it), a bare UPDATE loop {bare[-1]:,.0f}/s, "
            f"{rows:,} taken over in {takeover[-1]:,.0f} ms"
        )
    loop = Samples("sqlite3, UPDATE loop", bare)
    return [
        Figure(f"claim {rows:,} rows, {BATCH:,} at a time", "rate", rates, loop, ">= 50,000/s"),
        Figure(f"take {rows:,} rows over after kill -9", "time", takeover, None, "< 18 s"),
    ]


def _filled(path: Path, rows: int) -> Path:
    """A room's database with so many rows that are due."""

    async def fill() -> None:
        db = open_database(path, create=True)
        await db.write(lambda tx: tx.many(_ROW, ({"id": f"s{n:07}"} for n in range(rows))))
        await db.close()

    asyncio.run(fill())
    return path


async def _claimed(path: Path, rows: int) -> tuple[float, float]:
    """Rows a second, and the seconds of processor time that all of them took."""
    db = open_database(path)
    async with Seat(db) as seat:
        begin, cpu = time.perf_counter(), time.process_time()
        assert await _claim_all(db, seat) == rows
        rate, used = rows / (time.perf_counter() - begin), time.process_time() - cpu
    await db.close()
    return rate, used


async def _claim_all(db: Database, seat: Seat) -> int:
    def body(tx: Tx) -> int:
        return len(_QUEUE.claim(tx, owner=seat.owner, now=timestamp(), limit=BATCH))

    count = 0
    while taken := await db.write(body):
        count += taken
    return count


def _bare_loop(path: Path, rows: int) -> float:
    """The same rows by the simplest statement, as many in a commit, as durable."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous=FULL")
    begin = time.perf_counter()
    for first in range(0, rows, BATCH):
        db.execute("BEGIN IMMEDIATE")
        db.execute(
            "UPDATE sources SET owner = 'me', epoch = epoch + 1 WHERE id >= ? AND id < ?",
            (f"s{first:07}", f"s{first + BATCH:07}"),
        )
        db.execute("COMMIT")
    rate = rows / (time.perf_counter() - begin)
    db.close()
    return rate


async def own_all(path: Path) -> None:
    """Own every row and stay: what the process does that is killed."""
    db = open_database(path)
    async with Seat(db) as seat:
        print(await _claim_all(db, seat), flush=True)
        await asyncio.sleep(3600)


def _taken_over(path: Path, rows: int) -> float:
    """Milliseconds from kill -9 of the owner until another process has every row."""
    root = str(Path(__file__).parents[2])
    with Child("-c", _OWNER, str(path), env={"PYTHONPATH": f"{root}:{root}/src"}) as owner:
        assert int(owner.line()) == rows
        return asyncio.run(_heir(path, rows, owner))


async def _heir(path: Path, rows: int, owner: Child) -> float:
    db = open_database(path)
    async with Seat(db) as seat:
        assert await _claim_all(db, seat) == 0
        owner.kill()
        begin = time.perf_counter()
        assert await seat.remove_dead() == 1
        assert await _claim_all(db, seat) == rows
        took = (time.perf_counter() - begin) * 1000
    await db.close()
    return took
