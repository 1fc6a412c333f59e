"""The chores: every script is sound, and says in a sentence what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.house.tree import ROOT

SCRIPTS = sorted((ROOT / "scripts").iterdir())


def run(*command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=os.environ | {"VERBOSE": "", "MAKEFLAGS": ""} | env,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def program(folder: Path, name: str, body: str) -> None:
    """Put a small shell program into a folder."""
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_plain_sh_and_can_be_started(script: Path) -> None:
    assert script.read_text().startswith("#!/bin/sh\n")
    assert os.access(script, os.X_OK)
    assert run("/bin/sh", "-n", script).returncode == 0


def test_ci_is_make_test_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines == ["#!/usr/bin/env bash", "exec make test"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_make_alone_lists_the_chores() -> None:
    listed = run("make", "--no-print-directory").stdout
    chores = [
        "setup",
        "demo",
        "test",
        "check",
        "unit",
        "wire",
        "journeys",
        "faults",
        "bench",
        "fuzz",
        "docs",
        "fmt",
        "clean",
    ]
    assert all(f"make {chore} " in listed for chore in chores)


def test_fuzzing_where_atheris_cannot_be_is_skipped_in_one_sentence(tmp_path: Path) -> None:
    """T83: it has no wheel for every Python; the corpus is replayed all the same."""
    (tmp_path / "atheris.py").write_text("raise ImportError")
    result = run("scripts/fuzz", "1", "smtp", PYTHONPATH=str(tmp_path), PIP_NO_INDEX="1")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == (
        "  note  atheris cannot be installed here, so nothing was fuzzed; "
        "make unit replays the corpus.\n"
    )


def test_no_python_is_said_in_one_sentence(tmp_path: Path) -> None:
    result = run("/bin/sh", "scripts/python", PATH=str(tmp_path), PYTHON="")
    assert result.returncode == 1
    assert "needs Python 3.11 or later and found none" in result.stderr


def test_a_python_without_venv_names_the_package(tmp_path: Path) -> None:
    program(tmp_path, "python3.13", "exit 127")  # a version manager's empty name
    program(tmp_path, "python3", 'case "$*" in *ensurepip*) exit 1;; esac')
    result = run("/bin/sh", "scripts/python", PATH=str(tmp_path), PYTHON="")
    assert (result.returncode, result.stdout) == (1, "")
    assert "python3 is here but cannot make virtual environments" in result.stderr
    assert "apt-get install python3-venv" in result.stderr


def test_the_first_python_that_runs_is_taken(tmp_path: Path) -> None:
    program(tmp_path, "python3.13", "exit 127")
    program(tmp_path, "python3.12", "exit 0")
    assert run("/bin/sh", "scripts/python", PATH=str(tmp_path), PYTHON="").stdout == "python3.12\n"


def test_a_step_is_one_line_when_it_goes_well() -> None:
    result = run("scripts/step", "name", "sh", "-c", "echo much; echo; echo == 3 passed ==")
    assert result.returncode == 0
    assert result.stdout.split()[:2] == ["ok", "name"]
    assert result.stdout.endswith(" s   3 passed\n")
    assert "much" not in result.stdout


def test_a_step_shows_everything_when_it_fails() -> None:
    result = run("scripts/step", "name", "sh", "-c", "echo much; echo why >&2; exit 7")
    assert result.returncode == 7
    assert "much\nwhy\n" in result.stdout
    assert "FAILED name" in result.stdout


def test_a_step_says_what_was_skipped() -> None:
    line = "SKIPPED [1] tests/wire/test_pop3.py: Dovecot is not installed"
    assert line in run("scripts/step", "wire", "echo", line).stdout


# ------------------------------------------------------------------ servers that are not there

NOTHING_INSTALLED = """
[ ! -d /usr/lib/dovecot ] || mount -t tmpfs none /usr/lib/dovecot
[ ! -e /usr/sbin/postfix ] || mount --bind /dev/null /usr/sbin/postfix
exec "$@"
"""


@pytest.fixture
def bare(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command on this machine as if Dovecot and Postfix were not installed on it."""
    hidden = (
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        NOTHING_INSTALLED,
        "sh",
    )
    if run(*hidden, "true").returncode:
        pytest.skip("this system makes no mount namespaces")
    return lambda *command, **env: run(*hidden, *command, **env)


def tools(folder: Path, *names: str) -> str:
    """A PATH with these programs of the system in it and no other."""
    for name in names:
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    return str(folder)


@pytest.mark.parametrize(
    ("has_apt", "why"),
    [
        (False, "Not a Debian or Ubuntu system (no apt-get)."),
        (True, "Packages are missing, and only root may install them."),
    ],
)
def test_servers_that_may_not_be_installed_are_named_with_what_is_skipped(
    bare: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, has_apt: bool, why: str
) -> None:
    """``make test`` goes on: the note says why, which tests are skipped, and what would help."""
    path = tools(tmp_path, "sh", "env", "dirname", "mount")
    program(tmp_path, "id", "echo 1000")
    if has_apt:
        program(tmp_path, "apt-get", "exit 1")
    result = bare("env", f"PATH={path}", "scripts/test-packages")
    assert result.returncode == 0, result.stderr
    servers = "dovecot-imapd dovecot-pop3d dovecot-lmtpd postfix nodejs npm chromium"
    assert f"  note  {why}\n" in result.stdout
    assert f"        Tests that need one of these will be skipped: {servers}\n" in result.stdout
    assert f"        To run them: sudo apt-get install {servers}\n" in result.stdout


def test_a_skipped_test_is_named_by_its_own_file(
    bare: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """Not by the line of pytest or of the ground that found the server missing."""
    tests = ("tests/wire/test_pop3.py", "-k", "any_password or a_wrong_password")
    pytest_ = (sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", *tests)
    result = bare("scripts/step", "wire", *pytest_, POSTROOM_GROUND="")
    assert result.returncode == 0, result.stdout
    [line] = [line for line in result.stdout.splitlines() if "SKIPPED" in line]
    assert line.strip().startswith(
        "SKIPPED [3] tests/wire/test_pop3.py: Dovecot is missing: apt-get"
    )
