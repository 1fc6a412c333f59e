"""The rooms that tests are given: as good as made, and nothing of one in another."""

from __future__ import annotations

from pathlib import Path

from postroom.app import DATABASE, open_room
from postroom.settings import Settings
from tests.newroom import new_room


def settings_in(folder: Path) -> Settings:
    return Settings(folder / "room", f"file:{folder / 'keys' / 'room.key'}")


async def test_what_is_put_down_is_a_room_of_its_own(tmp_path: Path) -> None:
    one, two = settings_in(tmp_path / "one"), settings_in(tmp_path / "two")
    for each in (one, two):
        new_room(each)
    first, second = [await open_room(each) for each in (one, two)]
    await first.variables.add("HOST", "imap.example.com")
    assert await second.variables.list() == {}
    for room in (first, second):
        assert room.desk.locked is None
        [key] = await room.keys.kek.list()
        assert key["source"] == room.settings.kek
        await room.close()


async def test_it_is_what_making_one_makes(tmp_path: Path) -> None:
    copied, made = settings_in(tmp_path / "copied"), settings_in(tmp_path / "made")
    new_room(copied)
    for each in (copied, made):
        await (await open_room(each, make=each is made)).close()
    places = [each.room.parent for each in (copied, made)]
    files = [
        {str(file.relative_to(place)): oct(file.stat().st_mode) for file in place.rglob("*")}
        for place in places
    ]
    assert files[0] == files[1]
    assert f"room/{DATABASE}" in files[0]
