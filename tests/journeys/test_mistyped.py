"""What is typed wrongly is refused when it is saved, in words that say what to type instead."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.journeys.conftest import Cli
from tests.journeys.test_bad_input import says
from tests.journeys.test_send_exit import in_the_room

if TYPE_CHECKING:
    from tests.ground import User


# ------------------------------------------------------------------ sources


@pytest.mark.parametrize("value", ["", " ", "${EMPTY}"])
def test_a_source_without_an_input_folder_is_not_saved(cli: Cli, wired: User, value: str) -> None:
    """Neither is one whose variable makes it empty."""
    assert cli("variable", "set", "EMPTY", "").status == 0
    says(cli("source", "set", "orders-in", "--set", f"folders.input={value}"), 2,
         "source orders-in: folders.input: name a folder, such as INBOX")  # fmt: skip
    assert cli("source", "show", "orders-in", "--json").json["folders"]["input"] == "INBOX"


def test_one_that_was_saved_so_can_be_looked_at_and_mended(cli: Cli, wired: User) -> None:
    in_the_room(
        cli, """UPDATE sources SET body = json_set(body, '$.folders', json('{"input": ""}'))"""
    )
    for verb in ("show", "usage"):
        assert cli("source", verb, "orders-in").status == 0
    assert cli("source", "list").status == 0
    for verb in ("run", "preview", "watch"):
        says(cli("source", verb, "orders-in"), 2, "folders.input: name a folder, such as INBOX")
    assert cli("source", "set", "orders-in", "--set", "folders.input=INBOX").status == 0
    assert cli("source", "run", "orders-in").status == 0


# ------------------------------------------------------------------ secrets


TWO_LINES = "correct horse\nbattery staple"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (TWO_LINES, "password: give one line; there are 2"),
        ("correct horse\r\nbattery\rstaple\n", "password: give one line; there are 3"),
        ("correct\0horse", "password: holds a NUL byte"),
    ],
)
def test_a_password_of_several_lines_is_not_saved(
    cli: Cli, wired: User, tmp_path: Path, value: str, told: str
) -> None:
    """A file with something else in it, too: no sign-in could send that."""
    file = tmp_path / "secret"
    file.write_text(value, newline="")
    given = ("--password-from-file", str(file))
    says(cli("credential", "set", "acme-login", *given), 2, told)
    says(cli("credential", "add", "relay", "--type", "smtp", "--description", "x", "--host",
             "127.0.0.1", "--user-name", "u", *given), 2, told)  # fmt: skip
    assert cli("connection", "test", "acme").status == 0, "what was stored stays"


def test_a_secret_that_no_sign_in_can_send_is_told_by_its_step(
    cli: Cli, wired: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret may hold anything; whoever signs in with it hears what is wrong, with the command."""
    monkeypatch.setenv("LONG", TWO_LINES)
    assert (
        cli("credential", "add", "pin", "--type", "secret", "--value-from-env", "LONG").status == 0
    )
    auth = "auth={type: secret, credential: pin}"
    for side in ("incoming", "outgoing"):
        answer = cli("connection", "set", "acme", "--rebind", "--set", f"{side}.{auth}", "--set",
                     f"{side}.user={wired.address}")  # fmt: skip
        assert answer.status == 0, answer.err
    tested = cli("connection", "test", "acme")
    says(tested, 1, "FAIL  secret", "credential pin cannot be sent", "give one line",
         "postroom credential set pin --value-from-env NAME")  # fmt: skip
    says(cli("source", "run", "orders-in"), 1, "credential set pin")
    send = ("send", "--via", "orders-out", "--to", wired.address, "--text", "x")
    says(cli(*send), 3, "credential pin cannot be sent", "postroom connection test acme")
    assert cli("credential", "set", "pin", "--value-from-env", "ACME_PASSWORD").status == 0
    assert cli("outbox", "drain").status == 0
    [item] = cli("outbox", "list", "--json").json["items"]
    assert item["state"] == "sent", "as with a wrong password, it waited for the right one"


