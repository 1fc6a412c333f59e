"""Claims: one owner a row, a fence against those who were taken for dead, seats that fall at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from postroom.clock import timestamp
from postroom.db import Claim, Database, Queue, Seat, Tx, open_database
from postroom.db.claims import LEASE_SECONDS
from postroom.errors import Refused
from tests.child import Child

SERVICES = Queue("sources", order="due_at, id")
NAMED = Queue("sources", order="due_at, id", among="name_key")


async def fill(db: Database, count: int, due: float = 0.0) -> None:
    def body(tx: Tx) -> None:
        tx.many(
            "INSERT INTO sources (id, name, name_key, body, created_at, updated_at, store, mailbox, state, "
            "state_since, note, failures, successes, due_at, epoch) VALUES (:id, :id, :id, '{}', "
            "0, 0, 's', '', 'idle', 0, '', 0, 0, :due, 0)",
            [{"id": f"s{n:05}", "due": due} for n in range(count)],
        )

    await db.write(body)


async def sit(db: Database, owner: str, *, heartbeat: float = 1e12) -> None:
    await db.write(
        lambda tx: tx.execute(
            "INSERT INTO workers (owner, pid, host, started_at, heartbeat_at) "
            "VALUES (:o, 1, 'h', 0, :at) ON CONFLICT (owner) DO UPDATE SET heartbeat_at = :at",
            o=owner,
            at=heartbeat,
        )
    )


async def take(db: Database, owner: str, *, now: float = 1000.0, limit: int = 100) -> list[Claim]:
    return await db.write(lambda tx: SERVICES.claim(tx, owner=owner, now=now, limit=limit))


async def do(db: Database, body: Callable[[Tx], object]) -> None:
    await db.write(body)


async def test_rows_are_taken_once_in_order_and_in_batches(db: Database) -> None:
    """Two workers never have the same row; the earliest due come first."""
    await fill(db, 5)
    await sit(db, "a")
    await sit(db, "b")
    first = await take(db, "a", limit=3)
    second = await take(db, "b")
    assert sorted(one.id for one in first) == ["s00000", "s00001", "s00002"]
    assert sorted(one.id for one in second) == ["s00003", "s00004"]
    assert {one.epoch for one in first + second} == {1}
    assert await take(db, "a") == []


async def test_a_row_is_not_taken_before_its_time(db: Database) -> None:
    """``due_at`` says when; ``next_due`` tells a sleeper how long."""
    await fill(db, 1, due=500.0)
    await sit(db, "a")
    assert await take(db, "a", now=499.0) == []
    assert await db.read(lambda tx: SERVICES.next_due(tx, now=499.0)) == 500.0
    assert len(await take(db, "a", now=500.0)) == 1
    assert await db.read(lambda tx: SERVICES.next_due(tx, now=499.0)) is None


async def test_rows_are_taken_by_name_whatever_the_names_are(db: Database) -> None:
    """A name is a name, also with commas, quotes and percent signs in it."""
    await fill(db, 4)
    await sit(db, "a")
    odd = ['s,"00001', "s%", "s00002,s00003"]

    def rename(tx: Tx) -> None:
        for number, name in enumerate(odd):
            tx.execute(
                "UPDATE sources SET name_key = :name WHERE id = :id", name=name, id=f"s0000{number}"
            )

    await do(db, rename)

    def claim(tx: Tx, *names: str) -> list[str]:
        found = NAMED.claim(tx, owner="a", now=1000.0, limit=10, names=names)
        return sorted(one.id for one in found)

    assert await db.read(lambda tx: NAMED.next_due(tx, now=0.0, names=["s%"])) == 0.0
    assert await db.read(lambda tx: NAMED.next_due(tx, now=0.0, names=["s00001"])) is None
    assert await db.write(lambda tx: claim(tx)) == []
    assert await db.write(lambda tx: claim(tx, odd[0], "s00003")) == ["s00000", "s00003"]
    assert await db.write(lambda tx: claim(tx, "s00002", odd[1])) == ["s00001"]
    assert await db.write(lambda tx: claim(tx, odd[2])) == ["s00002"]


async def test_what_is_due_can_be_seen_and_counted_before_it_is_taken(db: Database) -> None:
    """Looking takes nothing, and sees what a claim would take."""
    await fill(db, 5)
    await sit(db, "a")
    await take(db, "a", limit=2)
    seen = await db.read(lambda tx: NAMED.due(tx, now=1000.0, limit=2))
    assert [row["id"] for row in seen] == ["s00002", "s00003"]
    assert await db.read(lambda tx: NAMED.count_due(tx, now=1000.0)) == 3
    assert await db.read(lambda tx: NAMED.count_due(tx, now=-1.0)) == 0
    names = ["s00002", "s00003", "s00004"]
    assert await db.read(lambda tx: NAMED.names_due(tx, now=1000.0)) == {*names}
    assert await db.read(lambda tx: NAMED.names_due(tx, now=-1.0)) == set()
    await do(db, lambda tx: tx.execute("DELETE FROM workers"))
    assert len(await db.read(lambda tx: NAMED.names_due(tx, now=1000.0))) == 5, "of the dead, too"


async def test_a_claim_says_whether_it_stands(db: Database) -> None:
    """Held until it is given back or taken over."""
    await fill(db, 1)
    await sit(db, "a")
    [one] = await take(db, "a")
    assert await db.read(lambda tx: SERVICES.holds(tx, one, owner="a"))
    assert not await db.read(lambda tx: SERVICES.holds(tx, one, owner="b"))
    await do(db, lambda tx: SERVICES.release(tx, one, owner="a", due_at=0.0))
    assert not await db.read(lambda tx: SERVICES.holds(tx, one, owner="a"))


async def test_a_released_row_comes_again_when_due(db: Database) -> None:
    """Given back, with the time it is wanted."""
    await fill(db, 1)
    await sit(db, "a")
    [one] = await take(db, "a")
    await do(db, lambda tx: SERVICES.release(tx, one, owner="a", due_at=2000.0))
    assert await take(db, "a", now=1999.0) == []
    [again] = await take(db, "a", now=2000.0)
    assert again.epoch == 2


@pytest.mark.parametrize("fate", ["gone", "frozen"])
async def test_what_the_dead_and_the_frozen_had_is_free(db: Database, fate: str) -> None:
    """A seat that is gone frees its rows at once; one without a heartbeat after the lease."""
    await fill(db, 2)
    await sit(db, "old", heartbeat=1000.0)
    await sit(db, "new", heartbeat=1e12)
    assert len(await take(db, "old")) == 2
    if fate == "gone":
        await do(db, lambda tx: tx.execute("DELETE FROM workers WHERE owner = 'old'"))
        assert len(await take(db, "new")) == 2
    else:
        assert await take(db, "new", now=1000.0 + LEASE_SECONDS) == []
        assert len(await take(db, "new", now=1000.1 + LEASE_SECONDS)) == 2


async def test_what_the_gone_left_and_what_nobody_owns_share_a_batch(db: Database) -> None:
    """Neither waits for the other to end: a queue that is never empty would keep what a killed worker
    had for ever.  Never more than was asked for; what the living have stays theirs."""
    await fill(db, 9)
    for owner in ("dead", "frozen", "living"):
        await sit(db, owner)
        assert len(await take(db, owner, limit=2)) == 2
    await sit(db, "frozen", heartbeat=1000.0 - LEASE_SECONDS - 1)
    await do(db, lambda tx: tx.execute("DELETE FROM workers WHERE owner = 'dead'"))
    await sit(db, "new")
    late = ["s00004", "s00005"]
    assert await db.read(lambda tx: SERVICES.count_due(tx, now=1000.0)) == 7
    seen = await db.read(lambda tx: SERVICES.due(tx, now=1000.0, limit=9))
    free = ["s00006", "s00007", "s00008"]
    left = ["s00000", "s00001", "s00002", "s00003"]
    assert [row["id"] for row in seen] == left + free
    assert sorted(one.id for one in await take(db, "new", limit=2)) == [left[0], free[0]]
    assert sorted(one.id for one in await take(db, "new", limit=4)) == [*left[1:3], *free[1:]]
    [last] = await take(db, "new", limit=4)
    assert (last.id, last.epoch) == (left[3], 2)
    assert await db.read(lambda tx: SERVICES.next_due(tx, now=1000.0)) is None
    theirs = "SELECT id FROM sources WHERE owner = 'living' ORDER BY id"
    assert await db.read(lambda tx: [row["id"] for row in tx.all(theirs)]) == late


async def test_of_several_claims_those_that_stand_are_told(db: Database) -> None:
    """One look for a batch: what was given back, taken over or is somebody else's is not among them."""
    await fill(db, 4)
    await sit(db, "a")
    await sit(db, "b")
    mine = await take(db, "a")
    await do(db, lambda tx: SERVICES.release(tx, mine[0], owner="a", due_at=0.0))
    await do(db, lambda tx: tx.execute("UPDATE sources SET epoch = 9 WHERE id = 's00001'"))
    await do(db, lambda tx: tx.execute("UPDATE sources SET owner = 'b' WHERE id = 's00002'"))
    standing = await db.read(lambda tx: SERVICES.standing(tx, mine, owner="a"))
    assert [one.id for one in standing] == ["s00003"]
    assert await db.read(lambda tx: SERVICES.standing(tx, [], owner="a")) == []


