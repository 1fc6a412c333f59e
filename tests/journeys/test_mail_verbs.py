"""``postroom mail`` and ``postroom send``, where a verb adds something to its command."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.journeys.conftest import Cli
from tests.journeys.incoming import letter
from tests.journeys.terminal import Terminal

if TYPE_CHECKING:
    from tests.ground import Ground, User

VIA = ("--via", "acme")


@pytest.fixture
def id_(cli: Cli, wired: User, ground: Ground) -> str:
    """The id of a message that somebody else has written."""
    ground.dovecot.fill(wired, [letter("one")])
    [one] = cli("mail", "list", *VIA, "--json").json["items"]
    return str(one["id"])


def test_a_message_as_a_document_and_as_it_is(cli: Cli, id_: str) -> None:
    assert "raw" not in cli("mail", "read", id_, *VIA, "--json").json
    document = cli("mail", "read", id_, *VIA, "--raw", "--json").json
    assert base64.b64decode(document["raw"]) == letter("one")
    assert document["headers"][0]["name"] == "From"
    alone = cli("mail", "read", id_, *VIA, "--raw").out
    assert alone.replace("\r\n", "\n") == letter("one").decode().replace("\r\n", "\n")


def test_a_machine_that_may_not_answer_says_so_and_that_is_no_failure(
    cli: Cli, wired: User, ground: Ground
) -> None:
    ground.dovecot.fill(
        wired, [letter("list").replace(b"Subject:", b"List-Id: <x>\r\nSubject:", 1)]
    )
    [one] = cli("mail", "list", *VIA, "--json").json["items"]
    words = ("mail", "reply", one["id"], *VIA, "--text", "We have it.", "--automatic")
    answer = cli(*words)
    assert (answer.status, answer.out.startswith("Not answered: ")) == (0, True), answer
    document = cli(*words, "--json").json
    assert document["state"] == "not answered"
    assert cli("outbox", "list", "--json").json["items"] == []


def test_a_key_passes_a_message_on_once(cli: Cli, id_: str, ground: Ground) -> None:
    words = ("mail", "forward", id_, *VIA, "--to", ground.user().address, "--key", "a", "--json")
    assert cli(*words).json["id"] == cli(*words).json["id"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("mail", "flag", "1-1", *VIA), "--add: give a flag"),
        (("mail", "reply", "1-1", *VIA), "--text: is needed"),
        (("mail", "list", *VIA, "--limit", "-1"), "--limit: "),
        (("mail", "list", *VIA, "--limit", "x"), "--limit: give a whole number"),
        (("mail", "list", *VIA, "--serch", "x"), "There is no flag --serch"),
        (("mail", "list"), "--via is needed"),
        (("mail", "move", "1-1", *VIA), "--to is needed"),
        (("mail", "move", *VIA, "--to", "Done"), "ID is needed"),
        (("mail", "list", "--via", ""), "via: is needed"),
        (("send", *VIA, "--text", "x", "--wait", "soon"), "--wait: give a duration"),
        (("send", *VIA, "--text", "x", "--header", "X"), "--header X: write NAME=VALUE"),
        (("send", *VIA, "--text", "x", "--attach", "no/such"), "there is no file no/such"),
        (("send", "--via", "nowhere", "--to", "a@x.example", "--text", "x"), "called 'nowhere'"),
    ],
)
def test_what_is_wrong_is_said_in_flags(
    cli: Cli, wired: User, words: tuple[str, ...], told: str
) -> None:
    answer = cli(*words)
    assert (answer.status, told in answer.err) == (2, True), answer.err


def test_a_deletion_is_asked_about_with_the_number(cli: Cli, id_: str) -> None:
    where = ("--room", str(cli.settings.room), "--kek", str(cli.settings.kek))
    with Terminal("mail", "delete", id_, *VIA, *where) as screen:
        screen.until("Delete 1 message of INBOX from the server?")
        screen.type("n\r")
        assert screen.end() == 2
    assert len(cli("mail", "list", *VIA, "--json").json["items"]) == 1


def test_nothing_is_written_when_one_is_not_there(cli: Cli, id_: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for more in ((), ("--attachments",)):
        answer = cli("mail", "save", id_, id_ + "9", *VIA, "--to", str(out), *more)
        assert (answer.status, id_ + "9" in answer.err) == (2, True)
        assert "postroom mail list --via acme" in answer.err
    assert not out.exists()
