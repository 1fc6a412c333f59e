"""What the command line tells people of jobs and sources: days, units, and what to type instead."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from postroom.clock import rfc3339, timestamp
from tests.journeys.conftest import Cli
from tests.journeys.test_bad_input import says
from tests.journeys.test_send_exit import in_the_room

if TYPE_CHECKING:
    from tests.ground import Ground, User


def test_the_log_of_another_day_says_its_day(cli: Cli) -> None:
    """One of today says the hour alone."""
    assert cli("job", "add", "waits", "--set", "command.words=[/bin/echo, hello]").status == 0
    assert cli("job", "run", "waits").status == 0
    [run] = cli("job", "runs", "waits", "--json").json["items"]
    line = f"{run['finished_at'][11:19]} Succeeded."
    assert line in cli("job", "log", run["id"]).out.splitlines()
    in_the_room(cli, "UPDATE run_log SET at = at - 172800")
    day = rfc3339(timestamp() - 172_800)[:10]
    assert f"{day} {line}" in cli("job", "log", run["id"]).out.splitlines()


def test_how_far_a_source_is_behind_has_a_unit(cli: Cli, wired: User) -> None:
    in_the_room(cli, "UPDATE sources SET due_at = strftime('%s') - 7300")
    assert cli("source", "show", "orders-in", "--json").json["status"]["lag"] > 7200
    shown = cli("source", "show", "orders-in").out.splitlines()
    assert [" ".join(line.split()) for line in shown if "lag" in line] == ["lag 2h"]


@pytest.mark.parametrize("word", ["reprocess", "reproces"])
def test_a_source_is_reset_by_whatever_word(cli: Cli, word: str) -> None:
    says(cli("source", word, "orders-in"), 2, "Did you mean postroom source reset?")


def test_another_word_for_a_verb_brings_the_verb(cli: Cli) -> None:
    says(cli("job", "remove", "nightly"), 2, "Did you mean postroom job delete?")
    says(cli("credential", "create", "x"), 2, "Did you mean postroom credential add?")


RELAY = """\
postroom: 1
credentials:
  - {name: relay, type: smtp, description: Relay, fields: {host: smtp.example.com}}
"""


def test_a_message_that_is_from_nobody_says_what_to_do(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "relay.yaml"
    file.write_text(RELAY)
    assert cli("apply", str(file)).status == 0
    answer = cli(
        "send", "--via", "relay", "--to", "ann@example.com", "--subject", "x", "--text", "t"
    )
    says(answer, 2, "from: is needed", "Say whom it is from (--from ADDRESS",
         "postroom credential set relay --email-address ADDRESS")  # fmt: skip


# ------------------------------------------------------------------ a name of another thing


def test_a_credential_where_a_connection_is_wanted_is_told_as_one(
    cli: Cli, wired: User, tmp_path: Path
) -> None:
    """What it is, and what to type."""
    file = tmp_path / "relay.yaml"
    file.write_text(RELAY)
    assert cli("apply", str(file)).status == 0
    for via in ("relay", "credential:relay"):
        listed = cli("mail", "list", "--via", via)
        says(listed, 1, "relay is a credential of type smtp: it sends, and no mail is read with it.",
             "postroom connection add")  # fmt: skip
    says(cli("connection", "test", "relay"), 1, "relay is a credential of type smtp, not a connection.",
         "Test it: postroom connection test credential:relay")  # fmt: skip
    says(cli("mail", "list", "--via", "acme-login"), 1, "acme-login is a credential of type password",
         "--via acme")  # fmt: skip
    says(cli("connection", "test", "acme-login"), 1, "postroom connection test acme")
    says(cli("connection", "test", "orders-out"), 1, "orders-out is a service",
         "postroom connection test acme")  # fmt: skip
    says(cli("mail", "list", "--via", "nowhere"), 2, "There is no connection called 'nowhere'")
    says(cli("connection", "test", "nowhere"), 2, "There is no connection called 'nowhere'")


# ------------------------------------------------------------------ what is refused when it is saved

JOB = "postroom: 1\njobs:\n  - name: bad\n    {}\n"


@pytest.mark.parametrize(
    ("does", "told"),
    [
        (
            "command: [true]",
            "command.words.0: give a text; a number or true is one in quotation marks",
        ),
        (
            "command: [date, 1]",
            "command.words.1: give a text; a number or true is one in quotation marks",
        ),
        (
            "steps: [{move-email: {via: acme, ids: [17], to: Done}}]",
            "steps.0.move-email.ids.0: give a text; a number or true is one in quotation marks",
        ),
        (
            "description: 4711",
            "description: give a text; a number or true is one in quotation marks",
        ),
    ],
)
def test_what_yaml_reads_as_no_text_is_said_to_be_quoted(
    cli: Cli, wired: User, tmp_path: Path, does: str, told: str
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(JOB.format(does))
    says(cli("apply", str(file)), 2, told)


HANDED = """\
postroom: 1
jobs:
  - {{name: takes, parameters: {{to: {{type: list, default: [a]}}}}, command: [/bin/true]}}
