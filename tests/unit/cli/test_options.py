"""The options of every verb: anywhere in the command line, up to ``--``."""

from __future__ import annotations

import pytest

from postroom.cli.options import OPTIONS, take_options
from postroom.errors import WrongUse


def test_they_may_stand_anywhere() -> None:
    rest = take_options(["--room", "/r", "source", "--json", "run", "-y", "x", "--kek=env:K", "-v"])
    assert rest == ["source", "run", "x"]
    assert (OPTIONS.room, OPTIONS.kek) == ("/r", "env:K")
    assert (OPTIONS.json, OPTIONS.yes, OPTIONS.verbose) == (True, True, True)


def test_each_command_begins_anew() -> None:
    take_options(["--json", "--room", "/r"])
    take_options([])
    assert (OPTIONS.room, OPTIONS.json) == (None, False)


def test_what_stands_behind_two_dashes_is_left_alone() -> None:
    assert take_options(["mail", "--", "--json"]) == ["mail", "--", "--json"]
    assert not OPTIONS.json


def test_json_is_known_even_when_another_option_is_wrong() -> None:
    with pytest.raises(WrongUse, match="--kek needs a value"):
        take_options(["--kek", "", "--json"])
    assert OPTIONS.json


@pytest.mark.parametrize("words", [["--room"], ["--room", ""], ["--kek="]])
def test_a_missing_value_is_said(words: list[str]) -> None:
    with pytest.raises(WrongUse, match="needs a value"):
        take_options(words)
