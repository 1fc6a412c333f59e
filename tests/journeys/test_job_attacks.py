"""Ways round what guards the secrets of jobs, each tried on a room as somebody would try it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from postroom.app import Room
from tests.journeys.conftest import Answer, Cli

TOKEN = "Canary-crm-token-8d21c6e0"

Applied = Callable[[str], Answer]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory of ours for scripts."""
    made = tmp_path / "definitions"
    made.mkdir(mode=0o755)
    return made


@pytest.fixture
def applied(cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch) -> Applied:
    """Applies jobs to a room with the credential ``crm``."""
    monkeypatch.setenv("CRM_TOKEN", TOKEN)

    def apply(jobs: str) -> Answer:
        file = place / "room.yaml"
        file.write_text(
            "postroom: 1\nvariables: {SAYS: first}\ncredentials:\n  - name: crm\n    type: generic\n"
            f"    fields: {{token: {{from_env: CRM_TOKEN}}}}\njobs:\n{jobs}"
        )
        return cli("apply", str(file), "--yes")

    return apply


def said(answer: Answer) -> str:
    return answer.out + answer.err


def script(place: Path, text: str) -> str:
    (place / "job.py").write_text(text)
    return "  - {name: nightly, credentials: [crm], python: ./job.py}\n"


def test_a_secret_does_not_leave_by_what_is_raised(cli: Cli, applied: Applied, place: Path) -> None:
    """T31: an error of Postroom's own kind; its text would lie in log, reason and worker's log."""
    job = script(
        place,
        "from postroom.errors import Refused\n"
        "def main(context):\n"
        "    word = context.credentials['crm']['token'].reveal()\n"
        "    raise Refused('not with ' + word, hint='look at ' + word)\n",
    )
    assert applied(job).status == 0
    failed = cli("job", "run", "nightly")
    assert failed.status == 1
    assert "not with ****" in said(failed)
    (run,) = cli("job", "runs", "nightly", "--json").json["items"]
    assert run["reason"] == "not with **** look at ****"


def test_a_secret_does_not_leave_by_the_parameters_of_another_job(
    cli: Cli, applied: Applied, place: Path
) -> None:
    """T31: they are kept with the other run, in the clear."""
    job = script(
        place,
        "def main(context):\n"
        "    word = context.credentials['crm']['token'].reveal()\n"
        "    context.do('run-job', job='other', parameters={'x': 'token ' + word})\n",
    )
    other = "  - {name: other, parameters: {x: {}}, command: {words: [echo, '${param:x}']}}\n"
    assert applied(job + other).status == 0
    failed = cli("job", "run", "nightly")
    assert failed.status == 1
    assert "kept in the clear" in said(failed)
    assert [run["job"] for run in cli("job", "runs", "--json").json["items"]] == ["nightly"]


@pytest.mark.parametrize(
    "text",
    [
        "return 'report-\\udcff.pdf'",
        "return {'a': ['\\ud800']}",
        "context.state['file'] = '\\udcff'",
        "raise ValueError('\\ud800 \\udcff')",
        "context.do('run-job', job='nightly', parameters={'x': '\\udcff'})",
        "return __import__('functools').reduce(lambda x, _: [x], range(700))",
    ],
)
def test_half_a_character_ends_a_run_and_no_worker(
    cli: Cli, applied: Applied, place: Path, text: str
) -> None:
    """What no database takes: a run that could not be settled would be done again for ever."""
    job = script(place, f"def main(context):\n    {text}\n")
    assert applied(job.replace("crm]", "crm], parameters: {x: {default: ''}}")).status == 0
    failed = cli("job", "run", "nightly")
    assert failed.status == 1
    assert "mistake" not in said(failed)
    (run,) = cli("job", "runs", "nightly", "--json").json["items"]
    assert run["state"] == "failed"


def test_half_a_character_in_a_line_of_the_log_is_told_as_none(
    cli: Cli, applied: Applied, place: Path
) -> None:
    assert applied(script(place, "def main(context): context.log('half \\ud800')\n")).status == 0
    done = cli("job", "run", "nightly")
    assert done.status == 0
    assert "half \N{REPLACEMENT CHARACTER}" in said(done)


