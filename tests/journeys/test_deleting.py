"""Deleting: what is gone for good is asked about first, and where nobody is, it stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.journeys.conftest import Cli
from tests.journeys.terminal import Terminal

if TYPE_CHECKING:
    from tests.ground import Ground, User


@pytest.fixture
def records(cli: Cli) -> Cli:
    """A record of each noun that nothing else uses."""
    for words in (
        ("credential", "add", "one", "--type", "secret", "--description", "x"),
        ("connection", "add", "one", "--set", "incoming.protocol=imap",
         "--set", "incoming.host=127.0.0.1"),
        ("connection", "add", "used", "--set", "incoming.protocol=imap", "--set",
         "incoming.host=127.0.0.1", "--set", "outgoing.protocol=smtp", "--set",
         "outgoing.host=127.0.0.1"),
        ("source", "add", "one", "--connection", "used", "--set", "sink.type=directory",
         "--set", "sink.path=/tmp/one"),
        ("service", "add", "one", "--connection", "used"),
        ("variable", "set", "one", "x"),
    ):  # fmt: skip
        answer = cli(*words)
        assert answer.status in (0, 3), answer.err
    return cli


@pytest.mark.parametrize("noun", ["credential", "connection", "source", "service", "variable"])
def test_a_record_is_deleted_only_with_a_yes(records: Cli, noun: str) -> None:
    refused = records(noun, "delete", "one")
    assert refused.status == 2
    assert "Not deleted." in refused.err
    assert "--yes" in refused.err
    assert records(noun, "delete", "one", "--json").json["code"] == "invalid_value"
    assert records(noun, "show", "one").status == 0
    assert "--yes" not in records(noun, "delete", "none").err, "there is nothing to confirm"
    where = ("--room", str(records.settings.room), "--kek", str(records.settings.kek))
    for answer, status in (("n", 2), ("y", 0)):
        with Terminal(noun, "delete", "one", *where) as screen:
            screen.until("[y/N]:")
            screen.type(answer)
            assert screen.end() == status
    assert records(noun, "show", "one").status == 2


def test_a_message_is_deleted_only_with_a_yes(cli: Cli, wired: User, ground: Ground) -> None:
    ground.dovecot.fill(wired, [b"Subject: one\r\n\r\nx\r\n"])
    via: tuple[str, ...] = ("--via", "acme")
    listed: list[dict[str, Any]] = cli("mail", "list", *via, "--json").json["items"]
    delete = ("mail", "delete", listed[0]["id"], *via)
    refused = cli(*delete)
    assert refused.status == 2
    assert "--yes" in refused.err
    assert cli("mail", "list", *via, "--json").json["items"] == listed
    assert cli(*delete, "--yes").out == "1 message deleted.\n"
    assert cli("mail", "list", *via, "--json").json["items"] == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("credential", "delete", "login"), "It cannot be deleted"),
        (("credential", "set", "login", "--type", "secret"), "Its type cannot change"),
        (("connection", "delete", "acme"), "service orders-out"),
        (("variable", "delete", "H"), "connection acme"),
        (("service", "delete", "orders-out"), "1 queued message"),
    ],
)
def test_what_is_refused_anyway_is_not_asked_about(
    cli: Cli, words: tuple[str, ...], told: str
) -> None:
    """No yes would help, so none is asked for; and nothing is changed by finding out."""
    for step in (
        ("variable", "set", "H", "127.0.0.1"),
        ("credential", "add", "login", "--type", "password", "--user-name", "u@a.example"),
        ("connection", "add", "acme", "--set", "outgoing.protocol=smtp",
         "--set", "outgoing.host=${H}", "--set", "outgoing.port=1"),
        ("service", "add", "orders-out", "--connection", "acme", "--set", "from=u@a.example"),
        ("send", "--via", "orders-out", "--to", "b@a.example", "--text", "x", "--forget"),
        ("connection", "set", "acme", "--set",
         "outgoing.auth={type: secret, credential: login}"),
    ):  # fmt: skip
        answer = cli(*step)
        assert answer.status in (0, 3), answer.err
    noun, _, name, *_ = words
    before = cli(noun, "show", name, "--json").out
    refused = cli(*words)
    assert refused.status == 1, refused.err
    assert told in " ".join(refused.err.split())
    assert "--yes" not in refused.err
    assert cli(*words, "--yes").err == refused.err
    assert cli(noun, "show", name, "--json").out == before
