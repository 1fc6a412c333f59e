"""Many idle TLS connections in one process: what each takes, and how soon one hears of news."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench.figures import Figure, Samples
from tests.bench.rooms import ROOT, timed
from tests.ground import Pki, make_pki

__all__ = ["idling", "sitting"]

Say = Callable[[str], None]


def idling(count: int, runs: int, scratch: Path, say: Say) -> list[Figure]:
    """Figures of ``count`` connections in IDLE, over TLS, against a tiny server of our own."""
    pki = make_pki(scratch / "pki")
    found: dict[str, list[float]] = {}
    for run in range(runs):
        values = sitting(pki, count)
        for name, value in values.items():
            found.setdefault(name, []).append(value)
        say(f"idle, run {run + 1}: " + ", ".join(f"{k} {v:.2f}" for k, v in values.items()))
    what = f"{count:,} idle TLS connections"
    bare = Samples("a bare TLS socket in IDLE", found["bare_ms"])
    return [
        Figure(f"{what}, memory each", "small memory", found["each_kb"], aim="<= 40 KB"),
        Figure(f"{what}, news heard, p99", "time", found["ours_ms"], bare, "<= 20 ms more"),
    ]


def sitting(pki: Pki, count: int) -> dict[str, float]:
    """What :mod:`tests.bench.sitting` measures in a process of its own."""
    with _server(pki) as (port, control):
        values = {"port": port, "control": control, "authority": pki.ca.read_text(), "count": count}
        words = [sys.executable, "-m", "tests.bench.sitting", "--values", json.dumps(values)]
        found: dict[str, float] = json.loads(timed(words)[1])
    return found


@contextlib.contextmanager
def _server(pki: Pki) -> Iterator[tuple[int, int]]:
    pair = pki.pairs["good"]
    words = [sys.executable, "-m", "tests.bench.idleserver", str(pair.cert), str(pair.key)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(
        words, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert server.stdout is not None
        port, control = server.stdout.readline().split()
        yield int(port), int(control)
    finally:
        server.kill()
        server.communicate()
