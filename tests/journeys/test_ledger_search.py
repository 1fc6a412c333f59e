"""The ledger as a person uses it: found by what they know of a message, page by page, and in full."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

import postroom
from tests.ground import Ground, User
from tests.journeys.conftest import Cli
from tests.journeys.incoming import letter


@pytest.fixture
def collected(cli: Cli, wired: User, ground: Ground) -> Cli:
    """Twelve orders from Ada, and one from Eve that is too large and held."""
    letters = [letter(f"Order {number:02}") for number in range(12)]
    ground.dovecot.fill(wired, [*letters, letter("Invoice 99", "eve@evil.example", 5000)])
    assert cli("source", "set", "orders-in", "--max-size", "2KiB").status == 0
    assert cli("source", "run", "orders-in").status == 1
    return cli


def subjects(cli: Cli, *words: str) -> list[str]:
    answer = cli("source", "ledger", *words, "--json")
    assert answer.status == 0, answer
    return [one["subject"] for one in answer.json["items"]]


def test_a_message_is_found_by_what_somebody_knows_of_it(collected: Cli) -> None:
    """By Message-ID, sender, words of the subject, state and time, each alone and together."""
    name = "orders-in"
    given = "<Order 03@partner.example>"
    assert subjects(collected, name, "--message-id", given) == ["Order 03"]
    assert subjects(collected, name, "--message-id", given[1:-1]) == ["Order 03"]
    assert subjects(collected, "--message-id", given) == ["Order 03"], "in whichever source"
    assert len(subjects(collected, name, "--from", "ADA@partner")) == 12
    assert subjects(collected, name, "--subject", "07 order") == ["Order 07"]
    assert len(subjects(collected, name, "--since", "1h", "--state", "done")) == 12
    assert subjects(collected, name, "--until", "1h") == []
    assert subjects(collected, name, "--since", "2020-01-31", "--subject", "order 11") == [
        "Order 11"
    ]
    assert collected("source", "ledger", name, "--since", "yesterday").status == 2
    none = collected("source", "ledger", name, "--subject", "nothing")
    assert none.out == "Source orders-in remembers no message that fits.\n"


def test_a_program_gets_every_fact_of_it(collected: Cli) -> None:
    answer = collected("source", "ledger", "orders-in", "--subject", "Order 03", "--json")
    [one] = answer.json["items"]
    assert answer.json["next"] is None
    assert one["message_id"] == "<Order 03@partner.example>"
    assert one["from"] == "Ada <ada@partner.example>"
    assert (one["source"], one["state"], one["reason"]) == ("orders-in", "done", "")
    assert one["received_at"].endswith("Z")
    assert b"Order 03" in Path(one["delivered_to"]).read_bytes(), "where it lies"


def test_more_than_the_limit_is_said_with_the_way_to_the_next_page(collected: Cli) -> None:
    """The command that is shown gives the next page, until nothing is left; also the oldest first."""
    answer = collected(
        "source", "ledger", "orders-in", "--from", "Ada <", "--oldest", "--limit", "5"
    )
    seen = []
    while True:
        seen += [line.split()[0] for line in answer.out.splitlines()[1:]]
        if "There are more" not in answer.err:
            break
        command = answer.err.partition("The next: ")[2].strip()
        answer = collected(*shlex.split(command)[1:])
    assert len(seen) == 12
    assert seen == sorted(seen, key=int)
    assert len(set(seen)) == 12
    with postroom.open(collected.settings.room, kek=collected.settings.kek) as room:
        page = room.ledger.list("orders-in", from_="ada@", oldest=True, limit=5)
        rest = room.ledger.list("orders-in", from_="ada@", oldest=True, after=page.next)
    assert [str(one.id) for one in [*page, *rest]] == seen, "one operation for programs and people"


def test_everything_about_one_message(collected: Cli) -> None:
    [held] = collected("source", "ledger", "orders-in", "--state", "held", "--json").json["items"]
    told = collected("source", "ledger", "orders-in", str(held["id"]))
    assert told.status == 0
    assert "<Invoice 99@partner.example>" not in told.out, "it was not read: only its size is known"
    [done] = collected("source", "ledger", "orders-in", "--subject", "11", "--json").json["items"]
    told = collected("source", "ledger", "orders-in", str(done["id"]))
    assert "<Order 11@partner.example>" in told.out
    assert done["delivered_to"] in told.out
    wrong = collected("source", "ledger", "orders-in", "999", str(done["id"]))
    assert (wrong.status, "999" in wrong.err) == (2, True)


def test_what_is_not_read_yet_has_a_name_all_the_same(collected: Cli) -> None:
    """Only its key on the server is known; a line of the list without a name would be of no use."""
    [held] = collected("source", "ledger", "orders-in", "--state", "held", "--json").json["items"]
    assert held["subject"] == ""
    assert held["name"].startswith(f"INBOX {held['message']} (not read, received: 20")


def test_a_source_that_is_not_there_is_said(collected: Cli) -> None:
    assert collected("source", "ledger", "nowhere").status == 2
