"""What lies in ``deploy/``: units and an image that start what there is, with options that there are."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from postroom.errors import CONFIGURATION

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))


def service(path: Path) -> dict[str, str]:
    """The section of a unit that says what runs; of a key that stands twice, the last."""
    unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(path.read_text())
    return dict(unit["Service"])


def options_of(verb: str) -> set[str]:
    words = [sys.executable, "-m", "postroom", verb, "--help"]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"--[a-z][a-z-]+", told))


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_what_there_is(path: Path) -> None:
    program, verb, *words = shlex.split(service(path)["ExecStart"])
    assert program.endswith("/postroom")
    assert {word for word in words if word.startswith("--")} <= options_of(verb)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_gives_up_only_where_a_person_is_needed(path: Path) -> None:
    said = service(path)
    assert said["Restart"] == "always"
    assert said["RestartPreventExitStatus"] == str(CONFIGURATION)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_the_key_is_the_credential_that_the_unit_loads(path: Path) -> None:
    said = service(path)
    name = said["LoadCredentialEncrypted"].partition(":")[0]
    assert f"POSTROOM_KEK=systemd:{name}" in said["Environment"].split()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_finds_nothing_wrong_with_a_unit(path: Path, tmp_path: Path) -> None:
    """But that the program is not installed where the unit has it."""
    program = shlex.split(service(path)["ExecStart"])[0]
    here = tmp_path / path.name
    here.write_text(path.read_text().replace(program, sys.executable))
    words = ["systemd-analyze", "verify", "--man=no", str(here)]
    told = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert path.name not in told.stdout + told.stderr, told.stderr


def test_the_key_of_the_image_is_the_secret_it_is_run_with() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    secret = re.search(r"--secret (\S+)", text)
    assert secret
    assert f"POSTROOM_KEK=mounted:/run/secrets/{secret[1]}\n" in text


def test_the_image_has_what_it_starts() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    asked = re.search(r'"\$1\[(\w+)\]"', text)
    assert asked
    assert asked[1] in extras
    served = re.search(r"postroom serve ([^\n]+)", text)
    assert served
    assert {word for word in served[1].split() if word.startswith("--")} <= options_of("serve")
