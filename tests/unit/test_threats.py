"""The page of threats names tests that are there and that say which row they show."""

from __future__ import annotations

import re

import pytest

from tests.unit.house.tree import ROOT

PAGE = (ROOT / "docs" / "safety.md").read_text("utf-8")
ROWS = re.findall(r"^\| (T\d+) \|.*\| ([^|]+) \|$", PAGE, re.MULTILINE)


def test_every_row_stands_once() -> None:
    numbers = [number for number, _ in ROWS]
    assert len(numbers) > 50
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize(("number", "shown_by"), ROWS, ids=[number for number, _ in ROWS])
def test_a_row_is_shown_by_the_tests_it_names(number: str, shown_by: str) -> None:
    named = re.findall(r"`([^`]+)`", shown_by)
    assert named
    for name in named:
        assert re.search(rf"\b{number}\b", (ROOT / "tests" / name).read_text("utf-8")), name
