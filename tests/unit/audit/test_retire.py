"""Retiring whole streams: what is kept stays proved, and what is missing is not taken for retired."""

from __future__ import annotations

import json

import pytest

from postroom.audit import Checkpoints, Outside, Recorder, active_term, retire
from postroom.clock import timestamp
from postroom.errors import RoomError
from tests.unit.audit.test_record import note, problems
from tests.unit.vault.rooms import LINE, Room

DAY = 86400.0


@pytest.fixture
def travel(monkeypatch: pytest.MonkeyPatch):
    """Sets the clock of the record so many days ahead."""

    def to(days: float) -> None:
        monkeypatch.setattr("postroom.audit.record.timestamp", lambda: timestamp() + days * DAY)

    return to


async def process(room: Room, *names: str, killed: bool = False) -> str:
    """A process start that does something; gives its stream."""
    recorder = Recorder(room.mac)
    for name in names:
        await note(room, name, recorder)
    if not killed:
        await room.db.write(recorder.close)
    return recorder.stream


async def retired(room: Room, days: float, worker: Recorder | None = None) -> tuple[int, list[str]]:
    """Retire at day ``days`` what is older than 400 days."""
    recorder = worker or Recorder(room.mac)
    before = timestamp() + (days - 400) * DAY
    return await room.db.write(lambda tx: retire(tx, recorder, room.mac, before=before))


async def streams(room: Room) -> set[str]:
    return {row["stream"] for row in await room.sql("SELECT DISTINCT stream FROM audit")}


async def test_old_streams_go_whole_and_the_rest_stays_proved(room: Room, travel) -> None:
    old = [await process(room, "a", "b"), await process(room, "c", killed=True)]
    travel(100)
    young = await process(room, "d")
    travel(450)
    assert await retired(room, 450) == (2, [])
    assert not set(old) & await streams(room)
    assert young in await streams(room)
    assert problems(room) == []
    [row] = await room.sql("SELECT detail FROM audit WHERE action = 'retire'")
    assert set(json.loads(row["detail"])["retired"]) == set(old)
    await room.sql("DELETE FROM audit WHERE stream = :s", s=young)
    assert any(young in one for one in problems(room)), "a missing stream is no retired one"


async def test_nothing_young_and_nothing_of_its_own_goes(room: Room, travel) -> None:
    worker = Recorder(room.mac)
    await note(room, "a", worker)
    await process(room, "b")
    assert await retired(room, 399, worker) == (0, [])
    travel(450)
    assert await retired(room, 450, worker) == (1, [])
    assert worker.stream in await streams(room)
    assert problems(room) == []


async def test_years_of_it_stay_whole(room: Room, travel) -> None:
    """Two workers, of whom one always began before the other ended; both tell of retired streams."""
    before = Recorder(room.mac)
    for month in range(48):
        travel(30 * month)
        worker = Recorder(room.mac)
        await note(room, f"m{month}", worker)
        await process(room, "x", "y")
        for one in (before, worker):
            assert (await retired(room, 30 * month, one))[1] == []
        await room.db.write(before.close)
        await room.db.write(worker.checkpoint)
        assert problems(room) == [], month
        before = worker
    assert len(await streams(room)) < 40, "the old ones are gone"


async def test_what_explains_an_old_claim_outlives_its_own_stream(room: Room, travel) -> None:
    """A program that wrote for years began before streams that are gone; its claims stay good."""
    await process(room, "gone first")
    long = Recorder(room.mac)
    await note(room, "begin", long)
    for day in range(0, 2000, 150):
        travel(day)
        await note(room, f"d{day}", long)
        await process(room, "other")
        assert (await retired(room, day))[1] == []
        assert problems(room) == [], day
    assert len(await streams(room)) < 12


async def test_what_was_cut_off_is_not_retired_over(room: Room, travel) -> None:
    """T92: a stream whose end was removed stays, with the reason, for verify to tell."""
    old = await process(room, "a", "b")
    await process(room, "c")
    await room.sql(
        "DELETE FROM audit WHERE stream = :s AND seq = (SELECT max(seq) FROM audit WHERE stream = :s)",
        s=old,
    )
    travel(450)
    count, [found] = await retired(room, 450)
    assert count == 0
    assert old in found
    assert any(old in one for one in problems(room))


