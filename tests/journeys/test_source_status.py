"""What a source says of itself: nobody at it, due and not done, failing since when, and letting go."""

from __future__ import annotations

import socket
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import pytest

from postroom.app import DATABASE
from tests.child import Child
from tests.ground import Ground, User
from tests.journeys.conftest import Cli
from tests.journeys.incoming import letter


def status(cli: Cli) -> dict[str, Any]:
    found: dict[str, Any] = cli("source", "show", "orders-in", "--json").json["status"]
    return found


def at_last(check: Callable[[], bool]) -> None:
    for _ in range(400):
        if check():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to that")


def earlier(cli: Cli, seconds: float) -> None:
    """Move what is known of the source back, as time would."""
    with sqlite3.connect(cli.settings.room / DATABASE) as raw:
        raw.execute("UPDATE sources SET state_since = state_since - :s, due_at = due_at - :s,"
                    " failed_at = failed_at - :s", {"s": seconds})  # fmt: skip
    raw.close()


@pytest.fixture
def worker(cli: Cli) -> Any:
    where = ("--room", str(cli.settings.room), "--kek", str(cli.settings.kek))

    def start(*words: str) -> Child:
        return Child("-m", "postroom", "worker", *where, *words)

    return start


def test_a_source_that_nobody_ever_served_says_so(cli: Cli, wired: User) -> None:
    """With what to do, in the list, alone, and for programs."""
    found = status(cli)
    assert (found["state"], found["owner"], found["next_wake"]) == ("idle", None, None)
    assert found["due_since"].endswith("Z")
    assert found["note"].startswith("No worker runs, so nothing is collected.")
    assert "postroom source run orders-in" in found["note"]
    [listed] = cli("source", "list", "--json").json["items"]
    assert listed.pop("lag") >= found.pop("lag")
    assert listed == found
    for words in (("list",), ("show", "orders-in")):
        assert "No worker runs" in cli("source", *words).out
    assert "due_since" in cli("source", "show", "orders-in").out


def test_a_source_that_is_not_due_misses_nobody(cli: Cli, wired: User) -> None:
    assert cli("source", "set", "orders-in", "--set", "schedule.every=1h").status == 0
    assert cli("source", "run", "orders-in").status == 0
    found = status(cli)
    assert (found["note"], found["due_since"]) == ("", None)
    assert found["next_wake"].endswith("Z")


def test_a_source_that_no_running_worker_takes_says_its_role(
    cli: Cli, wired: User, worker: Any
) -> None:
    assert cli("source", "set", "orders-in", "--worker-roles", "night").status == 0
    assert "postroom worker --role night" in status(cli)["note"]
    with worker():
        at_last(lambda: "No worker runs" not in status(cli)["note"])
        earlier(cli, 60)
        assert "for workers with the role night" in status(cli)["note"]


def test_the_state_is_as_old_as_it_is_however_often_it_is_tried(
    cli: Cli, wired: User, ground: Ground
) -> None:
    """``since`` moves when the state does: not with each pass that ends as the one before."""
    assert cli("source", "run", "orders-in").status == 0
    earlier(cli, 1000)
    before = status(cli)["since"]
    ground.dovecot.fill(wired, [letter("one")])
    assert cli("source", "run", "orders-in").status == 0
    assert status(cli)["since"] == before
    assert cli("connection", "set", "acme", "--set", "incoming.port=1", "--rebind").status == 0
    assert cli("source", "run", "orders-in").status in (1, 75)
    failing = status(cli)
    assert failing["state"] == "backing off"
    assert failing["since"] > before
    earlier(cli, 500)
    before = status(cli)["since"]
    assert cli("source", "run", "orders-in").status in (1, 75)
    assert (status(cli)["state"], status(cli)["since"]) == ("backing off", before)


def test_why_it_fails_is_seen_while_it_is_tried_again(cli: Cli, wired: User) -> None:
    """Whoever looks at that moment does not see that all is well: it is not known yet."""
    cli("connection", "set", "acme", "--set", "incoming.port=1", "--rebind")
    assert cli("source", "run", "orders-in").status == 75
    failing = status(cli)
    where = ("--room", str(cli.settings.room), "--kek", str(cli.settings.kek))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20.0)
        port = silent.getsockname()[1]
        cli("connection", "set", "acme", "--set", f"incoming.port={port}", "--rebind")
        with Child("-m", "postroom", "source", "run", "orders-in", *where):
            accepted, _ = silent.accept()
            found = status(cli)
            accepted.close()
    assert found["owner"] is not None
    assert (found["state"], found["since"]) == (failing["state"], failing["since"])
    assert "refused the connection" in found["note"]


def test_a_source_of_a_worker_is_deleted_as_the_refusal_says(
    cli: Cli, wired: User, worker: Any
) -> None:
    """Without stopping the worker: it lets go of what is not its own any more."""
    with worker():
        at_last(lambda: status(cli)["owner"] is not None)
        refused = cli("source", "delete", "orders-in", "--yes")
        assert refused.status == 1
        assert "postroom source set orders-in --worker-roles nobody" in refused.err
        assert cli("source", "set", "orders-in", "--worker-roles", "nobody").status == 0
        at_last(lambda: status(cli)["owner"] is None)
        assert cli("source", "delete", "orders-in", "--yes").status == 0


def test_keys_name_no_worker_that_is_dead(cli: Cli, worker: Any) -> None:
    with worker() as child:
        at_last(lambda: bool(cli("keys", "kek", "list", "--json").json["items"][0]["workers"]))
        child.kill()
        [key] = cli("keys", "kek", "list", "--json").json["items"]
        assert key["workers"] == []
