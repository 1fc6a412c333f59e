"""What the command line asks for, what it says when nobody is there, and that its advice works."""

from __future__ import annotations

from typing import Any

import pytest

from tests.journeys.conftest import Cli
from tests.journeys.terminal import Terminal


@pytest.fixture
def screen(cli: Cli) -> Any:
    """Runs a command of the room on a terminal."""
    where = ("--room", str(cli.settings.room), "--kek", str(cli.settings.kek))
    return lambda *words: Terminal(*words, *where)


# ------------------------------------------------------------------ client secrets


def test_an_app_is_made_with_its_client_secret_on_a_terminal(cli: Cli, screen: Any) -> None:
    with screen("credential", "add", "m5", "--type", "msgraph") as asked:
        for question, answer in (
            ("Client id: ", "11111111-2222-3333-4444-555555555555"),
            ("Tenant: ", "example.com"),
            ("Client secrets: label of one, such as 2026a (empty: none): ", "2026a"),
            ("Client secrets: value of 2026a: ", "hush-hush-9876"),
        ):
            asked.until(question)
            asked.type(answer)
        assert asked.end() == 0
    assert "hush" not in asked.seen
    shown = cli("credential", "show", "m5", "--json").json
    assert (shown["state"], shown["missing"]) == ("complete", [])
    assert shown["fields"]["client_secrets"] == {"2026a": {"value": "****9876"}}


def test_an_incomplete_app_ends_with_flags_that_complete_it(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = cli("credential", "add", "m5", "--type", "msgraph", "--client-id", "app")
    flags = "--tenant-id ID --client-secrets.LABEL.value-from-env NAME"
    assert f"postroom credential set m5 {flags}" in " ".join(made.err.split())
    nothing = cli("credential", "set", "m5")
    assert nothing.status == 2
    assert flags in " ".join(nothing.err.split())
    monkeypatch.setenv("NAME", "hush-hush-9876")
    done = cli("credential", "set", "m5", *flags.replace(" ID", " example.com").split(), "--json")
    assert done.json["state"] == "complete"


def test_a_new_client_secret_is_asked_for_when_nothing_is_given(cli: Cli, screen: Any) -> None:
    assert cli("credential", "add", "app", "--type", "oauth_client", "--client-id", "app",
               "--authority", "https://login.example.com").status == 0  # fmt: skip
    with screen("credential", "set", "app") as asked:
        asked.until("(empty: keep): ")
        asked.type("2027a")
        asked.until("value of 2027a: ")
        asked.type("hush-hush-1234")
        assert asked.end() == 0
    shown = cli("credential", "show", "app", "--json").json
    assert shown["fields"]["client_secrets"] == {"2027a": {"value": "****1234"}}


def test_help_and_explain_name_the_flag_of_a_client_secret(cli: Cli) -> None:
    for words in (("credential", "add", "--help"), ("explain", "msgraph")):
        assert "--client-secrets.LABEL.value-from-env" in cli(*words).out
