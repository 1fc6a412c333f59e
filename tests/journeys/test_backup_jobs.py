"""A room with jobs, restored from a backup: nothing of them begins, or is sent, before somebody looked."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from postroom.app import DATABASE
from postroom.cli import main
from tests.child import Child
from tests.ground import Ground, User
from tests.ground.maildir import read
from tests.journeys.conftest import Cli
from tests.journeys.incoming import letter

ROOM = """\
postroom: 1
jobs:
  - name: answer
    steps:
      - reply-email: {via: acme, text: We have it., automatic: true}
sources:
  - {name: answers, connection: acme, start: all, sink: {type: job, job: answer}}
"""


def at_last(check: Callable[[], bool]) -> None:
    for _ in range(400):
        if check():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to that")


def test_f21_a_restored_room_answers_nothing_until_its_jobs_are_released(
    cli: Cli, wired: User, ground: Ground, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """F21: the room that was backed up has answered meanwhile; a second answer would be a wrong one."""
    sender = ground.user()
    (tmp_path / "room.yaml").write_text(ROOM)
    assert cli("source", "delete", "orders-in", "--yes").status == 0
    assert cli("apply", str(tmp_path / "room.yaml"), "--yes").status == 0
    written = letter("one", sender.address).replace(
        b"From:", b"To: %b\r\nFrom:" % wired.address.encode()
    )
    ground.dovecot.fill(wired, [written])
    assert cli("source", "run", "answers").status == 0
    backup = tmp_path / "room.tar"
    made = cli("backup", "create", "--to", str(backup))
    assert (made.status, "not sealed: 1 message that began runs of jobs" in made.err) == (0, True)
    again = tmp_path / "again"
    where = ("--room", str(again), "--kek", str(cli.settings.kek))
    capsys.readouterr()
    assert main(["backup", "restore", str(backup), *where]) == 0
    assert "1 job is held" in capsys.readouterr().out

    def rows(text: str) -> list[tuple[str, ...]]:
        with contextlib.closing(sqlite3.connect(again / DATABASE)) as raw:
            return list(raw.execute(text))

    with Child("-m", "postroom", "worker", *where):
        at_last(lambda: rows("SELECT state FROM sources") == [("listening",)])
        time.sleep(1.0)  # nothing happens, and that takes a while to see
        assert rows("SELECT state FROM runs") == [("queued",)]
        assert (rows("SELECT id FROM outbox"), read(sender.maildir)) == ([], [])
        assert main(["job", "release", "answer", *where]) == 0
        at_last(lambda: len(read(sender.maildir)) == 1)
    assert rows("SELECT state FROM runs") == [("succeeded",)]
