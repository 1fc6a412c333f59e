"""Scenarios of a disk that fails once: at each write, sync and name of what a person may ask."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from postroom.app import open_room
from postroom.errors import PostroomError
from tests.faults.children import Victim, until_dead
from tests.faults.clients import opening
from tests.faults.disk import Failure, Kind
from tests.faults.dose import dose
from tests.faults.history import History, Pen
from tests.faults.stage import Stage
from tests.faults.storing import look, made

__all__ = ["STORIES", "failing_at", "prepared", "sweep"]

VALUE: Final = "a secret that is asked for at the end"
_CODES: Final = {"write": ("EIO", "ENOSPC"), "sync": ("EIO",), "name": ("EIO",)}


@dataclasses.dataclass(frozen=True, slots=True)
class Story:
    """One thing that a person asks: the words, and whether what it is for is there, and whole."""

    words: Callable[[Stage], tuple[str, ...]]
    done: Callable[[Stage], bool]
    begins: str = "room"


def _credential(stage: Stage) -> bool:
    return asyncio.run(_opens(stage, "new"))


async def _opens(stage: Stage, name: str) -> bool:
    """Whether the room has that credential with that secret, as whoever comes next finds it."""
    try:
        room = await open_room(stage.settings)
    except PostroomError:
        return False
    try:
        found = await room.desk.db.write(opening(room, name))
        return bool(found.fields.value.reveal() == VALUE)
    except PostroomError:
        return False
    finally:
        await room.close()


def _term(stage: Stage) -> bool:
    with contextlib.closing(stage.sql()) as sql:
        found = sql.execute("SELECT term, state FROM vault_keys").fetchall()
    return [tuple(one) for one in found] == [(2, "active")]


def _room(stage: Stage) -> bool:
    return asyncio.run(_opens(stage, "old"))


def _empty_room(stage: Stage) -> bool:
    if not (stage.settings.room / "room.db").exists():
        return False
    with stage.sql() as sql:
        return sql.execute(
            "SELECT count(*) FROM sqlite_schema WHERE name = 'vault_keys'"
        ).fetchone()[0] and bool(sql.execute("SELECT count(*) FROM vault_keys").fetchone()[0])


STORIES: Final = {
    "init": Story(lambda stage: ("init",), _empty_room, begins="nothing"),
    "change": Story(
        lambda stage: (
            *("credential", "add", "new", "--type", "secret", "--description", "of a test"),
            *("--value-from-env", "VALUE"),
        ),
        _credential,
    ),
    "rotate": Story(lambda stage: ("keys", "rotate"), _term),
    "kit": Story(
        lambda stage: ("keys", "kit", "--to", str(stage.path / "out" / "kit.txt")),
        lambda stage: (stage.path / "out" / "kit.txt").exists(),
    ),
    "backup": Story(
        lambda stage: ("backup", "create", "--to", str(stage.path / "out" / "room.tar")),
        lambda stage: (stage.path / "out" / "room.tar").exists(),
    ),
    "restore": Story(
        lambda stage: ("backup", "restore", str(stage.path / "out" / "before.tar")),
        _room,
        begins="backup",
    ),
}  # fmt: skip


async def prepared(stage: Stage) -> None:
    """The room that every story begins with: one credential, and a backup beside it."""
    await made(stage)
    (stage.path / "out").mkdir()
    env = {"VALUE": VALUE}
    add = (
        "credential",
        "add",
        "old",
        "--type",
        "secret",
        "--value-from-env",
        "VALUE",
        "--description",
        "x",
    )
    for words in (add, ("backup", "create", "--to", str(stage.path / "out" / "before.tar"))):
        status, told = await _said(stage, words, env=env)
        assert status == 0, told


async def _said(
    stage: Stage, words: tuple[str, ...], *, disk: Failure | None = None, env: dict[str, str]
) -> tuple[int | None, str]:
    """A command line of its own; gives exit status, and all that it said."""
    where = ("--room", stage.where[0], "--kek", stage.where[1])
    with Victim("postroom", *words, *where, disk=disk, env=env) as victim:
        await until_dead(victim)
        out = await asyncio.to_thread(victim.lines)
        return victim.status, "\n".join([*out, victim.complaints()])


async def failing_at(stage: Stage, name: str, failure: Failure) -> tuple[str, list[str]]:
    """Tell a story on a fresh copy of the room while the disk fails.

    Gives the path that was refused (empty: the story is over before), and what is wrong.
    """
    story = STORIES[name]
    status, told = await _said(stage, story.words(stage), disk=failure, env={"VALUE": VALUE})
    refused = next(line[9:] for line in told.splitlines() if line.startswith("refused: "))
    if not refused:
        return "", [] if status == 0 else [f"{name} alone: {told}"]
    wrong = []
    if "Traceback" in told or status is None or status < 0:
        wrong.append(f"it ended badly ({status}): {told}")
    done = await asyncio.to_thread(story.done, stage)
    if done != (status == 0):
        wrong.append(
            f"it was told {'done' if status == 0 else 'to have failed'}, and is not so: {told}"
        )
    if status and not told.replace(f"refused: {refused}", "").strip():
        wrong.append("nothing was said")
    if story.begins == "room":
        wrong += await _sound(stage, finish=False)
    if not done:
        status, told = await _said(stage, story.words(stage), env={"VALUE": VALUE})
        if status or not await asyncio.to_thread(story.done, stage):
            wrong.append(f"said again, it is of no use ({status}): {told}")
    wrong += await _sound(stage, finish=True)
    where = Path(refused).name
    return refused, [
        f"{name}, {failure.kind} {failure.nth} ({failure.code}, {where}): {one}" for one in wrong
    ]


async def _sound(stage: Stage, *, finish: bool) -> list[str]:
    with History() as history:
        return await look(stage, Pen(history.pen, "afterwards"), finish=finish)


def sweep(stage: Stage, name: str, kind: Kind) -> Iterator[tuple[Stage, Failure]]:
    """A fresh copy of what the story begins with, and the next failure; without end."""
    codes = _CODES[kind]
    step = 1 if kind != "write" else dose(17, 1, 1)
    for nth in itertools.count(1, step):
        # in the short dose each of a kind's errors in turn
        for code in dose((codes[nth // step % len(codes)],), codes, codes):
            place = stage.path / "copies" / f"{name}-{kind}-{nth}-{code}"
            copy = Stage(place, stage.ground)
            place.mkdir(parents=True)
            begins = STORIES[name].begins
            if begins != "nothing":
                shutil.copytree(stage.path / "keys", place / "keys")
                shutil.copytree(stage.path / "out", place / "out")
            if begins == "room":
                shutil.copytree(stage.path / "room", place / "room")
            yield copy, Failure(kind, nth, code, str(place))
