"""What every sink declares, and that it is so."""

from __future__ import annotations

import typing
from pathlib import Path

import pytest

from postroom.fields import parse
from postroom.operations.declared import about_sink, sinks
from postroom.sinks import SINKS, TWICE, Sink
from postroom.sources.source import Source
from tests.unit.sinks.test_directory import item

NAMES = [typing.get_args(one.model_fields["type"].annotation)[0] for one in SINKS]
FILES = [name for name, one in zip(NAMES, SINKS, strict=True) if "path" in one.model_fields]


def made(name: str, path: Path) -> Sink:
    fields = {"type": name, "path": str(path)}
    return parse(Source, {"name": "in", "connection": "acme", "sink": fields}).sink


@pytest.mark.parametrize("name", FILES)
def test_taken_twice_is_what_is_declared(tmp_path: Path, name: str) -> None:
    """After a crash between the sink and the ledger, the next pass takes the same messages."""
    sink = made(name, tmp_path / "out")
    assert sink.twice == "same"
    for _ in range(2):
        sink.prepare()
        sink.take([item(1, b"one"), item(2, b"two", folder="Work/Orders")])
        seen = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
        assert sorted(seen.values()) == [b"one", b"two"]


@pytest.mark.parametrize("name", NAMES)
def test_each_says_what_it_is(name: str) -> None:
    about, twice, told = about_sink(name)
    assert about.endswith(".")
    assert told == TWICE[twice]
    assert name in sinks()