sources:
  - {{name: handed, connection: acme, start: new,
     sink: {{type: job, job: takes, parameters: {{to: {0}}}}}}}
"""


@pytest.mark.parametrize("value", ['"${NOPE}"', "'to ${message:from}'", '["${param:x}"]'])
def test_a_macro_in_what_a_source_says_to_a_job_is_refused(
    cli: Cli, wired: User, tmp_path: Path, value: str
) -> None:
    """Nothing is expanded there: it would reach the job as it stands."""
    file = tmp_path / "handed.yaml"
    file.write_text(HANDED.format(value))
    answer = cli("apply", str(file))
    says(answer, 2, "source handed: sink.parameters.to: nothing is expanded here",
         "${message:from} and the like stand in the steps of the job")  # fmt: skip
    assert [one["name"] for one in cli("source", "list", "--json").json["items"]] == ["orders-in"]


@pytest.mark.parametrize(
    ("does", "told"),
    [
        (
            "hand_over: {by: files}\n    command: [date]",
            "there is no field 'hand_over'.\n  Did you mean command.hand_over?",
        ),
        ("memory: 1GiB\n    command: [date]", "Did you mean limits.memory?"),
        (
            'steps: [{list-email: {via: acme}, wehn: "true"}]',
            "steps.0: a step has one command, not list-email and wehn; did you mean when?",
        ),
        (
            'command: [curl, "${sec:TOKEN}"]',
            "command.words.1: ${sec:...} is no kind of macro: no secret is ever written into a text; "
            "a python or command job is handed those of its credentials",
        ),
        ('command: [curl, "${credential:crm}"]', "no secret is ever written into a text"),
    ],
)
def test_what_stands_in_the_wrong_place_is_told_its_own(
    cli: Cli, wired: User, tmp_path: Path, does: str, told: str
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(JOB.format(does))
    says(cli("apply", str(file)), 2, told)


def test_a_parameter_that_is_needed_says_how_it_is_given(cli: Cli) -> None:
    assert cli("job", "add", "bills", "--set", "command.words=[/bin/true]",
               "--set", "parameters={day: {type: date}}").status == 0  # fmt: skip
    says(cli("job", "run", "bills"), 2, "day: is needed to run job bills", "-p day=VALUE")


def test_a_folder_that_is_not_there_says_how_it_is_made(
    cli: Cli, wired: User, ground: Ground
) -> None:
    ground.dovecot.fill(wired, [b"Subject: one\r\n\r\n1\r\n"])
    [one] = cli("mail", "list", "--via", "acme", "--json").json["items"]
    answer = cli("mail", "move", one["id"], "--via", "acme", "--to", "Nowhere")
    says(answer, 1, "There is no folder Nowhere", "--create", "create: true")
    assert (
        cli("mail", "move", one["id"], "--via", "acme", "--to", "Nowhere", "--create").status == 0
    )
    missing = cli("mail", "move", one["id"], "--via", "acme", "--folder", "Gone", "--to", "Nowhere")
    assert "--create" not in missing.err
