"""The audit record: what is written, and what an edit of it looks like."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from postroom.audit import Recorder, heads, rows, verify
from postroom.errors import Refused
from tests.unit.vault.rooms import ALICE, Room


def problems(room: Room, **known: Any) -> list[str]:
    return room.db.read_now(lambda tx: verify(tx, room.mac, **known))


async def note(room: Room, name: str, recorder: Recorder | None = None) -> None:
    writer = recorder or room.recorder
    await room.db.write(
        lambda tx: writer.record(
            tx, actor=ALICE, action="test", noun="thing", name=name, detail={"n": name}
        )
    )


async def test_rows_say_who_did_what_and_verify_is_content(room: Room) -> None:
    for name in "abc":
        await note(room, name)
    found = room.db.read_now(lambda tx: rows(tx, limit=2, noun="thing"))
    assert [row["name"] for row in found] == ["c", "b"]
    assert found[0]["actor"] == ALICE
    assert found[0]["detail"] == {"n": "c"}
    assert problems(room) == []


async def test_what_is_rolled_back_leaves_no_hole(room: Room) -> None:
    """The number and code before are read from the table, also when the first row is undone."""

    def undone(tx) -> None:
        room.recorder.record(tx, actor=ALICE, action="test", noun="thing", name="x", detail={})
        raise Refused("no")

    for name in "abc":
        with pytest.raises(Refused):
            await room.db.write(undone)
        await note(room, name)
    assert [row["seq"] for row in await room.sql("SELECT seq FROM audit ORDER BY seq")] == [
        1,
        2,
        3,
        4,
    ]
    assert problems(room) == []


async def test_what_is_rolled_back_between_two_rows_of_one_commit_leaves_no_hole(
    room: Room,
) -> None:
    """Writes that wait together share a commit, and hand the end of the chain on to each other."""

    def undone(tx) -> None:
        room.recorder.record(tx, actor=ALICE, action="test", noun="thing", name="x", detail={})
        raise Refused("no")

    writes = [note(room, "a"), room.db.write(undone), note(room, "b"), note(room, "c")]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(one) for one in results] == [type(None), Refused, type(None), type(None)]
    found = await room.sql("SELECT seq, name FROM audit ORDER BY seq")
    assert [row["seq"] for row in found] == [1, 2, 3, 4]
    assert [row["name"] for row in found][1:] == ["a", "b", "c"]
    assert problems(room) == []


EDITS: dict[str, tuple[str, str]] = {
    "edit": ("UPDATE audit SET actor = 'local:eve' WHERE seq = 3", "row 3 "),
    "detail": ("UPDATE audit SET detail = '{}' WHERE seq = 3", "row 3 "),
    "time": ("UPDATE audit SET at = at - 1 WHERE seq = 3", "row 3 "),
    "code": ("UPDATE audit SET mac = zeroblob(32) WHERE seq = 3", "row 3 "),
    "delete": ("DELETE FROM audit WHERE seq = 3", "row 3 missing before row 4"),
    "delete two": ("DELETE FROM audit WHERE seq IN (3, 4)", "rows 3 to 4 missing before row 5"),
    "beginning": ("DELETE FROM audit WHERE seq = 1", "row 1 missing before row 2"),
    "insert": (
        "INSERT INTO audit SELECT 99, stream, 99, at, actor, action, noun, name, detail, mac, record, "
        "version FROM audit WHERE seq = 3", "missing before row 99"),
    "reorder": (
        "UPDATE audit SET seq = CASE seq WHEN 3 THEN -4 WHEN 4 THEN -3 ELSE seq END",
        "row -4"),
    "other values": ("UPDATE audit SET mac = x'78', at = -1 WHERE seq = 3", "row 3"),
    "other stream": ("UPDATE audit SET stream = 'aaaa' WHERE seq >= 4", "stream aaaa"),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
async def test_an_edit_is_named_by_its_first_bad_row(room: Room, name: str) -> None:
    """T92: edit, delete, insert, reorder, move."""
    for letter in "abcdef":
        await note(room, letter)
    statement, said = EDITS[name]
    await room.sql(statement)
    found = problems(room)
    assert found, "the edit was not seen"
    assert said in found[0], found


async def test_a_swap_of_two_rows_is_seen(room: Room) -> None:
    """T92: reorder, with the numbers put right again."""
    for letter in "abcdef":
        await note(room, letter)
    await room.sql("UPDATE audit SET seq = -seq WHERE seq IN (3, 4)")
    await room.sql("UPDATE audit SET seq = 7 + seq WHERE seq < 0")
    assert "row 3 " in problems(room)[0]


async def test_a_missing_end_is_seen_by_the_checkpoint_of_the_next_process(room: Room) -> None:
    """T92: truncate.  The last row of a stream has none after it that would miss it."""
    for letter in "abc":
        await note(room, letter)
    later = Recorder(room.mac)
    await note(room, "later", later)
    assert problems(room) == []
    await room.sql(
        "DELETE FROM audit WHERE stream = :stream AND seq = 4", stream=room.recorder.stream
    )
    (found,) = problems(room)
    assert f"stream {room.recorder.stream} ends at row 3" in found
    assert "names row 4" in found
    await room.sql("DELETE FROM audit WHERE stream = :stream", stream=room.recorder.stream)
    (found,) = problems(room)
    assert "is missing" in found


async def test_a_forged_end_is_seen(room: Room) -> None:
    """T92: rows cut off and others written in their place by a process with the key."""
    for letter in "abc":
        await note(room, letter)
    await note(room, "later", Recorder(room.mac))
    await room.sql(
        "DELETE FROM audit WHERE stream = :stream AND seq = 4", stream=room.recorder.stream
    )
    await note(room, "another history")
    assert any("states another code" in one for one in problems(room))


async def test_old_streams_are_vouched_for_through_the_chain_of_checkpoints(room: Room) -> None:
    """A checkpoint states what moved since the one before, and names it: nothing is forgotten."""
    await note(room, "a")
    await room.sql("UPDATE audit SET at = at")  # the stream stays as it is
    first = room.recorder.stream
    await room.db.write(room.recorder.close)
    for letter in "bcd":
        await note(room, letter, Recorder(room.mac))
    await room.sql("DELETE FROM audit WHERE stream = :stream", stream=first)
    assert any(first in one for one in problems(room))


async def test_a_database_put_back_to_yesterday_is_seen_by_heads_kept_elsewhere(room: Room) -> None:
    """T92: restore.  Nothing inside the database can tell; the heads outside can."""
    await note(room, "yesterday")
    backup = await room.sql("SELECT * FROM audit")
    await note(room, "today")
    kept = room.db.read_now(heads)
    assert problems(room, known=kept) == []
    await room.sql("DELETE FROM audit WHERE name = 'today'")
    assert len(await room.sql("SELECT 1 FROM audit")) == len(backup)
    assert problems(room) == []
    (found,) = problems(room, known=kept)
    assert "put back to an earlier state" in found


async def test_a_wrong_key_verifies_nothing(room: Room) -> None:
    await note(room, "a")
    wrong: Callable[[bytes], bytes] = lambda data: bytes(32)  # noqa: E731
    assert room.db.read_now(lambda tx: verify(tx, wrong))


async def test_several_processes_write_side_by_side(room: Room) -> None:
    others = [Recorder(room.mac) for _ in range(3)]
    for turn in range(4):
        for other in others:
            await note(room, f"t{turn}", other)
    for other in others:
        await room.db.write(other.checkpoint)
        await room.db.write(other.close)
    assert problems(room) == []
    assert len(room.db.read_now(heads)) == 3


async def test_a_process_that_changes_nothing_writes_nothing(room: Room) -> None:
    idle = Recorder(room.mac)
    await room.db.write(idle.checkpoint)
    await room.db.write(idle.close)
    assert await room.sql("SELECT 1 FROM audit") == []


async def test_a_large_record_is_read_in_pages(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postroom.audit.chain.PAGE", 3)
    for number in range(20):
        await note(room, f"n{number}", Recorder(room.mac) if number % 4 == 0 else None)
    assert problems(room) == []
    await room.sql("DELETE FROM audit WHERE name = 'n10'")
    assert problems(room)


async def test_a_row_of_another_past_does_not_fit(room: Room) -> None:
    """T92: each row is good in itself, but follows another one than it did when it was written."""
    for letter in "abc":
        await note(room, letter)
    (old,) = await room.sql("SELECT * FROM audit WHERE seq = 4")
    await room.sql("DELETE FROM audit WHERE seq > 2")
    for letter in "xy":
        await note(room, letter)
    await room.sql("DELETE FROM audit WHERE seq = 4")
    await room.sql(
        "INSERT INTO audit VALUES (:position, :stream, :seq, :at, :actor, :action, :noun, :name, "
        ":detail, :mac, :record, :version)", **dict(old),
    )  # fmt: skip
    (found,) = problems(room)
    assert "row 4 " in found
