"""F8, for programs of runs: their worker is killed or frozen, and they end; no run is at work twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from postroom.app import open_room
from postroom.db.claims import LEASE_SECONDS
from postroom.jobs.guarding import FROZEN_SECONDS
from postroom.jobs.handing import Told, memory_directory
from postroom.jobs.process import run_program
from postroom.jobs.runlock import RunLock
from postroom.jobs.runs import Run
from postroom.settings import Settings
from tests.child import Child

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the guard watches /proc")

WORKER = """
import asyncio, sys
from pathlib import Path
from postroom.jobs.handing import Told
from postroom.jobs.job import HandOver
from postroom.jobs.process import run_program
from postroom.secret import Secret

async def work():
    print("at work", flush=True)
    ended = await run_program(
        ["sh", "-c", sys.argv[2]], runs=Path(sys.argv[1]), told=Told("r1", "nightly"),
        credentials={"crm": {"password": Secret("Canary-" + "4f1b7e90")}}, how=HandOver(by="files"),
        on_output=lambda stream, line: print(line, flush=True),
    )
    print(ended, flush=True)

asyncio.run(work())
"""
STAYS = (
    "(setsid sh -c 'trap : TERM HUP; while :; do sleep 0.1; done' >/dev/null 2>&1 & echo $!); echo $$; "
    "ls $POSTROOM_DIRECTORY; sleep 600"
)
"""Tells two processes that it is, one of which does not listen and has a session of its own."""


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def worker(runs: Path) -> Iterator[Child]:
    with Child("-c", WORKER, str(runs), STAYS) as child:
        assert child.line() == "at work"
        yield child


def processes(worker: Child) -> list[int]:
    found = [int(worker.line()), int(worker.line())]
    assert worker.line() == "crm"
    return found


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return True
    return state == b"Z"


async def begun_anew(runs: Path, wait: float) -> list[str]:
    """Run something under the same run; gives what it wrote, and when."""
    lines: list[str] = []
    script = "ls -A; ls $POSTROOM_DIRECTORY 2>/dev/null"
    ended = await run_program(
        ["sh", "-c", script],
        runs=runs,
        told=Told("r1", "nightly"),
        on_output=lambda stream, line: lines.append(line),
        wait=wait,
    )
    assert ended.ok
    return lines


def test_its_worker_is_killed_and_all_of_it_ends(worker: Child, runs: Path) -> None:
    """F8: whoever takes the run over waits until nothing of it lives, and finds nothing of it."""
    pids = processes(worker)
    private = memory_directory(str((runs / "r1.lock").absolute()))
    assert private.exists()
    assert not RunLock(runs, "r1").try_to_take()
    worker.kill()
    # at once: the guard does not wait until the worker counts as frozen
    assert asyncio.run(begun_anew(runs, wait=FROZEN_SECONDS - 2)) == []
    assert all(map(gone, pids))
    assert not private.exists()
    assert list(runs.iterdir()) == []


@pytest.mark.slow
def test_its_worker_is_frozen_and_all_of_it_ends_before_the_lease(
    worker: Child, runs: Path
) -> None:
    """F16: a frozen worker loses its claim after the lease; its program is gone by then."""
    pids = processes(worker)
    os.kill(worker.pid, signal.SIGSTOP)
    began = time.monotonic()
    try:
        while not all(map(gone, pids)):
            assert time.monotonic() - began < 60
            time.sleep(0.05)
        took = time.monotonic() - began
        assert asyncio.run(begun_anew(runs, wait=20.0)) == []
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    assert took > 8  # not at the first beat that is late
    assert took < LEASE_SECONDS + 3  # of which a busy machine may take some
    assert worker.line() == "Ended(status=None, signal=15, why='lost', left=())"


ALONE = """
log=$1
while read -r pid; do
    if kill -0 "$pid" 2>/dev/null; then echo "twice" >> "$log.said"; fi
done < "$log"
setsid sh -c 'trap : TERM HUP; echo $$ >> "$0"; while :; do sleep 0.1; done' "$log" >/dev/null 2>&1 &
echo $$ >> "$log"
if [ $(wc -l < "$log") -ge 3 ]; then exit 0; fi
sleep 600
"""
"""Looks whether anything of an earlier attempt lives; the second attempt ends well."""


def test_another_worker_begins_the_run_anew_when_nothing_of_it_lives(
    settings: Settings, tmp_path: Path
) -> None:
    """F8: one of two workers is killed with its program at work: the run is never at work twice."""
    log = tmp_path / "pids"
    log.touch()
    words = ["sh", "-c", ALONE, "sh", str(log)]

    async def made() -> str:
        room = await open_room(settings, make=True)
        await room.jobs.add({"name": "alone", "command": {"words": words}})
        run = await room.runs.begin("alone")
        await room.close()
        return run

    async def ended(run: str) -> Run:
        room = await open_room(settings)
        try:
            while not (found := await room.runs.show(run)).finished:
                await asyncio.sleep(0.1)
            return found
        finally:
            await room.close()

    run = asyncio.run(made())
    where = ["--room", str(settings.room), "--kek", str(settings.kek)]
    with Child("-m", "postroom", "worker", *where) as first:
        while len(log.read_text().splitlines()) < 2:
            assert first.status is None
            time.sleep(0.05)
        with Child("-m", "postroom", "worker", *where) as second:
            first.kill()
            found = asyncio.run(asyncio.wait_for(ended(run), 60))
            assert second.stop(30) == 0
    assert (found.state, found.attempts) == ("succeeded", 2), found
    assert not Path(f"{log}.said").exists()
    assert all(gone(int(pid)) for pid in log.read_text().split())