async def test_rows_under_the_name_of_a_retired_stream_are_told(room: Room, travel) -> None:
    """T92: insert."""
    old = await process(room, "a", "b")
    rows = await room.sql("SELECT * FROM audit WHERE stream = :s AND seq < 3", s=old)
    travel(450)
    await process(room, "c")
    await retired(room, 450)
    for row in rows:
        await room.sql(
            "INSERT INTO audit VALUES (:position, :stream, :seq, :at, :actor, :action, :noun, "
            ":name, :detail, :mac, :record, :version)", **dict(row),
        )  # fmt: skip
    assert any("was retired" in one and "are there" in one for one in problems(room))


async def test_the_head_kept_outside_may_be_of_a_stream_that_was_retired(
    room: Room, travel
) -> None:
    """A room that slept for two years is not taken for one that was put back."""
    outside = Outside(room.key_file.with_name("room.heads"), room.db.path.parent, room.mac)
    old = Checkpoints(room.db, Recorder(room.mac), outside)
    await process(room, "a")
    await old.write()
    await old.close()
    travel(800)
    woken = Checkpoints(room.db, Recorder(room.mac), outside)
    assert (await retired(room, 800))[0] > 0
    assert await woken.lost() is None
    await woken.write()
    assert problems(room) == []


async def test_a_version_is_remembered_when_the_row_that_made_it_goes(room: Room, travel) -> None:
    """T3: what was set 500 days ago and put back today is refused all the same."""
    await room.login("acme", "correct horse 1")
    await room.login("acme", "correct horse 2")
    await room.login("gone", "correct horse 3")
    await room.db.write(lambda tx: room.store.delete(tx, "gone", actor="local:alice"))
    stream = room.recorder.stream
    travel(500)
    assert await retired(room, 500) == (1, [])
    assert stream not in await streams(room)
    remembered = await room.sql("SELECT name, version FROM audit WHERE action = 'remember'")
    assert [tuple(row) for row in remembered] == [("acme", 2)]
    assert problems(room) == []
    await room.sql("UPDATE credentials SET version = 1 WHERE name = 'acme'")
    with pytest.raises(RoomError, match="put back to version 1"):
        await room.open("acme", LINE)


async def test_the_active_vault_key_is_remembered_when_the_row_of_its_rotation_goes(
    room: Room, travel
) -> None:
    """T20: a rotation of 500 days ago is not undone today."""
    await room.db.write(
        lambda tx: room.recorder.record(
            tx, actor="local:alice", action="rotate", noun="keys", name="vault",
            detail={"term": 7, "vault_key": "k7"},
        )
    )  # fmt: skip
    travel(500)
    assert (await retired(room, 500))[0] == 1
    assert room.db.read_now(lambda tx: active_term(tx, room.mac)) == (7, "k7")
    assert problems(room) == []


@pytest.mark.parametrize("step", [-40.0, 40.0])
async def test_a_clock_step_or_an_inserted_row_lowers_no_version(
    room: Room, travel, step: float
) -> None:
    """T3 (b): neither a clock that was set back nor a row of somebody with SQL hides version 2."""
    await room.login("acme", "correct horse 1")
    travel(step)
    await room.login("acme", "correct horse 2")
    travel(0)
    record = room.id("acme")
    await room.sql(
        "INSERT INTO audit SELECT position + 90, 'forged', 1, at + 9e9, actor, action, noun, name, "
        "detail, mac, record, 1 FROM audit WHERE record = :r AND version = 1 LIMIT 1", r=record,
    )  # fmt: skip
    await room.sql("UPDATE credentials SET version = 1 WHERE name = 'acme'")
    with pytest.raises(RoomError, match="put back to version 1; the audit record knows version 2"):
        await room.open("acme", LINE)
    assert any("forged" in one for one in problems(room))
