"""What the command line asks for, what it says when nobody is there, and that its advice works."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.journeys.conftest import Cli
from tests.journeys.terminal import Terminal

if TYPE_CHECKING:
    from tests.ground import User


@pytest.fixture
def screen(cli: Cli) -> Any:
    """Runs a command of the room on a terminal."""
    where = ("--room", str(cli.settings.room), "--kek", str(cli.settings.kek))
    return lambda *words: Terminal(*words, *where)


# ------------------------------------------------------------------ client secrets


def test_an_app_is_made_with_its_client_secret_on_a_terminal(cli: Cli, screen: Any) -> None:
    with screen("credential", "add", "m5", "--type", "msgraph") as asked:
        for question, answer in (
            ("Description (empty: none): ", ""),
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


def test_the_description_is_asked_for_first_unless_it_is_given(cli: Cli, screen: Any) -> None:
    """DESIGN 4.1: name, type and description, then the fields; an smtp record needs all of them."""
    host = ("--type", "smtp", "--host", "127.0.0.1")
    with screen("credential", "add", "relay", *host) as asked:
        asked.until("Description (empty: later): ")
        asked.type("The relay of the office")
        asked.until("User name (empty: no sign-in): ")
        asked.type("")
        assert asked.end() == 0, asked.seen
    with screen("credential", "add", "other", *host, "--description", "") as asked:
        asked.until("User name (empty: no sign-in): ")
        asked.type("")
        assert asked.end() == 3, asked.seen
    assert "postroom credential set other --description TEXT" in asked.seen
    assert "Description" not in asked.seen.partition("User name")[0]
    found = cli("credential", "list", "--json").json["items"]
    assert {one["name"]: (one["description"], one["state"]) for one in found} == {
        "relay": ("The relay of the office", "complete"),
        "other": ("", "incomplete"),
    }
    sent = cli("send", "--via", "other", "--from", "a@example.com", "--to", "b@example.com",
               "--text", "x", "--forget")  # fmt: skip
    assert sent.status == 1
    assert "The credential other is incomplete: description missing." in sent.err
    with screen("credential", "set", "other") as asked:
        asked.until("Description (empty: later): ")
        asked.type("The other one")
        asked.until("(empty: keep): ")
        asked.type("")
        assert asked.end() == 0, asked.seen
    assert cli("credential", "show", "other", "--json").json["state"] == "complete"


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


# ------------------------------------------------------------------ advice that can be followed


def test_a_prompt_in_a_room_file_needs_a_terminal(cli: Cli, screen: Any, tmp_path: Path) -> None:
    path = tmp_path / "room.yaml"
    path.write_text(
        "postroom: 1\ncredentials:\n"
        "  - {name: login, type: secret, fields: {value: {prompt: true}}}\n"
    )
    refused = cli("apply", str(path))
    assert refused.status == 2
    assert "use from_env or from_file" in " ".join(refused.err.split())
    assert "--NAME" not in refused.err
    with screen("apply", str(path)) as asked:
        asked.until("value: ")
        asked.type("hush-hush-9876")
        assert asked.end() == 0, asked.seen
    shown = cli("credential", "show", "login", "--json").json
    assert shown["fields"] == {"value": "****9876"}


def test_a_refused_type_names_no_flag_that_is_not_there(cli: Cli) -> None:
    assert cli("credential", "add", "relay", "--type", "smtp", "--host", "127.0.0.1",
               "--description", "The relay").status == 0  # fmt: skip
    assert cli("service", "add", "out", "--connection", "credential:relay").status == 0
    refused = cli("credential", "set", "relay", "--type", "secret", "--yes")
    assert refused.status == 1
    assert "Change those first." in refused.err
    assert "--force" not in refused.err
    assert "--force" in cli("credential", "delete", "relay", "--yes").err


@pytest.mark.parametrize("words", [("--name", "new"), ("--set", "name=new"), ("--clear", "name")])
def test_a_name_never_changes_and_copy_makes_another(
    cli: Cli, wired: User, words: tuple[str, ...]
) -> None:
    for noun, name in (
        ("credential", "acme-login"),
        ("connection", "acme"),
        ("source", "orders-in"),
        ("service", "orders-out"),
    ):
        refused = cli(noun, "set", name, *words)
        assert refused.status == 2
        assert "it never changes" in refused.err
        assert f"postroom {noun} copy NAME NEW_NAME" in " ".join(refused.err.split())
        assert "Did you mean" not in refused.err


def test_dates_and_description_are_cleared_like_every_field(cli: Cli) -> None:
    assert cli("credential", "add", "login", "--type", "password", "--description", "Orders",
               "--user-name", "ann", "--expires-at", "2030-01-31",
               "--rotate-after", "2029-12-31").status == 3  # fmt: skip
    cleared = cli("credential", "set", "login", "--clear", "expires_at", "--clear", "rotate_after",
                  "--clear", "description", "--clear", "user_name", "--json")  # fmt: skip
    assert cleared.status == 3, cleared
    shown = cleared.json
    assert (shown["expires_at"], shown["rotate_after"], shown["description"]) == (None, None, "")
    assert shown["fields"] == {}


def test_an_unknown_variable_is_refused_with_the_command_that_makes_it(cli: Cli) -> None:
    add = ("connection", "add", "x", "--set", "incoming.protocol=imap", "--set")
    refused = cli(*add, "incoming.host=${NOPE}")
    assert refused.status == 2
    assert "Set it with: postroom variable set NOPE VALUE" in " ".join(refused.err.split())
    assert cli("variable", "set", "NOPE", "imap.example.com").status == 0
    assert "did you mean NOPE?" in cli(*add, "incoming.host=${nope}").err
    assert cli(*add, "incoming.host=${NOPE}").status == 0


def test_a_sender_is_allowed_by_the_command_that_the_refusal_names(cli: Cli, wired: User) -> None:
    send = ("send", "--to", wired.address, "--text", "x", "--from", "boss@example.com", "--via")
    for via in ("orders-out", "connection:acme"):
        refused = cli(*send, via)
        assert refused.status == 1
        command = " ".join(refused.err.split()).partition("Allow it with: postroom ")[2]
        assert cli(*shlex.split(command)).status == 0, command
        assert cli(*send, via).status == 0
        assert cli("service", "set", "orders-out", "--clear", "allowed_senders").status == 0


def test_a_question_ends_as_a_question(cli: Cli) -> None:
    wrong = cli("credential", "tset", "x")
    assert wrong.status == 2
    assert "Did you mean" in wrong.err
    assert "?\n" in wrong.err
    assert "?." not in wrong.err


# ------------------------------------------------------------------ the audit record


def test_accepting_an_older_copy_is_asked_about_on_a_terminal(cli: Cli, screen: Any) -> None:
    """Why, and whether it was meant; no answer, or no, accepts nothing."""
    why = "Why was it put back? The answer stands in the record: "
    with screen("audit", "accept") as asked:
        asked.until(why)
        asked.type("the disk broke")
        asked.until("on purpose? [y/N]: ")
        asked.type("y")
        assert asked.end() == 0, asked.seen
    [row] = cli("audit", "list", "--action", "accept", "--json").json["items"]
    assert row["detail"]["why"] == "the disk broke"
    for answers in (["the disk broke", "n"], [""]):
        with screen("audit", "accept") as asked:
            for question, answer in zip((why, "on purpose? [y/N]: "), answers, strict=False):
                asked.until(question)
                asked.type(answer)
            assert asked.end() == 2
        assert "Nothing was accepted" in asked.seen
    assert "--why TEXT" in cli("audit", "accept", "--yes").err
