"""A worker that was killed: its claims fall at once, and nothing is refused for its sake."""

from __future__ import annotations

import time
from collections.abc import Iterator
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
        for _ in range(400):
            if owner(acme):
                break
            time.sleep(0.05)
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
