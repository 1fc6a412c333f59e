"""Verbs that stand for a command: their words and flags are what the command declares."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import pytest
import typer

from docs.verbs import commands as verbs
from postroom.cli import declared, main
from postroom.errors import InvalidValue, WrongUse
from postroom.fields import describe
from postroom.operations.commands import command_named

VERBS = {
    "send": "send-email", "mail folders": "list-folders", "mail list": "list-email",
    "mail search": "list-email", "mail read": "read-email", "mail save": "save-email",
    "mail move": "move-email", "mail copy": "copy-email", "mail flag": "flag-email",
    "mail delete": "delete-email", "mail reply": "reply-email", "mail forward": "forward-email",
}  # fmt: skip


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_takes_what_its_command_declares(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each parameter with its help; of the flags here none is written down a second time."""
    command: Any = dict(verbs())[name]
    there = {one.name for one in command.params}
    assert main([*name.split(), "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    for field in describe(command_named(VERBS[name])):
        if field.name == "search" and name != "send":
            continue  # the words of `mail search`, and none of `mail list`
        assert ("from_" if field.name == "from" else field.name) in there
        assert (field.metavar or "--") in told
        if field.name != "quote":
            assert " ".join(field.help.split()) in told


def given_by(command: str, *words: str, **more: Any) -> dict[str, Any]:
    """What a function is given of a command's parameters, for a command line."""
    found: dict[str, Any] = {}

    def verb(
        given: declared.Given, extra: Annotated[bool, typer.Option("--extra")] = False
    ) -> None:
        found.update(given, extra=extra)

    app = typer.Typer(add_completion=False)
    app.command()(declared.taking(command, verb, **more))
    typer.main.get_command(app)(args=list(words), standalone_mode=False)
    return found


@pytest.mark.parametrize(
    ("command", "line", "given"),
    [
        ("move-email", "1 2 --via acme --to Done",
         {"ids": ["1", "2"], "via": "acme", "to": "Done", "folder": "INBOX"}),
        ("move-email", "--via acme --to Done --create -- -1",
         {"ids": ["-1"], "via": "acme", "to": "Done", "folder": "INBOX", "create": True}),
        ("flag-email", "1 --via acme --add seen --add Two,words",
         {"ids": ["1"], "via": "acme", "folder": "INBOX", "add": ["seen", "Two,words"]}),
        ("reply-email", "1 --via a --all --no-quote --from x@y.example",
         {"id": "1", "via": "a", "folder": "INBOX", "to_all": True, "quote": False,
          "once_in": "7d", "from": ["x@y.example"]}),
        ("send-email", "--via a --to b@x.example --header X-A=1=2 --attach f",
         {"via": "a", "to": ["b@x.example"], "headers": {"X-A": "1=2"}, "attachments": ["f"]}),
        ("send-email", "--via a --text=", {"via": "a", "text": ""}),
        ("list-email", "--via a --limit 0", {"via": "a", "folder": "INBOX", "limit": 0}),
    ],
)  # fmt: skip
def test_what_is_given_is_what_was_said(command: str, line: str, given: dict[str, Any]) -> None:
    """Nothing that was not said, but for the defaults that the help shows."""
    found = given_by(command, "--extra", *line.split())
    assert found.pop("extra") is True
    assert found == given


def test_what_a_verb_finds_out_otherwise_and_what_it_means_by_nothing() -> None:
    assert given_by("send-email", "--via", "a", default={"wait": "60s"})["wait"] == "60s"
    taken = declared.taking("list-email", lambda given: None, leave=["search"])
    assert "search" not in inspect.signature(taken).parameters


@pytest.mark.parametrize(
    ("command", "given", "told"),
    [
        ("send-email", {"via": "a", "wait": "soon"}, "--wait: give a duration"),
        ("send-email", {"via": "a", "attachments": [5]}, "--attach: give paths"),
        ("list-email", {"via": "a", "limit": -1}, "--limit: choose greater than or equal to 0"),
        ("move-email", {"via": "a", "ids": "x", "to": "y"}, "ID: give a list"),
        ("reply-email", {"via": "a", "id": "1"}, "--text: is needed"),
    ],
)
def test_what_is_wrong_names_the_flag(command: str, given: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        declared.made(command, given)
    assert str(caught.value).startswith(told)


def test_a_pair_without_a_name_is_refused() -> None:
    with pytest.raises(WrongUse, match="--header X-A: write NAME=VALUE"):
        given_by("send-email", "--via", "a", "--header", "X-A")
