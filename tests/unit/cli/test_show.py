"""What people and programs see: columns that fit, records without noise, one JSON document."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from postroom.cli import show
from postroom.cli.options import OPTIONS, take_options

WHEN = dt.datetime(2026, 1, 31, 9, 5, tzinfo=dt.UTC)
ROW = {"id": "1789-4711", "at": WHEN, "subject": "A subject " * 20, "size": 2600, "note": ""}
COLUMNS = (("id", "ID"), ("at", "AT"), ("subject", "SUBJECT"), ("size", "SIZE"), ("note", "NOTE"))


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    take_options([])  # a command of another file may have left its own
    yield
    take_options([])


class Screen(io.StringIO):
    """Standard output as a terminal of 80 columns."""

    def isatty(self) -> bool:
        """It is one."""
        return True


@pytest.fixture(autouse=True)
def _columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_a_table_fits_the_terminal_and_cuts_no_id_and_no_time() -> None:
    with contextlib.redirect_stdout(Screen()) as screen:
        show.items([ROW], COLUMNS, empty="", give=("subject",))
    heading, line = screen.getvalue().splitlines()
    assert len(line) <= 80
    assert line.startswith("1789-4711  2026-01-31T09:05:00Z  A subject")
    assert "…" in line
    assert line.endswith("2.5 KiB")
    assert heading.split() == ["ID", "AT", "SUBJECT", "SIZE"], "NOTE has no value in any row"


def test_nothing_is_cut_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    show.items([ROW], COLUMNS, empty="", give=("subject",))
    assert ("A subject " * 20).strip() in capsys.readouterr().out


def test_an_empty_list_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    show.items([], COLUMNS, empty="Nothing yet. Make one: postroom init")
    assert capsys.readouterr().out == "Nothing yet. Make one: postroom init\n"


def test_json_is_one_document_with_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    OPTIONS.json = True
    show.items([ROW], COLUMNS, empty="")
    listed = json.loads(capsys.readouterr().out)
    assert listed["v"] == 1
    assert listed["items"][0]["at"] == "2026-01-31T09:05:00Z"
    show.say("Deleted x.", deleted="x")
    show.note("for people")
    told = capsys.readouterr()
    assert json.loads(told.out) == {"v": 1, "deleted": "x"}
    assert told.err == ""


def test_a_record_shows_small_groups_on_a_line_and_empty_ones_not_at_all(
    capsys: pytest.CaptureFixture[str],
) -> None:
    record: dict[str, Any] = {
        "name": "x",
        "auth": {"type": "secret", "credential": "login"},
        "ignore": {"from": {}, "subject": {"deny": []}},
        "sink": {"type": "directory", "path": "/a/long/path/to/where/the/mail/goes"},
        "uses": ["one " * 10, "two " * 10],
        "waiting": 0,
        "open": False,
    }
    show.record(record)
    assert capsys.readouterr().out.splitlines() == [
        "name     x",
        "auth     type secret, credential login",
        "sink:",
        "  type  directory",
        "  path  /a/long/path/to/where/the/mail/goes",
        "uses:",
        "  - " + "one " * 10,
        "  - " + "two " * 10,
        "waiting  0",
        "open     no",
    ]


def test_what_a_terminal_would_obey_is_not_passed_on() -> None:
    assert show.plain("\x1b[2J\u202e one\r\ntwo") == "\\u001b[2J\\u202e one  two"
    assert "\\u001b" in show.document({"x": "\x1b[2J"})
    assert "\u202e" not in show.document({"x": "\u202e"})


def test_long_sentences_wrap_and_a_command_stays_whole() -> None:
    command = "postroom connection set acme --set incoming.host=imap.example.com --rebind"
    text = f"{'word ' * 30}Do this: {command}"
    wrapped = show.said(text, indent=2, to=Screen()).splitlines()
    assert all(len(line) <= 80 for line in wrapped)
    assert wrapped[-1].strip() == command


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (2560, "2.5 KiB"),
        (5 << 20, "5.0 MiB"),
        (3 << 40, "3072.0 GiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert show.size(count) == text
