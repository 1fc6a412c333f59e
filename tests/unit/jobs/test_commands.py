"""Built-in commands: what is declared, and what is said of what is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from postroom.errors import InvalidValue, UnknownField
from postroom.fields import describe, parse
from postroom.jobs import commands
from postroom.jobs.commands import (
    COMMANDS,
    Command,
    FlagEmail,
    ListEmail,
    MoveEmail,
    ReplyEmail,
    SendEmail,
    command_named,
)
from postroom.mail import Address, Attachment

EVERY = pytest.mark.parametrize("kind", COMMANDS, ids=lambda kind: kind.name)


@EVERY
def test_a_command_is_declared_whole(kind: type[Command]) -> None:
    """A label and help for each parameter, a sentence, and names for what it gives."""
    assert re.fullmatch(r"[a-z]+-[a-z]+", kind.name)
    assert kind.about.endswith(".")
    assert kind.gives
    for one in describe(kind):
        assert one.help.endswith((".", "31")) or one.name == "search", one.name
        assert one.label != one.name
    assert kind.many in ("", *kind.model_fields)
    assert kind.__name__ in commands.__all__


@EVERY
def test_a_command_has_a_file_of_its_own(kind: type[Command]) -> None:
    module = f"postroom.jobs.commands.{kind.name.replace('-', '_')}"
    assert kind.__module__ == module


@pytest.mark.parametrize("name", ["send-email", "SendEmail", "send_email", "sendemail"])
def test_the_names_of_a_command(name: str) -> None:
    assert command_named(name) is SendEmail


@pytest.mark.parametrize(
    ("name", "hint"),
    [("send-mail", "Did you mean send-email?"), ("mov-email", "move-email"), ("x", "Commands: ")],
)
def test_a_command_that_is_none(name: str, hint: str) -> None:
    with pytest.raises(UnknownField, match=f"no command '{name}'") as caught:
        command_named(name)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        (MoveEmail, {"via": "a", "ids": [], "to": "x", "form": 1}, "no field 'form'"),
        (MoveEmail, {"via": "a", "ids": []}, "to: is needed and was not given"),
        (MoveEmail, {"via": "a", "ids": "x", "to": "y"}, "ids: give a list"),
        (ListEmail, {"via": "a", "limit": "x"}, "limit: give a whole number"),
        (ListEmail, {"via": "a", "limit": -1}, "limit: "),
        (FlagEmail, {"via": "a", "ids": []}, "add: give a flag"),
        (ReplyEmail, {"via": "a"}, "text: is needed"),
        (SendEmail, {"via": "a", "wait": "soon"}, "wait: give a duration"),
        (SendEmail, {"via": "a", "to": 5}, "to: give a list"),
        (SendEmail, {"via": "a", "subjct": "x"}, "Did you mean subject?"),
        (
            SendEmail,
            {"via": "a", "attachments": [{"name": "x"}]},
            "attachments.0: content: is needed",
        ),
    ],
)
def test_wrong_parameters_are_said_alike_however_a_command_is_made(
    kind: type[Command], given: dict[str, Any], told: str
) -> None:
    """By name and parameters (a step, a door) or as an object (a program): never pydantic's own."""
    for make in (lambda: parse(kind, given), lambda: kind(**given)):
        with pytest.raises((InvalidValue, UnknownField)) as caught:
            make()
        assert told in str(caught.value)


def test_what_is_parsed_says_where_it_stands() -> None:
    with pytest.raises(InvalidValue, match=r"^step moved: to: is needed"):
        parse(MoveEmail, {"via": "a", "ids": []}, where="step moved")


def test_people_and_files_of_a_program_are_what_json_can_hold() -> None:
    """So that a command can be handed to a worker, or stored, as it is."""
    made = SendEmail(
        via="out",
        to=[Address("Ann", "ann@example.com"), "bob@example.com; eve@example.com"],
        from_="me@example.com",
        attachments=[Path("a.pdf"), Attachment("b.txt", "text/plain", b"hello")],
    )
    dumped = made.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    assert dumped == {
        "via": "out",
        "to": [{"name": "Ann", "address": "ann@example.com"}, "bob@example.com; eve@example.com"],
        "from": ["me@example.com"],
        "attachments": [
            "a.pdf",
            {"name": "b.txt", "type": "text/plain", "content": "aGVsbG8="},
        ],
    }
    again = SendEmail(**dumped).model_dump(mode="json", by_alias=True, exclude_defaults=True)
    assert again == dumped


@pytest.mark.parametrize(
    ("command", "plan"),
    [
        (
            MoveEmail(via="acme", ids=["1", "2"], to="Done"),
            "move 2 messages of INBOX to Done (acme)",
        ),
        (SendEmail(via="out", to="a@x.example", subject="Hi"), "send 'Hi' to a@x.example (out)"),
        (ReplyEmail(via="acme", text="x"), "answer the message that started the run (acme)"),
        (FlagEmail(via="acme", ids=["1"], add=["seen"]), "set seen on 1 message of INBOX (acme)"),
        (ListEmail(via="acme"), "list the newest messages in INBOX (acme)"),
    ],
    ids=lambda value: value.name if isinstance(value, Command) else "",
)
def test_a_dry_run_says_what_it_would_do(command: Command, plan: str) -> None:
    assert command.plan() == plan