async def test_a_zombie_s_settle_fails(db: Database) -> None:
    """Frozen, taken over, come back: its guard and its release fail, and its body is undone (F16)."""
    await fill(db, 1)
    await sit(db, "zombie", heartbeat=1000.0)
    await sit(db, "heir")
    [old] = await take(db, "zombie")
    [new] = await take(db, "heir", now=2000.0)
    await sit(db, "zombie")  # it beats again

    def settle(tx: Tx) -> None:
        tx.execute("UPDATE sources SET note = 'by the zombie'")
        SERVICES.guard(tx, old, owner="zombie")

    for body in (settle, lambda tx: SERVICES.release(tx, old, owner="zombie", due_at=0.0)):
        with pytest.raises(Refused) as lost:
            await do(db, body)
        assert (lost.value.code, lost.value.temporary) == ("claim_lost", True)
    await do(db, lambda tx: SERVICES.guard(tx, new, owner="heir"))
    assert await db.read(lambda tx: tx.value("SELECT note FROM sources")) == ""


async def test_a_row_that_came_back_to_its_first_owner_has_a_new_fence(db: Database) -> None:
    """The same owner with an old epoch is a zombie too."""
    await fill(db, 1)
    await sit(db, "a")
    [old] = await take(db, "a")
    await do(db, lambda tx: SERVICES.release(tx, old, owner="a", due_at=0.0))
    [new] = await take(db, "a")
    with pytest.raises(Refused):
        await do(db, lambda tx: SERVICES.guard(tx, old, owner="a"))
    await do(db, lambda tx: SERVICES.guard(tx, new, owner="a"))


