"""``BENCH_PROFILE=DIRECTORY``: where the processor time of a task goes, thread by thread.

    BENCH_PROFILE=/tmp/profile make bench ARGS="--only resolve --runs 1"

writes for each task and each of its threads (``main`` with the event loop, ``postroom-db`` with the
database, ``asyncio_0`` and so on, to which files are handed) what cProfile saw:
``resolve-1.postroom-db.prof`` for ``python -m pstats``, and a text with the functions that took most
by themselves.

It is the processor time of that thread, so a busy machine and a slow disk do not show in it.  To be
watched makes each call dearer, small ones twice as dear: read who takes most, and by how much more;
the figures are those of a run without it.
"""

from __future__ import annotations

import contextlib
import cProfile
import io
import os
import pstats
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

__all__ = ["VARIABLE", "profiled"]

VARIABLE: Final = "BENCH_PROFILE"
_SHOWN: Final = 40
"""Functions in the text."""


@contextlib.contextmanager
def profiled(task: str) -> Iterator[None]:
    """Watch this thread and every one that begins meanwhile, if the variable asks for it.

    The threads must have ended when it is left; what the last of several leaves is numbered on.
    """
    if not (asked := os.environ.get(VARIABLE)):
        yield
        return
    if sys.version_info >= (3, 12):
        raise SystemExit(f"{VARIABLE} wants Python 3.11: later ones watch one thread at a time.")
    threads: list[tuple[str, cProfile.Profile]] = []

    def begin(*_: Any) -> None:
        profile = cProfile.Profile(time.thread_time)
        threads.append((threading.current_thread().name, profile))
        profile.enable()  # of this thread alone: it takes the place of this function

    threading.setprofile(begin)
    begin()
    try:
        yield
    finally:
        threads[0][1].disable()
        threading.setprofile(None)
        _write(Path(asked), task, threads)


def _write(folder: Path, task: str, threads: list[tuple[str, cProfile.Profile]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    number = len(list(folder.glob(f"{task}-*.main.prof"))) + 1
    for thread, profile in threads:
        name = "main" if thread == threading.main_thread().name else thread
        path = folder / f"{task}-{number}.{name}.prof"
        profile.dump_stats(path)
        text = io.StringIO()
        pstats.Stats(str(path), stream=text).sort_stats("tottime").print_stats(_SHOWN)
        path.with_suffix(".txt").write_text(text.getvalue(), "utf-8")
