"""Programs that turn against what watches them: their guard stopped, their directory made a link."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from postroom.fields import parse
from postroom.jobs import guarding
from postroom.jobs.guard import remove_tree
from postroom.jobs.job import Limits
from postroom.jobs.runlock import RunLock
from tests.unit.jobs.test_process import Ran, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the guard watches /proc")

SOON = 20.0
"""Seconds; none of these may go on for ever."""


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ran:
    monkeypatch.setattr(guarding, "BEAT_SECONDS", 0.3)
    return Ran(tmp_path)


async def test_a_guard_that_is_stopped_goes_on(ran: Ran) -> None:
    """Else a program that stops it has no limits, and its run never ends."""
    limits = parse(Limits, {"time": "2s"})
    async with asyncio.timeout(SOON):
        ended = await ran("sh", "-c", "kill -STOP $PPID; exec sleep 600", limits=limits, grace=0.3)
    assert ended.why == "time"
    assert ran.left() == []


async def test_a_guard_that_is_stopped_again_and_again_is_given_up_with_its_program(
    ran: Ran,
) -> None:
    async with asyncio.timeout(SOON):
        ended = await ran("sh", "-c", "while :; do kill -STOP $PPID; sleep 0.05; done")
    assert ended.why == "guard"
    await until(lambda: RunLock(ran.runs, "r1").try_to_take())


@pytest.fixture
def others(tmp_path: Path) -> Path:
    """A directory that is no part of a run."""
    made = tmp_path / "others"
    made.mkdir(mode=0o755)
    (made / "precious").write_text("x")
    return made


async def test_what_a_program_puts_in_place_of_its_directory_is_not_followed(
    ran: Ran, others: Path
) -> None:
    """T79: what is removed at the end is the run's, whatever its directory has become."""
    script = f'cd /; rm -r "$TMPDIR"; ln -s {others} "$TMPDIR"'
    ended = await ran("sh", "-c", script)
    assert (ended.ok, ended.left) == (True, ())
    assert [one.name for one in others.iterdir()] == ["precious"]
    assert others.stat().st_mode & 0o777 == 0o755
    assert ran.left() == []
    assert (await ran("true", wait=0.3)).ok


async def test_a_directory_in_memory_that_somebody_else_made_a_link_is_not_followed(
    ran: Ran, others: Path
) -> None:
    """T79: its name is seen by everybody while the first attempt of a run is at work."""
    lock = RunLock(ran.runs, "r1")
    assert lock.private is not None
    lock.private.symlink_to(others)
    try:
        assert (await ran("true")).ok
    finally:
        lock.private.unlink(missing_ok=True)
    assert [one.name for one in others.iterdir()] == ["precious"]


def test_a_file_in_its_place_is_removed(tmp_path: Path) -> None:
    (tmp_path / "r1").write_text("x")
    assert remove_tree(str(tmp_path / "r1"))
    assert list(tmp_path.iterdir()) == []
