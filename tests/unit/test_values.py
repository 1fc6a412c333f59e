"""Values with units: what is taken can be shown and read again; what cannot is refused at once."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.errors import InvalidValue
from postroom.fields import parse, shown
from postroom.sources.source import Source

SOURCE: dict[str, Any] = {
    "name": "in", "connection": "acme", "sink": {"type": "directory", "path": "/srv/mail"},
}  # fmt: skip


@pytest.mark.parametrize("value", ["0s", 0.0, "1500ms", "365000d", 90.0])
def test_a_duration_that_is_taken_can_be_read_again(value: object) -> None:
    source = parse(Source, {**SOURCE, "stable_time": value})
    assert parse(Source, shown(source)) == source


@pytest.mark.parametrize(
    "value", [-1.0, -6.7e16, 4e10, "365001d", float("inf"), float("nan"), "9" * 400 + "d"]
)
def test_a_duration_that_is_none_is_refused(value: object) -> None:
    """A number out of bounds was stored, and the settings could not be read any more."""
    with pytest.raises(InvalidValue, match="stable_time"):
        parse(Source, {**SOURCE, "stable_time": value})


@pytest.mark.parametrize("value", [-1, "-1", "1048577GiB", 1 << 60, "9" * 400 + "GiB"])
def test_a_size_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(InvalidValue, match="max_size"):
        parse(Source, {**SOURCE, "max_size": value})
