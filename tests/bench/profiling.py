"""``BENCH_PROFILE=DIRECTORY``: where the processor time of a task goes, thread by thread.

    BENCH_PROFILE=/tmp/profile make bench ARGS="--only resolve --runs 1"

writes for each task what cProfile saw of its threads: ``main`` with the event loop, ``postroom-db``
with the database, and ``others``, to which files are handed, together.  ``resolve-1.postroom-db.prof``
is for ``python -m pstats``, the text beside it has the functions that took most by themselves.

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
_MAIN, _DATABASE, _OTHERS = "main", "postroom-db", "others"
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
    number = len(list(folder.glob(f"{task}-*.{_MAIN}.prof"))) + 1
    for group in (_MAIN, _DATABASE, _OTHERS):
        seen = [profile for name, profile in threads if _group(name) == group]
        if not seen:
            continue
        path = folder / f"{task}-{number}.{group}.prof"
        text = io.StringIO()
        stats = pstats.Stats(*seen, stream=text)
        stats.dump_stats(path)
        stats.sort_stats("tottime").print_stats(_SHOWN)
        path.with_suffix(".txt").write_text(text.getvalue(), "utf-8")


def _group(thread: str) -> str:
    if thread == threading.main_thread().name:
        return _MAIN
    return _DATABASE if thread == _DATABASE else _OTHERS
