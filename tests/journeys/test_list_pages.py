"""Long lists on the command line: each says that there is more, and goes on where the page before ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.journeys.conftest import Cli
from tests.journeys.incoming import letter

if TYPE_CHECKING:
    from tests.ground import Ground, User


def pages(cli: Cli, *words: str) -> list[list[str]]:
    """The ids of every page of one or two, until there is no next."""
    found: list[list[str]] = []
    after: tuple[str, ...] = ()
    while True:
        told = cli(*words, "--limit", "2", *after, "--json").json
        found.append([one["id"] for one in told["items"]])
        if told["next"] is None:
            return found
        said = cli(*words, "--limit", "2", *after).err
        after = ("--after", str(told["next"]))
        assert " ".join(after) in said


def test_runs_come_in_pages(cli: Cli) -> None:
    cli("job", "add", "nightly", "--set", "command.words=[/bin/true]")
    for _ in range(3):
        cli("job", "run", "nightly", "--forget")
    every = [one["id"] for one in cli("job", "runs", "--json").json["items"]]
    assert pages(cli, "job", "runs", "nightly") == [every[:2], every[2:]]


def test_messages_of_a_folder_come_in_pages(cli: Cli, wired: User, ground: Ground) -> None:
    ground.dovecot.fill(wired, [letter("one"), letter("two"), letter("three")])
    via = ("--via", "acme")
    for words in (("mail", "list", *via), ("mail", "search", "all", *via)):
        every = [one["id"] for one in cli(*words, "--json").json["items"]]
        assert pages(cli, *words) == [every[:2], every[2:]], words
    cli("mail", "delete", every[1], *via, "--yes")
    gone = cli("mail", "list", *via, "--after", every[1])
    assert gone.status == 2
    assert "no page begins behind it" in gone.err
    unseen = cli("mail", "search", "unseen", *via, "--json").json["items"]
    cli("mail", "flag", unseen[0]["id"], *via, "--add", "seen")
    read = cli("mail", "search", "unseen", *via, "--after", unseen[0]["id"])
    assert "what this search finds in INBOX now" in read.err  # the message lies there
