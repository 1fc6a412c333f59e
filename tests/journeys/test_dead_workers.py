"""A worker that was killed: its claims fall at once, and nothing is refused for its sake."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.child import Child
from tests.journeys.conftest import Cli


@pytest.fixture
def acme(cli: Cli, tmp_path: Path) -> Cli:
    """A source whose server is not there: the worker that has it waits between its tries."""
    for words in (
        ("connection", "add", "acme", "--set", "incoming.protocol=imap", "--set",
         "incoming.host=127.0.0.1", "--set", "incoming.port=1", "--set", "incoming.security=tls"),
        ("source", "add", "orders-in", "--connection", "acme", "--set", "sink.type=directory",
         "--set", f"sink.path={tmp_path / 'orders'}"),
    ):  # fmt: skip
        answer = cli(*words)
        assert answer.status == 0, answer.err
    return cli


@pytest.fixture
def worker(acme: Cli) -> Iterator[Child]:
    """A worker that owns the source."""
    where = ("--room", str(acme.settings.room), "--kek", str(acme.settings.kek))
    with Child("-m", "postroom", "worker", *where) as child:
        eventually(lambda: owner(acme) is not None)
        assert f"-{child.pid}-" in str(owner(acme))
        yield child


def owner(cli: Cli) -> str | None:
    found: str | None = cli("source", "show", "orders-in", "--json").json["status"]["owner"]
    return found


def test_a_source_of_a_living_worker_is_not_deleted(acme: Cli, worker: Child) -> None:
    """The refusal names the worker; the restart says that it begins anew."""
    refused = acme("source", "delete", "orders-in", "--yes")
    assert (refused.status, f"-{worker.pid}-" in refused.err) == (1, True)
    assert acme("connection", "restart", "acme", "--json").json["sources"][0]["watched"] is True


def test_a_source_of_a_killed_worker_is_free_at_once(acme: Cli, worker: Child) -> None:
    """No lease has to run out: the lock of the dead can be taken, so nobody is there."""
    worker.kill()
    assert owner(acme) is None
    [listed] = acme("source", "list", "--json").json["items"]
    assert listed["owner"] is None
    assert acme("source", "usage", "orders-in", "--json").json["items"] == []
    assert acme("connection", "restart", "acme", "--json").json["sources"][0]["watched"] is False
    deleted = acme("source", "delete", "orders-in", "--yes")
    assert deleted.status == 0, deleted.err


def test_mail_of_a_killed_process_is_cancelled_at_once(cli: Cli) -> None:
    """It had claimed it and nothing was on the wire: nobody has to start a worker first."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection, says nothing
        port = silent.getsockname()[1]
        for words in (
            ("connection", "add", "acme", "--set", "outgoing.protocol=smtp", "--set",
             "outgoing.host=127.0.0.1", "--set", f"outgoing.port={port}", "--set",
             "outgoing.security=tls"),
            ("service", "add", "orders-out", "--connection", "acme", "--from", "a@acme.example",
             "--allowed-senders", "*@acme.example"),
        ):  # fmt: skip
            assert (answer := cli(*words)).status == 0, answer.err
        items = [
            cli("send", "--via", "orders-out", "--to", "b@acme.example", "--text", "x", "--forget",
                "--json").json["id"] for _ in range(2)
        ]  # fmt: skip
        where = ("--room", str(cli.settings.room), "--kek", str(cli.settings.kek))
        with Child("-m", "postroom", "outbox", "drain", *where) as child:
            eventually(lambda: state(cli, items[0]) == "claimed")
            refused = cli("outbox", "cancel", items[0])
            assert (refused.status, "a worker has it right now" in refused.err) == (1, True)
            child.kill()
    assert state(cli, items[0]) == "claimed"
    assert (answer := cli("outbox", "cancel", items[0])).status == 0, answer.err
    assert (answer := cli("outbox", "hold", items[1])).status == 0, answer.err
    assert [state(cli, item) for item in items] == ["cancelled", "held"]


def state(cli: Cli, item: str) -> str:
    return str(cli("outbox", "show", item, "--json").json["state"])


def eventually(true: Callable[[], bool]) -> None:
    for _ in range(400):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it never came true")
