"""The page that takes Postroom off a machine names every place, and its commands leave nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.child import Child
from tests.unit.house.tree import ROOT
from tests.unit.test_docs import blocks_of

PAGE = ROOT / "docs" / "uninstalling.md"


class Machine:
    """A home directory with nothing in it, and the command line as its owner has it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        keep = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        self.environ = {**keep, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")}

    def __call__(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "postroom", *words],
            env={**self.environ, "PYTHONPATH": str(ROOT / "src")},
            cwd=self.home, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def files(self) -> set[str]:
        """Every file and empty directory, as somebody at home names it."""
        return {
            f"~/{path.relative_to(self.home)}"
            for path in self.home.rglob("*")
            if path.is_file() or not any(path.iterdir())
        }


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A room in the default places that was used in every way that leaves something, and a killed worker."""
    (tmp_path / "home").mkdir()
    made = Machine(tmp_path / "home")
    made("init")
    made("connection", "add", "acme", "--set", "incoming.protocol=imap",
         "--set", "incoming.host=127.0.0.1", "--set", "incoming.port=1")  # fmt: skip
    made("source", "add", "orders-in", "--connection", "acme", "--set", "sink.type=directory",
         "--set", "sink.path=orders")  # fmt: skip
    env = {**made.environ, "PYTHONPATH": str(ROOT / "src")}
    with Child("-m", "postroom", "worker", env=env) as worker:
        while not list(made.home.glob(".local/share/postroom/seats/*")):
            assert worker.status is None
    room = made.home / ".local/share/postroom"
    (room / "spool").mkdir(exist_ok=True)
    return made


def named() -> list[str]:
    """The places in the table of the page, with any room's id."""
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    return [word.replace("ROOM-ID", "*") for row in rows for word in re.findall(r"`([^`]+)`", row)]


def test_every_place_is_named(machine: Machine) -> None:
    """Whatever init and work leave lies where the page says; what it says of the room is there."""
    places = named()
    room = "~/.local/share/postroom"
    for file in machine.files():
        inside = file.removeprefix(f"{room}/").partition("/")[0]
        wanted = inside if file.startswith(room) else file
        assert any(fnmatch(wanted, place) for place in places), f"{file} is not on the page"
    assert room in places
    assert {"room.db", "seats"} <= {path.name for path in (machine.home / room[2:]).iterdir()}


def test_what_the_code_makes_in_a_room_is_named() -> None:
    """Also what only an upgrade or a large message makes: every name of a file that the code has."""
    text = "\n".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    made = set(re.findall(r'data_dir / "([\w.-]+)"', text))
    made |= set(re.findall(r'"(room\.[\w.-]+|room-[\w-]+)"', text)) - {"room.key"}
    made |= set(re.findall(r'_SEATS: Final = "(\w+)"', text))
    assert {"spool", "seats", "room.db", "room.upgrade-copy"} <= made
    page = PAGE.read_text("utf-8")
    assert [name for name in made if f"`{name}`" not in page] == []


def test_its_commands_leave_nothing_but_what_was_kept_on_purpose(
    machine: Machine, tmp_path: Path
) -> None:
    (tmp_path / "backups").mkdir()
    kit, backup = tmp_path / "kit.txt", tmp_path / "backups"
    machine("export", "--to", str(tmp_path / "last.yaml"))
    machine("backup", "create", "--to", str(backup))
    machine("keys", "kit", "--to", str(kit))
    [key] = machine.home.glob(".config/postroom/keys/*.key")
    assert str(key) in machine("init"), "it says where they are"
    [script] = [one.text for one in blocks_of(PAGE) if one.text.startswith("rm -r ~")]
    subprocess.run(
        ["sh", "-ec", script.replace("ROOM-ID", key.stem)], env=machine.environ, check=True
    )
    assert machine.files() <= {"~/.local/share", "~/.config"}, "and those are empty"
    machine.environ["POSTROOM_KEK"] = f"file:{kit}"
    [file] = backup.iterdir()
    assert "made with the room's key" in machine("backup", "verify", str(file))
