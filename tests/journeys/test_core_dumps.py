"""A process that has a room open leaves nothing of its memory behind when it dies."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import postroom
from tests.journeys.conftest import Cli

SOURCE = str(Path(postroom.__file__).parents[1])
STARTED = "Working for"
WORKER = ("-m", "postroom", "worker")
BARE = ("-c", f"import sys, time; print({STARTED!r}, file=sys.stderr, flush=True); time.sleep(60)")


def died(folder: Path, *words: str) -> list[Path]:
    """What lies in a directory after a process that may leave a core dump there was aborted."""

    def allow() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, *words], cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": SOURCE}, preexec_fn=allow, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        assert STARTED in process.stderr.readline()
        process.send_signal(signal.SIGABRT)
        assert process.wait(20) == -signal.SIGABRT
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    return list(folder.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="core(5) is Linux's")
def test_a_worker_that_is_aborted_leaves_no_core_dump(cli: Cli, tmp_path: Path) -> None:
    """T31: where another program does leave one, so that the test can see it."""
    where = ("--room", str(cli.settings.room), "--kek", str(cli.settings.kek))
    if resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY:
        pytest.skip("this machine allows no core dumps at all")
    elsewhere = Path("/proc/sys/kernel/core_pattern").read_text().startswith(("|", "/"))
    left = died(tmp_path / "bare", *BARE)
    if not left:
        pytest.skip(f"core dumps do not lie beside a program here (elsewhere: {elsewhere})")
    assert died(tmp_path / "worker", *WORKER, *where) == []
