"""What is kept of a failure helps whoever reads it later: step, server's words, the next command."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from postroom.app import DATABASE
from tests.ground import User
from tests.journeys.conftest import Cli


def test_a_refused_sign_in_while_sending_is_told_with_the_servers_words(
    cli: Cli, wired: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG", "not-the-password")
    login = cli("connection", "show", "acme", "--json").json["outgoing"]["auth"]["credential"]
    assert cli("credential", "set", login, "--password-from-env", "WRONG").status == 0
    send = ("send", "--via", "orders-out", "--to", wired.address, "--text", "t", "--wait", "5s")
    answer = cli(*send, "--json")
    assert answer.status == 3
    assert "refused the sign-in. The server said: 535" in answer.json["reason"]
    assert "postroom connection test acme" in cli(*send[:-1], "1s").err
    told = cli("outbox", "show", answer.json["id"]).out
    assert "535" in told
    assert "not-the-password" not in told + answer.out + answer.err


def test_a_source_whose_worker_is_gone_does_not_say_that_it_listens(cli: Cli, wired: User) -> None:
    """Stopped or killed: the state stands in the row, and nobody is left to take it back."""
    with sqlite3.connect(cli.settings.room / DATABASE) as db:
        db.execute("UPDATE sources SET state = 'listening', owner = 'gone'")
    shown = cli("source", "list", "--json").json["items"][0]
    assert shown["state"] == "idle"
    assert "postroom worker" in shown["note"]


@pytest.mark.parametrize("sink", ["directory", "maildir"])
def test_an_empty_sink_path_is_no_directory(
    cli: Cli, wired: User, sink: str, tmp_path: Path
) -> None:
    flags = ("--set", f"sink.type={sink}", "--set", "sink.path=")
    answer = cli("source", "add", "other", "--connection", "acme", *flags)
    assert (answer.status, "sink.path: is needed" in answer.err) == (2, True)
    file = tmp_path / "room.yaml"
    file.write_text(
        f"postroom: 1\nsources: [{{name: o2, connection: acme, sink: {{type: {sink}, path: ''}}}}]\n"
    )
    answer = cli("apply", str(file), "--yes")
    assert (answer.status, "sink.path: is needed" in answer.err) == (2, True)


def test_the_audit_is_asked_only_for_what_it_can_hold(cli: Cli, wired: User) -> None:
    answer = cli("audit", "list", "--noun", "bogus")
    assert answer.status == 2
    assert "credential" in answer.err
    assert cli("audit", "list", "--noun", "credential", "--json").json["items"]


def test_every_noun_that_is_recorded_can_be_asked_for(cli: Cli, wired: User) -> None:
    with sqlite3.connect(cli.settings.room / DATABASE) as db:
        for (noun,) in db.execute("SELECT DISTINCT noun FROM audit").fetchall():
            assert cli("audit", "list", "--noun", noun).status == 0