def test_half_a_character_in_a_parameter_is_wrong_use(
    cli: Cli, applied: Applied, place: Path
) -> None:
    job = script(place, "def main(context): pass\n").replace("crm]", "crm], parameters: {x: {}}")
    assert applied(job).status == 0
    assert cli("job", "run", "nightly", "-p", "x=\udcff").status == 2


def test_a_program_that_others_may_write_since_it_was_saved_is_not_run(
    cli: Cli, applied: Applied, place: Path
) -> None:
    """T26: looked at when it is saved, and each time before it is handed anything."""
    program = place / "show.sh"
    program.write_text("#!/bin/sh\necho has run\n")
    program.chmod(0o755)
    assert (
        applied("  - {name: show, credentials: [crm], command: {words: [./show.sh]}}\n").status == 0
    )
    assert "has run" in said(cli("job", "run", "show"))
    program.chmod(0o777)
    failed = cli("job", "run", "show")
    assert failed.status == 1
    assert "has run" not in said(failed)
    assert "may be written by others" in said(failed)


def test_a_variable_in_a_command_is_as_much_of_it_as_its_words(cli: Cli, applied: Applied) -> None:
    """T26: who may set a variable does not choose what runs with a secret, or where it is sent."""
    job = "  - {name: show, credentials: [crm], command: {words: [echo, '${var:SAYS}']}}\n"
    assert applied(job).status == 0
    assert "first" in said(cli("job", "run", "show"))
    refused = cli("variable", "set", "SAYS", "second")
    assert refused.status == 1
    assert "job:show#" in said(refused)
    assert cli("job", "run", "show").status == 0
    assert cli("variable", "set", "SAYS", "second", "--rebind").status == 0
    assert "second" in said(cli("job", "run", "show"))


def test_a_variable_of_a_command_without_secrets_is_anybodys(cli: Cli, applied: Applied) -> None:
    assert applied("  - {name: show, command: {words: [echo, '${SAYS}']}}\n").status == 0
    assert cli("variable", "set", "SAYS", "second").status == 0
    assert "second" in said(cli("job", "run", "show"))


@pytest.mark.parametrize(
    "words",
    [
        ["sh", "-c", "grep ${message:subject} list"],
        ["/bin/bash", "-e", "-uc", "${message:from}"],
        ["env", "A=1", "python3", "-c", "print('${message:subject}')"],
        ["perl", "-e", "print '${message:subject}'"],
    ],
)
def test_a_message_says_nothing_that_a_shell_does(
    cli: Cli, applied: Applied, words: list[str]
) -> None:
    """T40: a subject such as ``; curl evil.example`` would be a command."""
    refused = applied(f"  - {{name: show, command: {{words: {json.dumps(words)}}}}}\n")
    assert refused.status == 2
    assert "read as commands" in said(refused)
    behind = json.dumps(["sh", "-c", 'echo "$1"', "sh", "${message:subject}"])
    assert applied(f"  - {{name: show, command: {{words: {behind}}}}}\n").status == 0


async def test_what_another_job_passes_on_is_no_command_either(room: Room) -> None:
    """T40: received text does not become trusted by going through the parameters of another job."""
    shell = {"words": ["sh", "-c", "echo ${param:x}"]}
    await room.jobs.add({"name": "show", "parameters": {"x": {}}, "command": shell})
    evil = {"run-job": {"job": "show", "parameters": {"x": "; echo evil"}}}
    await room.jobs.add({"name": "first", "steps": [evil]})
    by_hand = await room.runs.here(await room.runs.begin("show", {"x": "by hand"}))
    assert by_hand.state == "succeeded"
    await room.runs.here(await room.runs.begin("first"))
    (passed,) = [one for one in await room.runs.list("show") if one.cause == "job"]
    ended = await room.runs.here(passed.id)
    assert ended.state == "failed"
    assert "read as commands" in ended.reason
    assert "evil" not in str(await room.runs.log(passed.id))
