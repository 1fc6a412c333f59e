"""Settings of the process, read from its environment."""

from __future__ import annotations

import pytest

from postroom.errors import RoomError
from postroom.settings import settings_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1", True), ("true", True), ("Yes", True), ("ON", True), (" 1 ", True),
     ("", False), ("0", False), ("false", False), ("No", False), ("off", False)],
)  # fmt: skip
def test_public_only_is_yes_or_no(text: str, expected: bool) -> None:
    assert settings_of(environ={"POSTROOM_PUBLIC_ONLY": text}).public_only is expected


@pytest.mark.parametrize("text", ["enable", "2", "y e s", "ja"])
def test_a_word_that_is_neither_is_not_taken_for_no(text: str) -> None:
    """Who meant to forbid private addresses would believe that they are forbidden."""
    with pytest.raises(RoomError, match="neither yes nor no") as refused:
        settings_of(environ={"POSTROOM_PUBLIC_ONLY": text})
    assert refused.value.exit_status == 78


@pytest.mark.parametrize(
    ("said", "environ", "hint"),
    [
        (None, {"POSTROOM_ROOM": "https://mail.example.com"}, "Set POSTROOM_ROOM to the directory"),
        (None, {"POSTROOM_URL": "https://mail.example.com"}, "Unset POSTROOM_URL, and give"),
        ("http://mail.example.com", {}, "Give the directory"),
        ("https://mail.example.com", {"POSTROOM_ROOM": "/srv/room"}, "Give the directory"),
    ],
)
def test_a_room_served_elsewhere_is_told_by_what_names_it(
    said: str | None, environ: dict[str, str], hint: str
) -> None:
    with pytest.raises(RoomError, match="come with a later release") as refused:
        settings_of(room=said, environ=environ)
    assert refused.value.hint.startswith(hint)
    assert ("POSTROOM_URL" in refused.value.hint) is ("POSTROOM_URL" in environ)
