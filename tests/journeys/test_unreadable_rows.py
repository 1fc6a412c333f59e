"""A connection, source or service whose settings were damaged is told of, and stands in nobody's way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ground import Ground, User
from tests.journeys.conftest import Cli
from tests.journeys.test_send_exit import in_the_room

DAMAGED = ('{"name": "broken", ', "[]", '{"gone_field": 1}', '{"connection": 5, "incoming": 5}')


@pytest.fixture
def spares(cli: Cli, wired: User, tmp_path: Path) -> Cli:
    """Another connection, source and service, each called ``broken``."""
    for words in (
        ("connection", "copy", "acme", "broken", "--rebind"),
        ("source", "add", "broken", "--connection", "acme", "--set", "sink.type=directory",
         "--set", f"sink.path={tmp_path / 'others'}", "--set", "folders.input=Other"),
        ("service", "copy", "orders-out", "broken"),
    ):  # fmt: skip
        assert (answer := cli(*words)).status == 0, answer.err
    return cli


@pytest.mark.parametrize("body", DAMAGED)
@pytest.mark.parametrize("noun", ["connection", "source", "service"])
def test_one_damaged_row_stops_nothing_else(
    spares: Cli, ground: Ground, noun: str, body: str
) -> None:
    """It is listed with what is wrong; mail is collected, sent and saved; it can be deleted."""
    cli = spares
    in_the_room(cli, f"UPDATE {noun}s SET body = '{body}' WHERE name = 'broken'")

    listed = cli(noun, "list", "--json")
    assert listed.status == 0, listed.err
    [row] = [one for one in listed.json["items"] if one["name"] == "broken"]
    assert f"The settings of {noun} broken cannot be read" in (row.get("error") or row["note"])
    assert "cannot be read" in cli(noun, "list").out
    for other in {"connection", "source", "service", "credential"} - {noun}:
        assert (answer := cli(other, "list")).status == 0, answer.err

    told = cli(noun, "show", "broken")
    assert (told.status, f"postroom {noun} delete broken" in told.err) == (78, True), told.err
    exported = cli("export")
    assert (exported.status, "cannot be read" in exported.err) == (78, True), exported.err

    for words in (
        ("send", "--via", "orders-out", "--to", ground.user().address, "--text", "x"),
        ("source", "run", "orders-in"),
        ("source", "ledger", "--json"),
        ("service", "set", "orders-out", "--set", "queue_size=5"),
        ("source", "set", "orders-in", "--set", "description=x"),
        ("connection", "set", "acme", "--set", "description=x"),
        ("variable", "set", "X", "y"),
        (noun, "delete", "broken", "--yes"),
    ):
        assert (answer := cli(*words)).status == 0, (words, answer.err)
    assert all(one["name"] != "broken" for one in cli(noun, "list", "--json").json["items"])
