"""`postroom outbox list`: page after page of it, and the one message somebody asks about."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import postroom
from postroom.app import DATABASE
from postroom.services import finding
from tests.journeys.conftest import Cli

TO = (
    "ann@example.com",
    "Bob@Example.org",
    "carl@example.com",
    "joann@example.com",
    "eve@x.example",
)


@pytest.fixture
def stored(cli: Cli) -> list[str]:
    """Five messages of `orders-out`, each to somebody else, in the order of their storing."""
    outgoing = {"protocol": "smtp", "host": "127.0.0.1", "port": "1", "security": "none",
                "auth": "{type: none}"}  # fmt: skip
    fields = [
        word for key, value in outgoing.items() for word in ("--set", f"outgoing.{key}={value}")
    ]
    assert cli("connection", "add", "acme", *fields).status == 0
    made = cli("service", "add", "orders-out", "--connection", "acme", "--from",
               "orders@acme.example", "--allowed-senders", "*@acme.example")  # fmt: skip
    assert made.status == 0, made.err
    ids = []
    for to in TO:
        answer = cli("send", "--via", "orders-out", "--to", to, "--text", "x", "--forget", "--json")
        assert answer.status == 0, answer.out
        ids.append(answer.json["id"])
    return ids


def found(cli: Cli, *words: str) -> list[str]:
    answer = cli("outbox", "list", "--json", *words)
    assert answer.status == 0, answer.out
    return [one["id"] for one in answer.json["items"]]


def pages(cli: Cli, *words: str) -> Iterator[dict[str, Any]]:
    """Every page, as a program walks them."""
    after: tuple[str, ...] = ()
    for _ in range(10):
        page = cli("outbox", "list", "--json", "--limit", "2", *words, *after).json
        yield page
        if page["next"] is None:
            return
        after = ("--after", page["next"])


def test_more_than_the_limit_is_said_with_the_way_on(cli: Cli, stored: list[str]) -> None:
    """A person is told how many there are and how to see them; a program finds the cursor."""
    answer = cli("outbox", "list", "--limit", "2")
    assert f"2 of 5 shown; more with --all, or with --after {stored[3]}" in answer.err
    assert "shown" not in cli("outbox", "list", "--limit", "5").err
    told = cli("outbox", "list", "--limit", "2", "--json").json
    assert (told["v"], told["next"], told["total"]) == (1, stored[3], 5)
    assert list(cli("outbox", "list", "--json").json)[:2] == ["v", "items"]
    assert cli("outbox", "list", "--json").json["next"] is None
    assert found(cli, "--all", "--limit", "1") == stored[::-1]


def test_pages_follow_each_other_both_ways(cli: Cli, stored: list[str]) -> None:
    """Every item once; each page says how many there are in all."""
    newest, oldest = list(pages(cli)), list(pages(cli, "--oldest"))
    assert [one["id"] for page in newest for one in page["items"]] == stored[::-1]
    assert [one["id"] for page in oldest for one in page["items"]] == stored
    assert [page["total"] for page in newest + oldest] == [5] * 6


def test_a_cursor_stays_where_it_is(cli: Cli, stored: list[str]) -> None:
    """What is stored or removed between two pages moves nothing and repeats nothing."""
    first = cli("outbox", "list", "--json", "--limit", "2").json
    with sqlite3.connect(cli.settings.room / DATABASE) as db:
        for table in ("outbox_recipients", "outbox_content"):
            db.execute(f"DELETE FROM {table} WHERE item = ?", (first["next"],))
        db.execute("DELETE FROM outbox WHERE id = ?", (first["next"],))
    cli("send", "--via", "orders-out", "--to", TO[0], "--text", "x", "--forget")
    assert found(cli, "--limit", "2", "--after", first["next"]) == stored[1:3][::-1]


@pytest.mark.parametrize(
    ("words", "at"),
    [
        (["--to", "ann@example.com"], [0]),  # and not joann
        (["--to", "bob@EXAMPLE.ORG"], [1]),
        (["--to", "@example.com"], [0, 2, 3]),
        (["--to", "ann"], [0, 3]),
        (["--to", "nobody@example.com"], []),
        (["--from", "orders@acme.example"], [0, 1, 2, 3, 4]),
        (["--from", "@example.com"], []),
        (["--state", "held"], [4]),
        (["--state", "held, queued", "--to", "@x.example"], [4]),
        (["--service", "ORDERS-out", "--to", "eve@x.example"], [4]),
        (["--since", "1h"], [0, 1, 2, 3, 4]),
        (["--since", "2200-01-01"], []),
        (["--before", "2001-01-01"], []),
        (["--before", "2200-01-01T00:00:00Z", "--to", "carl"], [2]),
    ],
)  # fmt: skip
def test_items_are_searched(cli: Cli, stored: list[str], words: list[str], at: list[int]) -> None:
    """By recipient, sender, state, service and time, and by several of these together."""
    assert cli("outbox", "hold", stored[4]).status == 0
    assert found(cli, "--oldest", *words) == [stored[one] for one in at]


def test_a_time_divides_what_was_stored(cli: Cli, stored: list[str]) -> None:
    """`--since` takes what was stored then, `--before` leaves it out."""
    with sqlite3.connect(cli.settings.room / DATABASE) as db:
        old = "0" + stored[0][1:]  # stored in 1971: an id begins with its time
        for table, key in (
            ("outbox_recipients", "item"),
            ("outbox_content", "item"),
            ("outbox", "id"),
        ):
            db.execute(f"UPDATE {table} SET {key} = ? WHERE {key} = ?", (old, stored[0]))
    assert found(cli, "--before", "1h") == [old]
    assert found(cli, "--since", "1h") == stored[:0:-1]


def test_a_message_is_found_by_its_message_id(cli: Cli, stored: list[str]) -> None:
    """As a mail program or a log prints it, with its angle brackets or without."""
    message_id = cli("outbox", "show", stored[2], "--json").json["message_id"]
    assert found(cli, "--message-id", message_id) == [stored[2]]
    assert found(cli, "--message-id", message_id.strip("<>")) == [stored[2]]
    answer = cli("outbox", "list", "--message-id", "<other@example.com>")
    assert (answer.status, answer.out) == (0, "No such message.\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--service", "orders-uot"], "Did you mean orders-out?"),
        (["--since", "yesterday"], "since: give a duration such as 1h or 5d"),
        (["--before", "soon"], "before: give a duration such as 1h or 5d"),
        (["--after", "12"], "after: give the whole id, as the list has it"),
        (["--state", "gone"], "there is no state 'gone'"),
        (["--limit", "0"], "--limit"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    cli: Cli, stored: list[str], words: list[str], said: str
) -> None:
    """No empty list for a mistyped name: exit 2, and what to give instead."""
    answer = cli("outbox", "list", *words)
    assert answer.status == 2
    assert said in answer.err


def test_the_library_searches_by_the_same_operation(cli: Cli, stored: list[str]) -> None:
    """The same arguments, a list, and the cursor beside it."""
    room: Path = cli.settings.room
    with postroom.open(room, kek=cli.settings.kek) as opened:
        page = opened.outbox.list(to="@example.com", oldest=True, limit=2)
        assert [one.id for one in page] == [stored[0], stored[2]]
        assert (page.next, page.total) == (stored[2], 3)
        rest = opened.outbox.list(to="@example.com", oldest=True, limit=2, after=page.next)
        assert ([one.id for one in rest], rest.next) == ([stored[3]], None)
        with pytest.raises(postroom.PostroomError, match="limit: give a number from 1 on"):
            opened.outbox.list(limit=0)


@pytest.mark.parametrize("oldest", [False, True])
def test_a_page_is_read_in_the_order_of_the_ids(cli: Cli, oldest: bool) -> None:
    """However many rows there are: no page sorts them, and a cursor goes straight to its place."""
    values = dict.fromkeys(
        ("above", "below", "service", "states", "message_id", "sender", "sender_part", "to",
         "to_part", "run", "limit", "hidden"), "",
    )  # fmt: skip
    with sqlite3.connect(cli.settings.room / DATABASE) as db:
        steps = db.execute(f"EXPLAIN QUERY PLAN {finding.ROWS[False, oldest]}", values)
        plan = [row[3] for row in steps]
    assert any("outbox USING INDEX" in step and "id>? AND id<?" in step for step in plan), plan
    assert not any("ORDER BY" in step for step in plan), plan
