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