def test_an_empty_file_gives_nothing_and_that_is_said(
    cli: Cli, wired: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").write_text("\n")
    monkeypatch.setenv("EMPTY", "")
    for flag, source, named in (
        ("--password-from-file", str(tmp_path / "empty"), str(tmp_path / "empty")),
        ("--password-from-env", "EMPTY", "the environment variable EMPTY"),
    ):
        answer = cli("credential", "set", "acme-login", flag, source)
        assert answer.status == 0, answer.err
        told = " ".join(answer.err.split())
        assert f"Note: {named} is empty: nothing was given for password" in told
        assert "what is stored stays" in told
    assert cli("connection", "test", "acme").status == 0


def test_a_hint_of_a_secret_names_the_flag_for_a_script(
    cli: Cli, wired: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command that is named asks on a terminal, and ends with status 2 where nobody is."""
    says(cli("credential", "set", "acme-login"), 2, "--password-from-env NAME")
    says(cli("credential", "set", "ground-ca"), 2, "Nothing to change was given")
    says(cli("credential", "set", "acme-login", "--password-from-env", "NOSUCH"), 2,
         "NOSUCH is not set", "--password-from-file PATH or --password-stdin")  # fmt: skip
    says(cli("credential", "set", "acme-login", "--password-from-file", "/nonexist"), 2,
         "/nonexist cannot be read", "--password-from-env NAME or --password-stdin")  # fmt: skip
    monkeypatch.setenv("WRONG", "not-the-right-one-at-all")
    assert cli("credential", "set", "acme-login", "--password-from-env", "WRONG").status == 0
    says(cli("connection", "test", "acme"), 1, "postroom credential set acme-login\n",
         "--password-from-env NAME")  # fmt: skip
    assert cli("credential", "set", "acme-login", "--clear", "password").status == 3
    says(cli("source", "run", "orders-in"), 1, "postroom credential set acme-login",
         "--password-from-env NAME")  # fmt: skip


def test_a_password_without_tls_names_the_flag(cli: Cli, wired: User) -> None:
    says(cli("credential", "add", "relay", "--type", "smtp", "--description", "x", "--host",
             "smtp.example.com", "--user-name", "u", "--password-from-env", "ACME_PASSWORD"), 2,
         "unencrypted", "--tls on the command line")  # fmt: skip


def test_a_locked_room_says_so_once(cli: Cli, wired: User) -> None:
    Path(str(cli.settings.kek).removeprefix("file:")).rename(cli.settings.room.parent / "away")
    answer = cli("connection", "test", "acme")
    says(answer, 78, "incoming and outgoing failed: There is no key file")
    assert (answer.out + answer.err).count("There is no key file") == 1


# ------------------------------------------------------------------ names, paths, flags


@pytest.mark.parametrize("via", ["reader", "connection:Reader"])
def test_to_send_by_a_connection_without_an_outgoing_side(cli: Cli, via: str) -> None:
    assert cli("connection", "add", "reader", "--set", "incoming.protocol=imap", "--set",
               "incoming.host=127.0.0.1").status == 0  # fmt: skip
    says(cli("send", "--via", via, "--to", "a@b.example", "--text", "x"), 1,
         "Connection reader has no outgoing side", "postroom connection set reader")  # fmt: skip
    says(cli("send", "--via", "nobody", "--to", "a@b.example", "--text", "x"), 2, "called 'nobody'")


def test_to_send_by_a_credential_of_no_server(cli: Cli, wired: User) -> None:
    says(cli("send", "--via", "acme-login", "--to", "a@b.example", "--text", "x"), 1,
         "Credential acme-login is not of type smtp or msgraph")  # fmt: skip


@pytest.mark.parametrize("kind", ["directory", "maildir"])
@pytest.mark.parametrize("below", ["", "/inner"])
def test_a_sink_whose_path_is_a_file(
    cli: Cli, wired: User, tmp_path: Path, kind: str, below: str
) -> None:
    """Waiting does not help: the status is 1, not "try again"."""
    (tmp_path / "taken").write_text("mine")
    assert cli("source", "set", "orders-in", "--set", f"sink.type={kind}", "--set",
               f"sink.path={tmp_path / 'taken'}{below}").status == 0  # fmt: skip
    says(
        cli("source", "run", "orders-in"), 1, "taken is a file, not a directory", "--set sink.path="
    )
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize(
    "words",
    [("source", "list"), ("credential", "set", "acme-login"), ("connection", "set", "acme")],
)
def test_nothing_is_suggested_where_nothing_is_near(
    cli: Cli, wired: User, words: tuple[str, ...]
) -> None:
    answer = cli(*words, "--frob")
    says(answer, 2, "There is no flag --frob")
    assert "Did you mean" not in answer.err
    assert "Did you mean --room?" in cli(*words, "--rom").err


@pytest.mark.parametrize(
    ("value", "told"), [("abc", "give a whole number"), ("0", "--limit: "), ("1.5", "whole number")]
)
def test_a_number_that_is_none(cli: Cli, value: str, told: str) -> None:
    answer = cli("outbox", "list", "--limit", value)
    says(answer, 2, told)
    assert "Input should" not in answer.err
