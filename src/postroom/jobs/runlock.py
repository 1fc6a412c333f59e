"""The lock of a run: while anything of it lives, nobody begins it anew; and what killed runs left behind.

``ROOM/runs/RUN.lock`` is held (flock(2)) by whoever began the run and by the guard of its program, who
outlives a worker that was killed.  ``ROOM/runs/RUN`` is the run's own directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import Final

from postroom.errors import Refused
from postroom.jobs.guard import remove_tree
from postroom.jobs.handing import memory_directory

__all__ = ["WAIT_SECONDS", "RunLock", "sweep"]

WAIT_SECONDS: Final = 20.0
"""How long the guard of a killed worker may take to end a program, and more."""
_LOOK: Final = 0.1


class RunLock:
    """The lock of one run, and the two directories that are the run's alone.

    ``directory`` is its own, on the room's disk; ``private`` is in memory, None where there is none.
    """

    def __init__(self, runs: Path, run: str) -> None:
        """``runs`` is the directory of the room's runs; it is made when the lock is taken."""
        self.path = runs / f"{run}.lock"
        self.directory = runs / run
        self.private: Path | None = None
        self.fd = -1
        self._run = run
        with contextlib.suppress(Refused):
            self.private = memory_directory(str(self.path.absolute()))

    @property
    def directories(self) -> list[Path]:
        """What is removed when nothing of the run lives."""
        return [self.directory, *([self.private] if self.private else [])]

    async def take(self, wait: float = WAIT_SECONDS) -> None:
        """Take it; raises Refused (``claim_lost``, temporary) when it is held all the while."""
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        until = time.monotonic() + wait
        while not self.try_to_take():
            if time.monotonic() >= until:
                raise Refused(
                    f"The run {self._run} is not begun anew yet: a program of it is still at work.",
                    code="claim_lost",
                    temporary=True,
                    hint="Its guard ends it; the run is taken up again after that.",
                )
            await asyncio.sleep(_LOOK)
        for path in self.directories:  # of one whose guard was killed too
            remove_tree(str(path))

    def try_to_take(self) -> bool:
        """Take it if nobody holds it."""
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            same = os.path.samestat(os.fstat(fd), os.stat(self.path))
        except (BlockingIOError, FileNotFoundError):  # who held it removed it
            same = False
        except BaseException:
            os.close(fd)
            raise
        if not same:
            os.close(fd)
            return False
        self.fd = fd
        return True

    def clear(self) -> None:
        """Remove the lock and the directories of a run that has ended, and let go."""
        for path in self.directories:
            remove_tree(str(path))
        with contextlib.suppress(OSError):
            self.path.unlink()
        self.let_go()

    def let_go(self) -> None:
        """Close it: it holds as long as the guard does."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def sweep(runs: Path) -> int:
    """Remove what runs left whose worker and guard were both killed; gives how many there were."""
    found = 0
    for path in runs.glob("*.lock") if runs.is_dir() else ():
        lock = RunLock(runs, path.name.removesuffix(".lock"))
        if lock.try_to_take():
            lock.clear()
            found += 1
    return found
