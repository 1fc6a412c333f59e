"""Checkpoints, and the head of the record that is kept outside the database."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from postroom.audit import Checkpoints, Outside, Recorder, verify
from postroom.audit.record import STREAM_SECONDS
from postroom.errors import RoomError
from tests.unit.audit.test_record import note, problems
from tests.unit.vault.rooms import Room


def watching(room: Room, file: Path | None = None, place: Path | None = None) -> Checkpoints:
    """The checkpoints of another process of this room."""
    kept = file or room.key_file.with_name("room.heads")
    outside = Outside(kept, place or room.db.path.parent, room.mac)
    return Checkpoints(room.db, Recorder(room.mac), outside)


def stated(room: Room) -> list[dict[str, Any]]:
    """What the checkpoints say, in the order of writing."""
    found = room.db.read_now(
        lambda tx: tx.all("SELECT detail FROM audit WHERE name = 'checkpoint' ORDER BY position")
    )
    return [json.loads(row["detail"]) for row in found]


async def put_back(room: Room, copy: list[Any]) -> None:
    """The whole audit table as it was: what a restored database file has."""
    await room.sql("DELETE FROM audit")
    for row in copy:
        names = ", ".join(f":{key}" for key in dict(row))
        await room.sql(f"INSERT INTO audit VALUES ({names})", **dict(row))


async def yesterday(room: Room) -> list[Any]:
    await note(room, "yesterday")
    await watching(room).write()
    return await room.sql("SELECT * FROM audit ORDER BY position")


# ------------------------------------------------------------------ what they state


async def test_a_checkpoint_states_what_moved_since_the_one_before_by_whomever(room: Room) -> None:
    others = [Recorder(room.mac) for _ in range(3)]
    for other in others:
        await note(room, "a", other)
    worker = watching(room)
    await worker.write()
    before = len(stated(room))
    await note(room, "b", others[1])
    await worker.write()
    assert set(stated(room)[before]["heads"]) == {others[1].stream}
    await worker.write()
    assert len(stated(room)) == before + 1, "nothing moved, so nothing is stated"
    assert problems(room) == []


@pytest.mark.parametrize("step", [-3 * 86400.0, 3 * 86400.0])
async def test_a_clock_that_is_set_hides_no_stream(
    room: Room, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    """F22, T92: what was written while the clock was wrong is vouched for, and missed when cut off."""
    from postroom import clock

    real = clock.timestamp
    wrong = Recorder(room.mac)
    await note(room, "before", wrong)
    await watching(room).write()
    monkeypatch.setattr("postroom.audit.record.timestamp", lambda: real() + step)
    await note(room, "while", wrong)
    await note(room, "while, too", wrong)
    monkeypatch.setattr("postroom.audit.record.timestamp", real)
    await watching(room).write()
    assert problems(room) == []
    await room.sql("DELETE FROM audit WHERE name = 'while, too'")
    assert any(wrong.stream in one for one in problems(room))


async def test_a_long_life_is_more_than_one_stream(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams are retired whole, so a worker of two years must not be one stream."""
    worker, quiet = Recorder(room.mac), Recorder(room.mac)
    first, second = worker.stream, quiet.stream
    await note(room, "a", worker)
    await note(room, "b", quiet)
    monkeypatch.setattr("postroom.audit.record.monotonic", lambda: 1e9 + STREAM_SECONDS)
    await room.db.write(worker.checkpoint)
    await note(room, "c", worker)
    await note(room, "d", quiet)  # a program that writes no checkpoints of its own
    assert worker.stream != first
    assert quiet.stream != second
    assert problems(room) == []


ORDER = {
    "position": ("UPDATE audit SET position = 900 WHERE name = 'b'", "was edited"),
    "version": ("UPDATE audit SET record = 'x', version = 9 WHERE name = 'b'", "the version beside"),
    "forged": (
        "INSERT INTO audit SELECT 900, 'ffff', 1, at, actor, action, noun, name, detail, mac, "
        "record, version FROM audit WHERE name = 'b'", "stream ffff"),
}  # fmt: skip