# ------------------------------------------------------------------ seats of real processes


WORKER = """
import asyncio, json, sys
from pathlib import Path
from postroom.db import Queue, Seat, open_database

async def main():
    db = open_database(Path(sys.argv[1]))
    queue = Queue("sources", order="due_at, id")
    async with Seat(db) as seat:
        print(seat.owner, flush=True)
        mine = []
        while True:
            taken = await db.write(
                lambda tx: queue.claim(tx, owner=seat.owner, now=1e9, limit=7))
            if not taken:
                break
            mine += [one.id for one in taken]
        print(json.dumps(mine), flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_processes_share_the_work_and_a_dead_one_s_falls_at_once(tmp_path: Path) -> None:
    """Two processes claim disjoint rows; after kill -9 the next one to sit down has them (F16)."""
    path = tmp_path / "room.db"
    db = open_database(path, create=True)
    await fill(db, 500)
    with Child("-c", WORKER, str(path)) as one, Child("-c", WORKER, str(path)) as two:
        owners = [one.line(), two.line()]
        first, second = json.loads(one.line()), json.loads(two.line())
        assert len(first) + len(second) == 500
        assert set(first).isdisjoint(second)
        async with Seat(db) as seat:
            assert await take(db, seat.owner, now=timestamp(), limit=1000) == []
            one.kill()
            assert await seat.remove_dead() == 1
            mine = await take(db, seat.owner, now=timestamp(), limit=1000)
            assert {claim.id for claim in mine} == set(first)
            two.kill()
        async with Seat(db) as seat:  # sitting down looks for the dead
            mine = await take(db, seat.owner, now=timestamp(), limit=1000)
            assert {claim.id for claim in mine} == set(first) | set(second)
            left = await db.read(
                lambda tx: [row["owner"] for row in tx.all("SELECT * FROM workers")]
            )
            assert left == [seat.owner]
            files = [file.name for file in (tmp_path / "seats").iterdir()]
            assert files == [f"{seat.owner}.lock"]
            assert seat.owner not in owners
    await db.close()


async def test_the_living_are_left_alone(db: Database) -> None:
    """A seat whose lock is held is never removed, in this process or another."""
    async with Seat(db) as one, Seat(db) as two:
        assert await one.remove_dead() == 0
        assert await two.remove_dead() == 0
        owners = await db.read(lambda tx: tx.value("SELECT count(*) FROM workers"))
        assert owners == 2
    assert await db.read(lambda tx: tx.value("SELECT count(*) FROM workers")) == 0


async def test_a_seat_beats(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The heartbeat is what keeps the claims of a process that lives."""
    monkeypatch.setattr("postroom.db.seats.HEARTBEAT_SECONDS", 0.02)
    async with Seat(db):

        def beat() -> float:
            found: float = db.read_now(lambda tx: tx.value("SELECT heartbeat_at FROM workers"))
            return found

        before = beat()
        for _ in range(100):
            await asyncio.sleep(0.02)
            if beat() > before:
                return
    raise AssertionError("no heartbeat within two seconds")
