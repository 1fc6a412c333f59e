"""What `postroom send` and `postroom outbox drain` end with: the exit status a script relies on."""

from __future__ import annotations

import sqlite3

from postroom.app import DATABASE
from tests.ground import Ground, User
from tests.journeys.conftest import Cli


def in_the_room(cli: Cli, statement: str) -> None:
    """Change a row behind the room's back, as time and dead processes do."""
    with sqlite3.connect(cli.settings.room / DATABASE) as db:
        db.execute(statement)


def test_a_drain_says_what_a_dead_process_left_in_doubt(
    cli: Cli, wired: User, ground: Ground
) -> None:
    """Found while draining: counted as ambiguous, and exit 1 though everything else was sent."""
    to = ground.user().address
    send = ("send", "--via", "orders-out", "--to", to, "--subject", "x", "--text", "t", "--forget")
    assert cli(*send).status == 0
    in_the_room(cli, "UPDATE outbox SET state = 'submitting', owner = 'gone', epoch = 1")
    assert cli(*send).status == 0
    answer = cli("outbox", "drain", "--json")
    assert answer.status == 1
    assert (answer.json["sent"], answer.json["ambiguous"]) == (1, 1)
    assert cli("outbox", "drain").out == "Nothing was due.\n"
