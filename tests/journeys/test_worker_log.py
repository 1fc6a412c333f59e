"""What a worker logs when something breaks: which source or connection, since when, and its end."""

from __future__ import annotations

import json

import pytest

from tests.child import Child
from tests.ground import User
from tests.journeys.conftest import Cli


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
