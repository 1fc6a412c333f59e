"""Messages that failed or are in doubt: who has dealt with them, and what still asks for somebody."""

from __future__ import annotations

import getpass
import sqlite3

import pytest

import postroom
from postroom.app import DATABASE
from tests.ground import Ground, User
from tests.journeys.conftest import Cli
from tests.journeys.test_send_exit import in_the_room

ME = f"local:{getpass.getuser()}"


@pytest.fixture
def failed(cli: Cli, wired: User) -> str:
    """A message that the server refused for good."""
    return refused(cli)


def refused(cli: Cli) -> str:
    answer = cli("send", "--via", "orders-out", "--to", "refused@ground.test", "--text", "x",
                 "--json")  # fmt: skip
    assert (answer.status, answer.json["state"]) == (1, "failed")
    return str(answer.json["id"])


def unsettled(cli: Cli) -> list[str]:
    """What asks for somebody; every place that counts it says the same."""
    told = cli("outbox", "list", "--unsettled", "--json").json
    ids = [one["id"] for one in told["items"]]
    [service] = cli("service", "list", "--json").json["items"]
    shown = cli("service", "show", "orders-out", "--json").json
    note = f"{len(ids)} failed or in doubt, and not settled: postroom outbox list --unsettled"
    assert [told["unsettled"], service["unsettled"], shown["unsettled"]] == [len(ids)] * 3
    assert (note in cli("outbox", "list").err) == bool(ids)
    return ids


def test_what_failed_asks_for_somebody_until_it_is_settled(cli: Cli, failed: str) -> None:
    """It stays, with who settled it and when; the record has it; only what asked is quiet."""
    assert unsettled(cli) == [failed]
    answer = cli("outbox", "settle", failed[:16])
    assert (answer.status, answer.out) == (0, f"{failed} is settled; it stays failed.\n")
    assert unsettled(cli) == []
    item = cli("outbox", "show", failed, "--json").json
    [row] = cli("audit", "list", "--noun", "outbox", "--name", failed, "--json").json["items"]
    assert (item["state"], item["settled"]) == ("failed", {"by": ME, "at": row["at"]})
    assert (row["action"], row["actor"], row["detail"]) == (
        "settle", ME, {"service": "orders-out", "state": "failed"},
    )  # fmt: skip
    assert f"by {ME}, at {row['at']}" in cli("outbox", "show", failed).out
    assert f"by {ME}, at {row['at']}" in cli("outbox", "list").out


def test_settling_twice_keeps_who_did_it_first(cli: Cli, failed: str) -> None:
    """The second says the same and writes no row."""
    assert cli("outbox", "settle", failed).status == 0
    assert cli("outbox", "settle", failed, "--json").json["items"][0]["settled"]["by"] == ME
    assert len(cli("audit", "list", "--noun", "outbox", "--json").json["items"]) == 1


def test_what_is_tried_again_and_fails_again_asks_again(cli: Cli, failed: str) -> None:
    """Settled was what happened before."""
    assert cli("outbox", "settle", failed).status == 0
    assert cli("outbox", "retry", failed).status == 0
    assert unsettled(cli) == []
    assert cli("outbox", "drain").status == 1
    assert unsettled(cli) == [failed]
    assert cli("outbox", "show", failed, "--json").json["settled"] is None


def test_what_is_in_doubt_is_settled_too(cli: Cli, wired: User, ground: Ground) -> None:
    """A person has looked into the other mailbox: neither retry nor cancel is true of it."""
    stored = cli("send", "--via", "orders-out", "--to", ground.user().address, "--text", "x",
                 "--forget", "--json").json["id"]  # fmt: skip
    in_the_room(cli, "UPDATE outbox SET state = 'submitting', owner = 'gone', epoch = 1")
    assert cli("outbox", "drain").status == 1
    assert unsettled(cli) == [stored]
    assert cli("outbox", "settle", stored).out == f"{stored} is settled; it stays ambiguous.\n"
    assert unsettled(cli) == []
    assert cli("outbox", "cancel", stored).status == 0


def test_only_what_is_over_can_be_settled(cli: Cli, failed: str) -> None:
    """What waits, was sent or is still looked for is refused, and with it the whole request."""
    waiting = cli("send", "--via", "orders-out", "--to", "a@ground.test", "--text", "x", "--forget",
                  "--json").json["id"]  # fmt: skip
    answer = cli("outbox", "settle", failed, waiting)
    assert answer.status == 1
    assert f"{waiting} is queued: settle is for what failed, or is in doubt for good" in answer.err
    assert unsettled(cli) == [failed], "all or none"
    in_the_room(cli, f"UPDATE outbox SET state = 'ambiguous' WHERE id = '{waiting}'")
    assert "it is still looked for" in cli("outbox", "settle", waiting).err
    assert cli("outbox", "settle", "zzz").status == 2
    assert cli("outbox", "settle").status == 2
    assert cli("outbox", "settle", failed, "--service", "orders-out").status == 2


def test_all_of_a_service_are_settled_after_a_question(cli: Cli, failed: str) -> None:
    """After an outage: all of a service, or all before a time; nobody agreed, nothing is settled."""
    again = refused(cli)
    answer = cli("outbox", "settle", "--service", "orders-out")
    assert answer.status == 2
    assert "Nothing was settled." in answer.err
    assert cli("outbox", "settle", "--before", "1h", "--yes").out == "Nothing was unsettled.\n"
    assert unsettled(cli) == [again, failed]
    assert cli("outbox", "settle", "--service", "nobody", "--yes").status == 2
    assert cli("outbox", "settle", "--service", "Orders-Out", "--yes").out == "2 settled.\n"
    assert unsettled(cli) == []


def test_the_library_settles_too(cli: Cli, failed: str) -> None:
    """The same operation."""
    with postroom.open(cli.settings.room, kek=cli.settings.kek) as room:
        assert room.outbox.list().unsettled == 1
        [item] = room.outbox.settle([failed])
        assert item.settled.by == ME
        assert room.outbox.list().unsettled == 0


def test_a_locked_room_settles_nothing(cli: Cli, failed: str) -> None:
    """What cannot be written down is not done."""
    key = cli.settings.room.parent / "keys" / "room.key"
    key.rename(key.with_suffix(".away"))
    assert cli("outbox", "settle", failed).status == 78
    key.with_suffix(".away").rename(key)
    assert unsettled(cli) == [failed]
    with sqlite3.connect(cli.settings.room / DATABASE) as db:
        assert not db.execute("SELECT count(*) FROM audit WHERE action = 'settle'").fetchone()[0]
