"""The chores: every script is sound, and says in a sentence what is missing."""

from __future__ import annotations

import os
import subprocess
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
        "docs",
        "fmt",
        "clean",
    ]
    assert all(f"make {chore} " in listed for chore in chores)


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
