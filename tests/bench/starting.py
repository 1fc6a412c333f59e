"""The command line's own time and the memory of an idle worker, beside bare Python."""

from __future__ import annotations

import os
import re
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.collecting import Say
from tests.bench.figures import Figure, Samples
from tests.bench.rooms import ROOT, Place, Scratch, sending_room, timed

__all__ = ["starting"]

_POSTROOM = [sys.executable, "-c", "from postroom.cli import main; raise SystemExit(main())"]
_SEND = ["send", "--via", "bench-out", "--from", "bench@example.com", "--to", "a@example.com",
         "--subject", "Hello", "--text", "Hello.", "--forget"]  # fmt: skip
_EXEC = ["exec", "--credential", "bench-handed"]


def starting(times: int, runs: int, idle: float, disk: Scratch, say: Say) -> list[Figure]:
    """Figures of ``postroom --help``, ``send --forget``, ``exec`` and ``worker``.

    Each run is the median of ``times`` calls; the worker is looked at after ``idle`` seconds.
    """
    bare: list[float] = []
    helps: list[float] = []
    sends: list[float] = []
    adds: list[float] = []
    memory: list[float] = []
    nothing: list[float] = []
    for run in range(runs):
        with disk.new() as base:
            place = Place(base)
            sending_room(place, 9, times + 1)
            bare.append(_median([sys.executable, "-c", "pass"], times))
            helps.append(_median([*_POSTROOM, "--help"], times))
            sends.append(_median([*_POSTROOM, *_SEND, *place.options], times))
            program = [*_POSTROOM, *_EXEC, *place.options, "--", "true"]
            adds.append(_median(program, times) - _median(["true"], times))
            nothing.append(_memory([sys.executable, "-c", "import time; time.sleep(60)"], 0.5))
        with disk.new() as base:
            place = Place(base)
            sending_room(place, 9, 1)
            memory.append(_memory([*_POSTROOM, "worker", *place.options], idle))
        say(
            f"start, run {run + 1}: python {bare[-1]:.0f} ms, --help {helps[-1]:.0f} ms, "
            f"send {sends[-1]:.0f} ms, exec adds {adds[-1]:.0f} ms, worker {memory[-1]:.0f} MB"
        )
    python = Samples("python -c pass", bare)
    return [
        Figure("postroom --help", "time", helps, python, "< 300 ms"),
        Figure("postroom send --forget, to the durable row", "time", sends, python, "< 500 ms"),
        Figure("postroom exec, what it adds to a program", "time", adds, python, "< 400 ms"),
        Figure("postroom worker, idle", "memory", memory, Samples("python, idle", nothing)),
    ]


def _median(words: list[str], times: int) -> float:
    """Milliseconds of the whole process."""
    return statistics.median(timed(words)[0] for _ in range(times)) * 1000


def _memory(words: list[str], seconds: float) -> float:
    """Resident megabytes of a process after so many seconds; it is then ended by SIGTERM."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        time.sleep(seconds)
        if process.poll() is not None:
            assert process.stderr is not None
            raise RuntimeError(f"it ended by itself: {process.stderr.read().decode()}")
        status = Path(f"/proc/{process.pid}/status").read_text()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024
