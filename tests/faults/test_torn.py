"""What a lost power supply leaves: the log of the database ends anywhere, or in a torn frame."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from postroom.app import Room, open_room
from postroom.secret import Secret
from tests.faults.clients import opening
from tests.faults.dose import dose, minutes
from tests.faults.stage import Stage

pytestmark = pytest.mark.timeout(minutes(3, 45, 45))

COMMITS = dose(2, 50, 50)
"""In one log; with more, SQLite would begin to move it into the database."""
ROUNDS = dose(1, 4, 4)
_HEADER, _FRAME = 32, 24 + 4096  # https://www.sqlite.org/walformat.html


@dataclasses.dataclass(frozen=True)
class Acked:
    """How long the log was when a state had been acknowledged: version and value by name."""

    length: int
    state: dict[str, tuple[int, str]]


async def test_a_log_that_ends_anywhere_is_the_last_state_that_was_whole(stage: Stage) -> None:
    """F3: cut at every frame, and in the middle of it: the room opens, as the last acknowledged state
    that lies wholly before the cut, and everything in it can be read."""
    for run in range(ROUNDS):
        here = dataclasses.replace(stage, path=stage.path / str(run))
        here.path.mkdir()
        room = await open_room(here.settings, make=True)
        states = await _written(here, room)
        base, log = (path.read_bytes() for path in (_file(here), _file(here, "-wal")))
        await room.close()
        assert len(log) == states[-1].length
        for end in range(states[1].length, len(log) + 1, _FRAME):
            torn = log[: end + stage.chance.randrange(1, _FRAME)]
            for cut, whole in ((log[:end], end), (torn, end), (_spoilt(log[:end], stage), end - 1)):
                wanted = _wanted(states, whole)
                assert await _found(here, base, cut) == wanted, f"cut to {len(cut)} bytes"


def _wanted(states: list[Acked], length: int) -> dict[str, tuple[int, str]]:
    return [one.state for one in states if one.length <= length][-1]


def _spoilt(log: bytes, stage: Stage) -> bytes:
    """The last frame was written in part: some of its bytes are those of an older life."""
    at = len(log) - stage.chance.randrange(1, 4096)
    return log[:at] + bytes([log[at] ^ 0xFF]) + log[at + 1 :]


async def _written(stage: Stage, room: Room) -> list[Acked]:
    with_log = _file(stage, "-wal")
    state: dict[str, tuple[int, str]] = {}
    await room.credentials.create("k0", "secret", details={"value": Secret("k0 at first")})
    state["k0"] = (1, "k0 at first")
    states = [Acked(with_log.stat().st_size, dict(state))]
    for number in range(COMMITS):
        name, value = f"k{number % 5}", f"number {number} of all"
        give = {"value": Secret(value)}
        if name in state:
            saved = await room.credentials.set(name, give)
        else:
            saved = await room.credentials.create(name, "secret", details=give)
        state[name] = (saved.credential.version, value)
        states.append(Acked(with_log.stat().st_size, dict(state)))
    return states


async def _found(stage: Stage, base: bytes, log: bytes) -> dict[str, tuple[int, str]]:
    """Open the room that these two files are, and read it."""
    copy = dataclasses.replace(stage, path=stage.path / "copy")
    shutil.rmtree(copy.path, ignore_errors=True)
    shutil.copytree(stage.path / "keys", copy.path / "keys")
    copy.settings.room.mkdir(mode=0o700)
    _file(copy).write_bytes(base)
    _file(copy, "-wal").write_bytes(log)
    room = await open_room(copy.settings)
    try:
        assert room.desk.locked is None
        assert room.desk.db.read_now(lambda tx: tx.value("PRAGMA integrity_check")) == "ok"
        found = {}
        for one in await room.credentials.list():
            opened = await room.desk.db.write(opening(room, one["name"]))
            found[one["name"]] = (opened.version, opened.fields.value.reveal())
        return found
    finally:
        await room.close()


def _file(stage: Stage, suffix: str = "") -> Path:
    return stage.settings.room / f"room.db{suffix}"
