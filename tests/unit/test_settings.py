"""Settings of the process, read from its environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from postroom.errors import RoomError
from postroom.secret import Secret
from postroom.settings import served_at, settings_of


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


URL = "https://mail.example.com"


@pytest.mark.parametrize(
    ("said", "environ"),
    [
        (None, {"POSTROOM_ROOM": URL}),
        (None, {"POSTROOM_URL": URL, "POSTROOM_ROOM": "/srv/room"}),
        (URL, {"POSTROOM_ROOM": "/srv/room"}),
    ],
)
def test_an_address_is_a_room_that_is_served(said: str | None, environ: dict[str, str]) -> None:
    served = served_at(room=said, environ=environ | {"POSTROOM_TOKEN": "pr_one"})
    assert served is not None
    assert served.url == URL
    with pytest.raises(RoomError, match="wants the files of the room"):
        settings_of(room=said, environ=environ)


def test_a_directory_that_is_said_is_no_address(tmp_path: Path) -> None:
    environ = {"POSTROOM_URL": URL}
    assert served_at(room=tmp_path, environ=environ) is None
    assert settings_of(room=tmp_path, environ=environ).room == tmp_path
    with pytest.raises(RoomError, match="token is for a room that is served"):
        served_at(room=tmp_path, token="pr_one", environ=environ)


def test_a_token_comes_from_a_file_or_is_asked_for_in_words(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("pr_two\n")
    environ = {"POSTROOM_URL": URL, "POSTROOM_TOKEN_FILE": str(tmp_path / "token")}
    served = served_at(environ=environ)
    assert served is not None
    assert served.token == Secret("pr_two")
    for wrong, said in (
        ({"POSTROOM_URL": URL}, "no token"),
        (environ | {"POSTROOM_TOKEN_FILE": "/none"}, "cannot be read"),
    ):
        with pytest.raises(RoomError, match=said) as refused:
            served_at(environ=wrong)
        assert refused.value.exit_status == 78
