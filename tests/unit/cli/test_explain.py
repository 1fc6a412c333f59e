"""``postroom explain CODE``: what a code means, why it happens, what to do, and whether to try again."""

from __future__ import annotations

import ast
import json

import pytest

from postroom.cli import main
from postroom.errors import CODES, FAILED, TRY_AGAIN, PostroomError
from postroom.jobs.states import FOLLOWS
from postroom.operations.commands import commands
from postroom.operations.meanings import CODE_MEANINGS, exit_statuses
from tests.unit.house.tree import modules


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_explained_whole(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", code]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{code}: ")
    assert all(f"\n{head}  " in told for head in ("Usual cause", "What to do", "Exit status"))
    assert "`" not in told
    assert main(["explain", code, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["temporary"] in ("yes", "no", "sometimes")
    for part in ("means", "cause", "do"):
        assert found[part].endswith((".", ")"))
    assert found["exit_status"] in found["exit_statuses"]


@pytest.mark.parametrize("code", CODES)
def test_the_statuses_are_those_that_errors_end_with(code: str) -> None:
    ends = {PostroomError("x", code=code, temporary=each).exit_status for each in (False, True)}
    assert set(exit_statuses(code)) <= ends
    if CODES[code].exit == TRY_AGAIN:
        assert CODE_MEANINGS[code].again == "yes"
    if CODE_MEANINGS[code].again == "sometimes":
        assert CODES[code].exit == FAILED


def test_no_code_is_explained_that_nothing_raises() -> None:
    said: set[str] = set()
    for module in modules():
        if module.name in ("postroom.operations.meanings", "postroom.errors"):
            continue
        tree = ast.walk(ast.parse(module.text))
        said |= {str(each.value) for each in tree if isinstance(each, ast.Constant)}
    errors = next(one for one in modules() if one.name == "postroom.errors")
    for call in ast.walk(ast.parse(errors.text)):  # the defaults of the classes: code = "..."
        if isinstance(call, ast.Assign) and isinstance(call.value, ast.Constant):
            said.add(str(call.value.value))
    assert CODES.keys() - said == set()


def test_what_the_code_calls_temporary_is_not_explained_as_final() -> None:
    """Every error that is raised with ``temporary=True`` beside its code, in the source."""
    found: set[str] = set()
    for module in modules():
        for call in ast.walk(ast.parse(module.text)):
            if isinstance(call, ast.Call):
                given = {one.arg: getattr(one.value, "value", None) for one in call.keywords}
                if given.get("temporary") is True and given.get("code"):
                    found.add(str(given["code"]))
    assert {"timed_out", "room_busy", "connection_lost"} <= found
    assert [code for code in found if CODE_MEANINGS[code].again == "no"] == []


def test_each_number_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "refused"]) == 0
    told = capsys.readouterr().out
    assert "Exit status  1 - Failed; trying the same again does not help." in told
    assert "Exit status  75 - Something temporary." in told


@pytest.mark.parametrize(
    ("word", "near"), [("timedout", "timed_out"), ("certificate", ""), ("CONECT_REFUSED", "connect_refused")]
)  # fmt: skip
def test_an_unknown_code_brings_the_nearest_names(
    word: str, near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["explain", word])
    told = capsys.readouterr()
    if not near:  # a credential type of that name
        assert (status, told.err) == (0, "")
        return
    assert status == 2
    assert f"Did you mean {near}" in told.err


def test_nothing_like_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "qqqqqq"]) == 2
    assert "postroom explain" in capsys.readouterr().err
    assert main(["explain"]) == 0
    assert "timed_out, connection_lost" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["move-email", "MoveEmail", "move_email"])
def test_a_command_is_explained_with_what_it_takes_and_gives(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", name]) == 0
    told = capsys.readouterr().out
    assert "to  (text, needed)" in told
    assert "folder  (text, default INBOX)" in told
    assert "count: How many there were." in told
    assert main(["explain", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "move-email"


def test_all_commands_are_listed_and_a_slip_is_told_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["explain", "commands", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["items"]
    assert [one["name"] for one in listed] == [one["name"] for one in commands()]
    assert main(["explain", "move-emial"]) == 2
    assert "Did you mean move-email" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("jobs", "schedule.cron  (text)"),
        ("step", "for_each  (value)"),
        ("steps", "for_each  (value)"),
        ("when", "step: when  (text)"),
        ("for_each", "step: for_each  (value)"),
        ("on_error", "step: on_error.retry.max  (number, default 3)"),
        ("limits", "job: limits.memory  (size, default 1GiB)"),
        ("misfire", "job: schedule.misfire  (once | skip | all, default once)"),
        ("schedule", "source: schedule.every  (duration"),
        ("hand_over", "job: command.hand_over.by  (descriptor | files | environment"),
        ("sources", "polling_timeout  (duration"),
    ],
)
def test_a_word_of_a_room_file_is_explained(
    word: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", word]) == 0
    assert told in capsys.readouterr().out
    assert main(["explain", word, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"]


@pytest.mark.parametrize("word", ["run", "runs"])
def test_a_run_is_explained_with_its_states(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", word]) == 0
    told = capsys.readouterr().out
    assert all(f"\n{state}\n    " in told for state in FOLLOWS)
    assert main(["explain", word, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["items"]
    assert [one["state"] for one in found] == list(FOLLOWS)


def test_a_slip_in_a_word_of_a_step_is_told_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["explain", "for_eech"]) == 2
    assert "Did you mean for_each" in capsys.readouterr().err


def test_a_secret_that_is_not_bound_is_explained_for_all_that_it_may_be_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["explain", "destination_not_bound"]) == 0
    told = capsys.readouterr().out
    for way in ("connection", "postroom job set", "postroom credential set NAME --programs"):
        assert way in " ".join(told.split())
