"""Flags made of declared fields; a secret never comes as a plain argument."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from postroom.cli.flags import changes_of, flag_for, read_flags
from postroom.errors import InvalidValue, UnknownField, WrongUse
from postroom.operations.declared import credential_fields, nouns
from postroom.secret import Secret

CONNECTION, SOURCE = nouns()["connection"], nouns()["source"]
PASSWORD = credential_fields("password")
GENERIC = credential_fields("generic")
MSGRAPH = credential_fields("msgraph")


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["--description", "Orders"], {"description": "Orders"}),
        (["--description=a=b"], {"description": "a=b"}),
        (["--set", "incoming.host=a"], {"incoming": {"host": "a"}}),
        (["--set=incoming.port=993"], {"incoming": {"port": "993"}}),
        (["--incoming.host", "a"], {"incoming": {"host": "a"}}),
        (
            ["--set", "incoming.auth={type: secret, credential: x}"],
            {"incoming": {"auth": {"type": "secret", "credential": "x"}}},
        ),
        (["--worker-roles", "a, b"], {"worker_roles": ["a", "b"]}),
        (["--worker-roles", "[a, b]"], {"worker_roles": ["a", "b"]}),
        (["--set", "incoming.read_only=true"], {"incoming": {"read_only": True}}),
    ],
)
def test_flags_become_values(words: list[str], values: dict[str, Any]) -> None:
    assert read_flags(words, CONNECTION).values == values


def test_yes_or_no_needs_no_value() -> None:
    assert read_flags(["--clearance"], SOURCE).values == {"clearance": True}
    assert read_flags(["--no-clearance"], SOURCE).values == {"clearance": False}
    assert read_flags(["--clearance=false"], SOURCE).values == {"clearance": False}


def test_a_cleared_field_is_none() -> None:
    given = read_flags(["--clear", "folders.done", "--start", "new"], SOURCE)
    assert changes_of(given) == {"folders": {"done": None}, "start": "new"}


def test_a_change_without_anything_is_refused() -> None:
    with pytest.raises(WrongUse, match="Nothing to change"):
        changes_of(read_flags([], SOURCE))


@pytest.mark.parametrize(
    "words",
    [
        ["--password", "hunter2hunter2"],
        ["--password=hunter2hunter2"],
        ["--set", "password=hunter2hunter2"],
    ],
)
def test_a_secret_in_argv_is_refused_and_not_repeated(words: list[str]) -> None:
    with pytest.raises(WrongUse) as error:
        read_flags(words, PASSWORD)
    assert "--password-from-env" in error.value.hint
    assert "hunter2" not in str(error.value)


def test_a_custom_field_is_a_secret_unless_it_says_that_it_is_plain() -> None:
    with pytest.raises(WrongUse, match="secret"):
        read_flags(["--set", "token=abc"], GENERIC, open_names=True)
    read_flags(["--set", "token={value: abc, plain: true}"], GENERIC, open_names=True)


def test_a_secret_comes_from_environment_file_or_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_PASSWORD", "from env")
    (tmp_path / "secret").write_bytes(b"from file\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"from stdin\n")))
    for words, value in (
        (["--password-from-env", "THE_PASSWORD"], "from env"),
        (["--password-from-file", str(tmp_path / "secret")], "from file"),
        (["--password-stdin"], "from stdin"),
    ):
        secret = read_flags(words, PASSWORD).values["password"]
        assert isinstance(secret, Secret)
        assert secret == Secret(value)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("--passwrd-from-env", "--password-from-env"),
        ("--passwrd", "--password-from-env"),
        ("--pasword-stdin", "--password-stdin"),
        ("--usr-name", "--user-name"),
        ("--jsn", "--json"),
        ("--claer", "--clear"),
    ],
)
def test_the_flag_that_is_suggested_works(word: str, meant: str) -> None:
    with pytest.raises(UnknownField) as error:
        read_flags([word, "X"], PASSWORD)
    assert error.value.hint == f"Did you mean {meant}?"


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["--client-secrets-from-env", "V"], "--client-secrets.LABEL.value-from-env NAME"),
        (["--client-secrets-stdin"], "--client-secrets.LABEL.value-from-env NAME"),
        (["--client-secrets.2026a-from-env", "V"], "--client-secrets.2026a.value-from-env NAME"),
        (["--client-secrets", "{a: {value: s3cr3t}}"], "--client-secrets.LABEL.value-from-env"),
        (["--set", "client_secrets={a: {value: s3cr3t}}"], "--client-secrets.LABEL.value-from-env"),
        (["--set", "client_secrets.a={value: s3cr3t}"], "--client-secrets.a.value-from-env"),
        (["--set", "client_secrets.a.value=s3cr3t"], "--client-secrets.a.value-from-env"),
    ],
)
def test_of_a_map_by_label_the_flag_that_works_is_named(words: list[str], flag: str) -> None:
    with pytest.raises(WrongUse) as error:
        read_flags(words, MSGRAPH)
    assert flag in error.value.hint
    assert "s3cr3t" not in str(error.value)


def test_each_missing_field_has_a_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    assert flag_for("tenant_id", MSGRAPH) == "--tenant-id ID"
    assert flag_for("certificate", MSGRAPH) == "--certificate-from-file PATH"
    assert flag_for("password", PASSWORD) == "--password-from-env NAME"
    monkeypatch.setenv("NAME", "the value")
    for missing in ("client_secrets", "client_secrets.2026a.value"):
        given = read_flags(flag_for(missing, MSGRAPH).split(), MSGRAPH)
        [entry] = given.values["client_secrets"].values()
        assert entry == {"value": Secret("the value")}


def test_what_is_not_there_is_said_without_a_value(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="NOT_SET_ANYWHERE is not set"):
        read_flags(["--password-from-env", "NOT_SET_ANYWHERE"], PASSWORD)
    with pytest.raises(InvalidValue, match="cannot be read"):
        read_flags(["--password-from-file", str(tmp_path / "none")], PASSWORD)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--conection", "x"], "--connection"),
        (["--sink", "x"], "--set sink.type="),
        (["--zzzzzzzz", "x"], "--set FIELD=VALUE"),
    ],
)
def test_an_unknown_flag_names_what_was_meant(words: list[str], hint: str) -> None:
    with pytest.raises(UnknownField) as error:
        read_flags(words, SOURCE)
    assert hint in error.value.hint


@pytest.mark.parametrize("words", [["stray"], ["--connection"], ["--set", "nothing"], ["--clear"]])
def test_a_flag_without_its_value_is_wrong_use(words: list[str]) -> None:
    with pytest.raises(WrongUse):
        read_flags(words, SOURCE)