@pytest.mark.parametrize("name", ORDER)
async def test_the_order_and_the_versions_beside_it_cannot_be_edited(room: Room, name: str) -> None:
    """T92: reorder.  The position is in the code; what is indexed is compared with what is stated."""
    for letter in "abc":
        await note(room, letter)
    statement, said = ORDER[name]
    await room.sql(statement)
    assert any(said in one for one in problems(room)), problems(room)


# ------------------------------------------------------------------ kept outside


async def test_yesterday_s_database_is_told_by_the_head_kept_outside(room: Room) -> None:
    """T92: restore.  Inside nothing is wrong; the head beside the key is ahead of it."""
    copy = await yesterday(room)
    await note(room, "today")
    worker = watching(room)
    await worker.write()
    assert await worker.lost() is None
    await put_back(room, copy)
    assert problems(room) == []
    lost = await worker.lost()
    assert lost is not None
    known = {lost.stream: (lost.seq, lost.code)}
    [found] = room.db.read_now(lambda tx: verify(tx, room.mac, known=known))
    assert "put back to an earlier state" in found


async def test_the_next_checkpoint_states_it_and_the_head_stays(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    """T3 (c): the next checkpoint reports the rollback, durably, and nothing it writes covers it up."""
    copy = await yesterday(room)
    await note(room, "today")
    await watching(room).write()
    await put_back(room, copy)
    worker = watching(room)
    logging.getLogger("postroom").propagate = True
    for letter in "abc":
        await note(room, letter)
        await worker.write()
    assert [one for one in caplog.messages if "put back" in one], caplog.messages
    assert sum("lost" in one for one in stated(room)) == 1
    assert any("found the database put back" in one for one in problems(room))
    assert await worker.lost() is not None


STAND_IN = (
    "INSERT INTO audit VALUES (-7, :stream, :seq, 0.0, '', '', '', '', '{}', :mac, NULL, NULL)"
)
RETIRED = (
    "UPDATE audit SET action = 'retire', noun = 'audit', name = 'checkpoint', detail = :told "
    "WHERE name = 'yesterday'"
)
PUT_THERE = (
    "INSERT INTO audit VALUES (:position, :stream, :seq, :at, :actor, :action, :noun, :name, "
    ":detail, :mac, :record, :version)"
)
HIGH = "UPDATE audit SET position = 900 WHERE name = 'yesterday'"
STAND_INS = {
    "its code alone": [STAND_IN],
    "a row that says it was retired": [RETIRED],
    "the row itself": [PUT_THERE],
    "the row itself, and a higher position": [PUT_THERE, HIGH],
    "the row itself, and the newest put behind it":
        [PUT_THERE, "UPDATE audit SET position = 990 WHERE position = :newest"],
}  # fmt: skip


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("name", STAND_INS)
async def test_a_row_put_there_for_a_while_does_not_hide_that_all_was_put_back(
    room: Room, name: str, begun: bool
) -> None:
    """T92: restore.  What stands for the head only until the next one is kept is told afterwards.

    ``begun``: by a process that had begun to write before the row was put there.
    """
    copy = await yesterday(room)
    await note(room, "today")
    await watching(room).write()
    kept = watching(room).outside.head()
    assert kept is not None
    [head] = await room.sql("SELECT * FROM audit WHERE position = :p", p=kept.position)
    await put_back(room, copy)
    worker = Recorder(room.mac)
    if begun:
        await room.sql(HIGH)
        await note(room, "begun", worker)
    told = json.dumps({"why": "", "heads": {}, "retired": {kept.stream: [10**6, "00", 10**9]}})
    values = {**dict(head), "newest": copy[-1]["position"], "told": told}
    for statement in STAND_INS[name]:
        used = {key: value for key, value in values.items() if f":{key}" in statement}
        await room.sql(statement, **used)
    for _ in range(20):
        await note(room, "later", worker)
    late = Checkpoints(room.db, worker, watching(room).outside)
    await late.write()
    await late.close()
    await room.sql(
        "DELETE FROM audit WHERE stream = :stream AND seq = :seq", stream=kept.stream, seq=kept.seq
    )
    for row in copy:
        old = {
            key: row[key]
            for key in ("position", "stream", "seq", "noun", "name", "action", "detail")
        }
        await room.sql(
            "UPDATE audit SET position = :position, noun = :noun, name = :name, action = :action, "
            "detail = :detail WHERE stream = :stream AND seq = :seq", **old,
        )  # fmt: skip
    known = watching(room).outside.head()
    assert known is not None
    heads = {known.stream: (known.seq, known.code)}
    assert room.db.read_now(lambda tx: verify(tx, room.mac, known=heads)) != []


async def test_what_was_meant_is_accepted_with_who_and_why(room: Room) -> None:
    """A restored backup: the head begins anew, the record says so, and later rollbacks are told."""
    copy = await yesterday(room)
    await note(room, "today")
    await watching(room).write()
    await put_back(room, copy)
    worker = watching(room)
    await note(room, "after")
    await worker.write()
    await worker.accept("the disk broke", actor="local:alice")
    assert problems(room) == []
    assert await worker.lost() is None
    [row] = await room.sql("SELECT actor, detail FROM audit WHERE action = 'accept'")
    assert (row["actor"], json.loads(row["detail"])["why"]) == ("local:alice", "the disk broke")
    await put_back(room, copy)
    assert await worker.lost() is not None


async def test_a_head_goes_forward_only(room: Room) -> None:
    """A slower process does not put an older head in the place of a newer one."""
    await note(room, "a")
    slow, fast = watching(room), watching(room)
    older = await slow.newest()
    assert older is not None
    await note(room, "b", Recorder(room.mac))
    await fast.write()
    newer = fast.outside.head()
    slow.outside.keep(older)
    assert fast.outside.head() == newer


async def test_a_copy_of_the_room_elsewhere_is_not_the_room_put_back(room: Room) -> None:
    """The same room id and key at another place: it has a line of its own in the file."""
    await note(room, "a")
    await watching(room).write()
    other = watching(room, place=room.key_file.parent)
    assert other.outside.head() is None
    assert await other.lost() is None
    await other.write()
    assert watching(room).outside.head() is not None


async def test_the_file_is_for_its_owner_and_whole(room: Room) -> None:
    await note(room, "a")
    worker = watching(room)
    await worker.write()
    assert stat.S_IMODE(worker.outside.path.stat().st_mode) == 0o600
    assert [one.name for one in worker.outside.path.parent.glob("*.part")] == []


async def test_an_edited_head_is_told_and_left(room: Room) -> None:
    """Who can write the file but has no key cannot make it say less."""
    await note(room, "a")
    worker = watching(room)
    await worker.write()
    path = worker.outside.path
    found = json.loads(path.read_text())
    for line in found["rooms"].values():
        line["seq"] = 1
    path.write_text(json.dumps(found))
    with pytest.raises(RoomError, match="edited"):
        await worker.lost()
    await note(room, "b")
    await worker.write()
    assert json.loads(path.read_text()) == found
    await worker.accept("it was edited", actor="local:alice")
    assert await worker.lost() is None


async def test_where_the_head_cannot_be_kept_everything_else_works(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    """A read-only configuration directory: said once, and the record goes on."""
    blocked = room.key_file.with_name("blocked")
    blocked.write_text("not a directory")
    worker = watching(room, file=blocked / "room.heads")
    logging.getLogger("postroom").propagate = True
    for letter in "abc":
        await note(room, letter)
        await worker.write()
    assert len([one for one in caplog.messages if "cannot be kept" in one]) == 1
    assert problems(room) == []


async def test_a_frozen_process_that_holds_the_file_holds_nobody_up(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever closes a room waits a while for it, and no longer; the record itself is written."""
    monkeypatch.setattr("postroom.audit.outside.WAIT_SECONDS", 0.1)
    worker = watching(room)
    await note(room, "a")
    file = os.open(worker.outside.path.parent, os.O_RDONLY)
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        await worker.write()
        assert worker.outside.head() is None
    finally:
        os.close(file)
    await note(room, "b")
    await worker.write()
    assert worker.outside.head() is not None
    assert problems(room) == []
