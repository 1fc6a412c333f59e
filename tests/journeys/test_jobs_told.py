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
    from tests.ground import User


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
