"""Nobody learns of what is hidden from them, at any door: generated from the table of doors.

Two rooms are asked the same by the same people: in one there is what is restricted, and much that rests
on it; in the other there is nothing of it.  Both have to answer the same.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from postroom.access import ROLES, Person, throttle
from postroom.app import NOUNS, Room, open_room
from postroom.db import Tx
from postroom.errors import PostroomError
from postroom.operations.doors import DOORS
from postroom.settings import Settings
from tests.ground import Pki
from tests.unit.operations.askings import ASKED, HIDDEN, NAMES, NOT_ASKED, SHOWN, Ask, fill
from tests.unit.operations.furnished import furnish, ids_of

PEOPLE = {**{role: verbs for role, verbs in ROLES.items() if role != "admin"},
          "nearly": ROLES["admin"] - {"users"}}  # fmt: skip
"""Who asks: every role that needs a grant, and whoever may all but see to people."""
TABLES = (
    "credentials", "credential_versions", "connections", "connection_events", "sources", "ledger",
    "services", "outbox", "outbox_recipients", "outbox_content", "jobs", "runs", "run_log",
    "notifications", "notices", "sign_ins", "grants", "users", "api_tokens",
)  # fmt: skip


def test_every_door_is_asked_and_every_parameter() -> None:
    """A door that is new, or takes something new, is asked here, or says why not."""
    assert ASKED.keys() == {f"{door.noun}.{door.method}" for door in DOORS}
    for door in DOORS:
        module, kind = NOUNS[door.noun]
        made = getattr(import_module(f"postroom.operations.{module}"), kind)
        taken = list(inspect.signature(getattr(made, door.method)).parameters)[1:]
        asked = ASKED[f"{door.noun}.{door.method}"]
        given = {name for one in asked for name in one.named}
        given |= set(taken[: max(len(one.given) for one in asked)])
        left = set(taken) - given - NOT_ASKED.keys()
        assert not left, (door.noun, door.method, left)


@pytest.fixture
async def rooms(
    tmp_path: Path, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Room, Room]]:
    """A room with what is hidden, and one without."""
    # nobody answers here; how long that is held back is tested in journeys/test_port_scan.py
    monkeypatch.setattr("postroom.net.veil.HOLD_SECONDS", 0.01)
    opened = []
    for place, names in (("full", (SHOWN, HIDDEN)), ("bare", (SHOWN,))):
        folder = tmp_path / place
        room = await open_room(
            Settings(folder / "room", f"file:{folder / 'keys' / 'room.key'}"), make=True
        )
        await furnish(room, names, pki.ca.read_text())
        opened.append(room)
    yield opened[0], opened[1]
    for room in opened:
        await room.close()


async def person(room: Room, role: str) -> Person:
    held = role if role in ROLES else "admin"
    await room.users.add("eve", held)
    user = await room.desk.db.read(lambda tx: tx.value("SELECT id FROM users WHERE name = 'eve'"))
    return Person("user:eve", held, PEOPLE[role], user)


async def told(room: Room, door: str, one: Ask, words: dict[str, Any]) -> str:
    """What somebody is told who asks that: what they said themselves stands for itself."""
    noun, _, method = door.partition(".")
    try:
        said = getattr(getattr(room, noun), method)(
            *fill(one.given, words), **fill(dict(one.named), words)
        )
        said = await said if inspect.isawaitable(said) else said
    except PostroomError as error:
        said = [type(error).__name__, error.as_json()]
    beside = [getattr(said, each, None) for each in ("total", "unsettled", "next")]
    text = f"{said.as_json() if hasattr(said, 'as_json') else said!r} {beside}"
    for key in ("item", "start", "run", "runstart"):
        text = text.replace(words[key], "ID")
    return level(text.replace(str(room.settings.room.parent), "DIR"))


def level(text: str) -> str:
    """A text without what no two rooms have the same: ids, times and what is measured."""
    text = re.sub(r"\b\d+\.\d+(e-?\d+)?\b", "NUMBER", text)
    text = re.sub(r"\b[0-9a-f]{12,}\b", "ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\d[T ][\d:.]+(Z|\+00:00)?", "TIME", text)
    text = re.sub(r"Not sent within [^']*", "Not sent", text)
    return re.sub(r"<[\w.-]{20,}@example\.com>", "MESSAGE", text)


def parted(one: str, other: str) -> str:
    """Where two texts begin to differ."""
    at = next((n for n, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), -1)
    return f"  {one[max(0, at - 60) : at + 200]}\n  {other[max(0, at - 60) : at + 200]}"


def about(text: str) -> str:
    """Where a text names what is hidden."""
    at = text.find(HIDDEN)
    return text[max(0, at - 120) : at + 120]


def without(text: str, asked: str) -> str:
    return re.sub(rf"{asked}(?![a-z])", "NAME", text)


async def kept(room: Room, marks: frozenset[str]) -> list[str]:
    """Every row that is hidden, as it is, and what hidden connections come to."""

    def body(tx: Tx) -> list[str]:
        return [
            f"{table}: {tuple(row)!r}"
            for table in TABLES
            for row in tx.all(f"SELECT * FROM {table}")
        ]

    found = await room.desk.db.read(body)
    found += [f"effective: {each!r}" for each in await room.connections.list()]
    hidden = re.compile("|".join(map(re.escape, marks)))
    return [row for row in found if hidden.search(row)]


async def marks_of(room: Room) -> frozenset[str]:
    """The name of what is hidden, and its ids."""
    found = await kept(room, frozenset({HIDDEN}))
    return frozenset(
        {HIDDEN} | {each for row in found for each in re.findall(r"'([0-9a-f]{12,})'", row[:60])}
    )


@pytest.mark.slow
@pytest.mark.timeout(400)  # some thousand questions, on a busy machine
@pytest.mark.parametrize("role", PEOPLE)
async def test_no_door_tells_of_what_is_hidden(
    rooms: tuple[Room, Room], role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T27, T48: by its name, nearly its name, its id or none: all that is told is told without it too,
    in the words of what does not exist; nothing counts it, and nothing of it is changed."""
    monkeypatch.setattr("postroom.operations.notify.TEST_SECONDS", 0.2)
    often = throttle.Limit("sign-in test", 1_000_000, 60.0)
    monkeypatch.setattr("postroom.access.throttle.TESTS", often)
    full = rooms[0]
    marks = await marks_of(full)
    before, version = await kept(full, marks), 0
    acting = [room.acting(await person(room, role)) for room in rooms]
    words = {(room is full, each): await ids_of(room, each) for room in rooms for each in NAMES}
    wrong = []
    for door, asked in ASKED.items():
        for one in asked:
            names = NAMES if re.search(r"\{[a-z]+\}", repr(one)) else NAMES[:1]
            heard = []
            for each in names:
                found = await told(acting[0], door, one, words[True, each])
                if not one.apart:
                    other = await told(acting[1], door, one, words[False, each])
                heard.append(without(found, each))
                if HIDDEN in heard[-1].replace("from_='payroll", ""):
                    wrong.append(f"{door} {one.given} {dict(one.named)} names it: {about(found)}")
                elif not one.apart and found != other:
                    wrong.append(
                        f"{door} {one.given} {dict(one.named)} {each}:\n{parted(found, other)}"
                    )
            if not one.apart and heard[0] != heard[-1]:
                wrong.append(f"{door} {one} is told apart:\n{parted(heard[0], heard[-1])}")
        seen, version = version, full.desk.db.data_version()
        after = before if seen == version else await kept(full, marks)
        if after != before:
            changed = sorted(set(after) ^ set(before))
            wrong.append(f"{door} changed what is hidden:\n  " + "\n  ".join(changed)[:1500])
            before = after
    assert not wrong, f"{len(wrong)}\n" + "\n".join(wrong)


async def test_a_list_counts_the_uses_that_a_record_has(rooms: tuple[Room, Room]) -> None:
    """For whoever sees all, and whoever does not: the number in a list is that of what is listed."""
    full = rooms[0]
    eve = full.acting(await person(full, "operator"))
    for room in (full, eve):
        counted = {one["name"]: one["used_by"] for one in await room.connections.list()}
        listed = {name: (await room.connections.usage(name)).uses for name in counted}
        assert counted == {name: sum(not use.via for use in listed[name]) for name in listed}
        assert {use.noun for uses in listed.values() for use in uses if not use.via} == {
            "connection", "source", "service", "job", "outbox",
        }  # fmt: skip
