"""What a worker logs when something breaks: which source or connection, since when, and its end."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from postroom.app import DATABASE
from tests.child import Child
from tests.ground import User
from tests.journeys.conftest import Cli
from tests.journeys.terminal import Terminal


def test_a_source_that_fails_and_recovers_is_told_of_by_name(
    cli: Cli, wired: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once when it begins to fail, not at every try; and when it collects again."""
    monkeypatch.setenv("WRONG", "not the password")
    monkeypatch.setenv("RIGHT", wired.password)
    where = ("--room", str(cli.settings.room), "--kek", str(cli.settings.kek))
    assert cli("credential", "set", "acme-login", "--password-from-env", "WRONG").status == 0
    with Child("-m", "postroom", "worker", *where) as worker:
        told = json.loads(worker.complaint_with("orders-in"))
        assert (told["level"], told["part"]) == ("warning", "sources")
        assert (told["source"], told["connection"]) == ("orders-in", "acme")
        assert told["event"].startswith("source orders-in: ")
        assert cli("credential", "set", "acme-login", "--password-from-env", "RIGHT").status == 0
        again = json.loads(worker.complaint_with("orders-in"))
        assert again["event"] == "source orders-in collects again"
        assert worker.stop() == 0


def test_what_stops_sending_names_the_connection(cli: Cli, wired: User) -> None:
    """With twenty services on one host it is not enough to know the host."""
    where = ("--room", str(cli.settings.room), "--kek", str(cli.settings.kek))
    assert cli("connection", "set", "acme", "--rebind", "--set", "outgoing.port=1").status == 0
    assert cli("send", "--via", "orders-out", "--to", wired.address, "--text", "x",
               "--forget").status == 0  # fmt: skip
    with Child("-m", "postroom", "worker", *where) as worker:
        told = json.loads(worker.complaint_with("outbox"))
        assert told["event"].startswith("outbox over acme: ")
        assert (told["connection"], told["code"]) == ("acme", "connect_refused")
        assert worker.stop() == 0


def ended(*words: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit status of a worker that cannot start, and its log: every line is an object."""
    with Child("-m", "postroom", "worker", *words) as worker:
        status = worker.wait(60)
        return status, [json.loads(line) for line in worker.complaints().splitlines()]


def test_why_a_worker_does_not_start_is_a_line_of_its_log(cli: Cli, tmp_path: Path) -> None:
    """A room that is not there, a key that is missing or another's, a flag: code, sentence, next."""
    room, kek = ("--room", str(cli.settings.room)), ("--kek", str(cli.settings.kek))
    other = tmp_path / "other.key"
    made = cli.settings._replace(room=tmp_path / "other", kek=f"file:{other}")
    assert Cli(made, cli._capsys)("init").status == 0
    for words, status, code, event, follows in (
        (("--room", str(tmp_path / "none"), *kek), 78, "room_missing", "There is no room at",
         "postroom init"),
        ((*room, "--kek", f"file:{tmp_path / 'no.key'}"), 78, "key_missing",
         "There is no key file at", "POSTROOM_KEK"),
        ((*room, "--kek", f"file:{other}"), 78, "key_wrong",
         "The key does not belong to this room", "Put the right key in its place"),
        ((*room, *kek, "--rol", "x"), 2, "invalid_value", "There is no flag --rol.", "--role"),
    ):  # fmt: skip
        got, lines = ended(*words)
        told = lines[-1]
        assert got == status, lines
        assert (told["level"], told["part"], told["code"]) == ("error", "worker", code)
        assert event in told["event"], told
        assert follows in told["next"], told


def test_a_room_of_a_later_release_is_told_in_the_log(cli: Cli) -> None:
    """The worker upgrades an older room; a newer one it leaves alone, and says so."""
    with sqlite3.connect(cli.settings.room / DATABASE) as db:
        db.execute("PRAGMA user_version = 999")
    got, lines = ended("--room", str(cli.settings.room), "--kek", str(cli.settings.kek))
    assert (got, lines[-1]["code"]) == (78, "room_too_new")
    assert lines[-1]["next"]


def test_on_a_terminal_it_stays_a_sentence(cli: Cli, tmp_path: Path) -> None:
    """For people nothing changes."""
    with Terminal("worker", "--room", str(tmp_path / "none")) as screen:
        screen.until("postroom: There is no room at")


def test_with_json_the_error_is_the_document(cli: Cli, tmp_path: Path) -> None:
    """As of every verb."""
    where = ("--room", str(tmp_path / "none"), "--kek", str(cli.settings.kek))
    with Child("-m", "postroom", "worker", "--json", *where) as worker:
        assert json.loads(worker.line())["code"] == "room_missing"
        assert worker.wait() == 78
        assert worker.complaints() == ""
