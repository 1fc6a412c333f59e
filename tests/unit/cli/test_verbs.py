"""The verbs: their help, and what is loaded for them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import postroom
from docs.verbs import commands
from postroom.cli import main
from postroom.cli.root import VERBS

SRC = Path(postroom.__file__).parents[1]
EVERY = [name for name, _ in commands()]
HEAVY = ("sqlite3", "pydantic", "rich", "yaml", "cryptography", "asyncio", "postroom.app")
WEB = ("fastapi", "starlette", "uvicorn", "jinja2", "httpx", "httpx2", "aiosmtpd", "pymap", "rich")


def loaded(words: Sequence[str], *options: str) -> set[str]:
    """The modules of a process that has run one command."""
    code = (
        "import sys; from postroom.cli import main; status = main(sys.argv[1:]); "
        "print(*sys.modules, file=sys.stderr); raise SystemExit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words, *options],
        capture_output=True, text=True, check=True, env={"PYTHONPATH": str(SRC)},
    )  # fmt: skip
    return set(done.stderr.splitlines()[-1].split())


def test_what_set_takes_is_all_there_and_promises_no_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is not given stays as it is, so nothing is needed and no default comes in."""
    shown = {}
    for verb in ("add", "set"):
        assert main(["source", verb, "--help"]) == 0
        shown[verb] = capsys.readouterr().out
    assert "--clear FIELD" in shown["set"]
    assert "--clear FIELD" not in shown["add"]
    fields = {verb: told.partition("\nFields:")[2] for verb, told in shown.items()}
    for word in ("Needed.", "Default:"):
        assert word in fields["add"]
        assert word not in fields["set"]
    for told in shown.values():
        assert "--set FIELD=VALUE" in told
        assert "-h, --help" in told


def test_a_default_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mail", "save", "--help"]) == 0
    assert "Default: the current directory." in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_help_loads_no_library_it_does_not_need(words: list[str]) -> None:
    assert not loaded(words) & set(HEAVY)


def test_the_help_of_send_opens_no_room() -> None:
    assert not loaded(["send", "--help"]) & {"sqlite3", "postroom.app", "rich"}


def test_sending_and_collecting_load_no_web_library(tmp_path: Path) -> None:
    where = ("--room", str(tmp_path / "room"), "--kek", f"file:{tmp_path / 'key'}")
    assert not loaded(["init"], *where) & set(WEB)
    assert not loaded(["credential", "add", "relay", "--type", "smtp", "--host", "127.0.0.1",
                       "--description", "The relay of the office"], *where) & set(WEB)  # fmt: skip
    assert not loaded(["send", "--via", "relay", "--from", "a@example.com", "--to", "b@example.com",
                       "--text", "x", "--forget"], *where) & set(WEB)  # fmt: skip


@pytest.mark.parametrize("name", EVERY)
def test_every_verb_has_help_that_fits(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its usage, whole sentences, and nothing wider than 80 columns."""
    assert main([*name.split(), "--help"]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"Usage: postroom {name}")
    assert max(map(len, told.splitlines())) <= 80
    assert "..." not in told.replace(" ...", "")
    assert "--json" in told


@pytest.mark.parametrize("noun", [each for each in VERBS if f"{each} list" in EVERY])
def test_a_noun_alone_shows_its_verbs(noun: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([noun]) == 2
    told = capsys.readouterr()
    assert told.err.startswith(f"Usage: postroom {noun} VERB")
    assert all(name.split()[1] in told.err for name in EVERY if name.startswith(f"{noun} "))


def test_a_verb_that_changes_fields_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    main(["source", "add", "--help"])
    told = capsys.readouterr().out
    assert "--connection TEXT" in told
    assert "--set folders.done=TEXT" in told


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"postroom {postroom.__version__}\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["souce", "list"], "There is no verb or noun 'souce'."),
        (["souce", "list"], "Did you mean postroom source?"),
        (["source", "lst"], "There is no verb 'lst' of postroom source."),
        (["source", "lst"], "Did you mean postroom source list?"),
        (["source", "frobnicate"], "See them all: postroom source --help"),
        (["source", "run"], "NAME is needed."),
        (["source", "run"], "postroom source run --help"),
        (["send"], "--via is needed."),
        (["send", "--via"], "--via needs a value."),
        (["send", "--subjct", "x"], "There is no flag --subjct."),
        (["send", "--subjct", "x"], "Did you mean --subject?"),
        (["connection", "list", "--jsn"], "Did you mean --json?"),
        (["outbox", "list", "--limit", "x"], "--limit"),
    ],
)
def test_wrong_use_says_what_was_meant(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    answer = capsys.readouterr()
    assert told in answer.err
    assert answer.out == ""
    assert main([*words, "--json"]) == 2
    answer = capsys.readouterr()
    assert answer.err == ""
    assert answer.out.startswith('{"v": 1, "code": "invalid_value", "error": ')
