"""A room on a full disk: said, worth trying again, still to be looked at, and nothing is lost."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postroom.services import held
from postroom.settings import Settings
from tests.journeys.conftest import Cli

FULL = "The disk that holds the room is full"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("only root may mount a small file system")
    yield path
    subprocess.run(["umount", str(path)], check=True)


@pytest.fixture
def settings(disk: Path, tmp_path: Path) -> Settings:
    """A room on that disk; its key is elsewhere."""
    return Settings(disk / "room", f"file:{tmp_path / 'keys' / 'room.key'}")


@pytest.fixture
def kept(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The room with something of each noun in it."""
    monkeypatch.setenv("SECRET_OF_ACME", "correct-horse-battery")
    for step in (
        ("credential", "add", "login", "--type", "password", "--user-name", "u@a.example",
         "--password-from-env", "SECRET_OF_ACME"),
        ("connection", "add", "acme", "--set", "outgoing.protocol=smtp",
         "--set", "outgoing.host=127.0.0.1", "--set", "outgoing.port=1",
         "--set", "outgoing.security=tls",
         "--set", "outgoing.auth={type: secret, credential: login}"),
        ("service", "add", "orders-out", "--connection", "acme"),
        ("variable", "set", "A", "1"),
    ):  # fmt: skip
        answer = cli(*step)
        assert answer.status == 0, answer.err
    return cli


def fill(disk: Path) -> Path:
    """Leave no byte free."""
    path = disk / "fill"
    with path.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    facts = os.statvfs(disk)
    assert facts.f_bavail == 0
    return path


@pytest.mark.parametrize(
    "words",
    [
        ("variable", "set", "A", "2"),
        ("send", "--via", "orders-out", "--to", "b@a.example",
         "--text", "x"),
        ("outbox", "drain"),
    ],
)  # fmt: skip
def test_no_byte_is_left_for_what_writes(kept: Cli, disk: Path, words: tuple[str, ...]) -> None:
    """One sentence, "try again", nothing saved; with space again the same command works."""
    filling = fill(disk)
    answer = kept(*words)
    assert (answer.status, FULL in answer.err) == (75, True), answer.err
    assert "Free some space" in answer.err
    assert kept(*words, "--json").json["code"] == "room_full"
    filling.unlink()
    assert kept("variable", "list", "--json").json["items"][0]["value"] == "1"
    assert kept("outbox", "list", "--json").json["items"] == []
    assert FULL not in kept(*words).err


def test_what_only_reads_goes_on(kept: Cli, disk: Path) -> None:
    """There is no room even for SQLite's shared index; the lists are read all the same."""
    fill(disk)
    for noun in ("variable", "credential", "connection", "service", "outbox", "source"):
        answer = kept(noun, "list", "--json")
        assert answer.status == 0, answer.err
        assert answer.json["items"] or noun in ("outbox", "source")
    assert kept("connection", "show", "acme").status == 0
    assert kept("export").status == 0


def test_what_a_killed_process_left_in_the_log_is_read(kept: Cli, disk: Path) -> None:
    """The newest commits lie in the log that nobody has merged; a full disk hides none of them."""
    writing = (
        "import os, signal, sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('PRAGMA wal_autocheckpoint=0')\n"
        "db.execute(\"UPDATE variables SET value = '7'\")\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", writing, str(disk / "room" / "room.db")], check=False)
    assert (disk / "room" / "room.db-wal").stat().st_size > 0
    (disk / "room" / "room.db-shm").unlink()
    fill(disk)
    for _ in range(2):
        answer = kept("variable", "list", "--json")
        assert answer.status == 0, answer.err
        assert answer.json["items"][0]["value"] == "7"


def test_a_disk_that_fills_while_many_are_cancelled_says_how_far_it_came(
    kept: Cli, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is cancelled stays so and is counted; the same command does the rest once there is room."""
    for _ in range(6):
        assert kept("send", "--via", "orders-out", "--to", "b@a.example", "--text", "x",
                    "--forget").status == 0  # fmt: skip
    assert kept("service", "hold", "orders-out").status == 0
    turns: list[Path | None] = []

    def shift_held(*given: Any, **named: Any) -> list[str]:
        turns.append(fill(disk) if len(turns) == 2 else None)
        return held.shift_held(*given, **named)

    monkeypatch.setattr(held, "AT_ONCE", 1)
    monkeypatch.setattr("postroom.operations.outbox.shift_held", shift_held)
    words = ("outbox", "cancel", "--service", "orders-out", "--yes")
    answer = kept(*words)
    assert answer.status == 75
    told = re.search(
        r"(\d) messages? w\w+ cancelled, and the others were not\. " + FULL, answer.err
    )
    assert told is not None, answer.err
    assert "The same command goes on where it stopped." in answer.err
    assert turns[2] is not None
    turns[2].unlink()
    left = 6 - int(told[1])
    assert left > 0
    assert kept(*words, "--json").json["cancelled"] == left


def test_a_head_that_does_not_fit_leaves_no_file(kept: Cli, disk: Path, tmp_path: Path) -> None:
    """A broken one would stand in the way of the next, and be taken for a copy that is kept."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(small)]
    assert subprocess.run(mount, check=False).returncode == 0
    try:
        filling = fill(small)
        answer = kept("audit", "heads", "--to", str(small / "head.json"))
        assert answer.status == 2
        assert "No space left" in answer.err
        assert not (small / "head.json").exists()
        filling.unlink()
        assert kept("audit", "heads", "--to", str(small / "head.json")).status == 0
    finally:
        subprocess.run(["umount", str(small)], check=True)
