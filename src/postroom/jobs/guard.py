"""The guard of one program: starts it, keeps its limits, and ends all of it, whoever died meanwhile.

It runs as a process of its own between the worker and the program (``python -I -S guard.py ORDERS BEATS
EVENTS``: three file descriptors), with the standard library alone, because it must outlive both.

    worker  <- events -  guard  - signals ->  program and whatever that started
            -  beats  ->

On Linux it is the subreaper (prctl(2)) of what it starts: a process that forks, calls setsid(2) and lets
its parent die becomes the guard's child, so that nothing can leave.  The tree is ended when the
program ends, at a limit, when the worker says so, and when the worker is gone (its pipe closes) or frozen
(it sends no beat).  Only when nothing of the tree lives does the guard remove the directories of the
run and end itself, and with it falls the lock of the run, which it holds as long.

Elsewhere there is no subreaper and no /proc: only the program's process group is ended, and memory is
limited a process alone.

Deliberately not done: control groups (they need a delegated tree, which few hosts give), and processes
that another service starts for the program (at, cron, a container engine): they are not its children.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import resource
import select
import signal
import sys
import time
from typing import Any, Final, NoReturn

__all__ = ["BEAT", "END", "SIGNALS", "main", "remove_tree"]

BEAT: Final = 1
END: Final = 2
SIGNALS: Final = 128
"""Bytes that the worker writes: it lives, end it all, and (from 128 on) a signal for the program."""

POLL_SECONDS: Final = 0.2
LOST_GRACE: Final = 2.0  # of 15 s of a lease, 12 have passed in silence
STAYS_SECONDS: Final = 5.0
REAPED: Final = 256
CHASES: Final = 50
_LINUX: Final = sys.platform == "linux"
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_CHILD_SUBREAPER: Final = 36
_IGNORED: Final = (
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE, signal.SIGTSTP,
    signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip
"""The worker decides when it ends; what a terminal or a service manager sends to everybody is not meant
for the guard."""
_TO_THE_GROUP: Final = (
    signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGSTOP, signal.SIGCONT,
)  # fmt: skip
"""What a terminal sends to a whole process group."""


class _Guard:
    """One program and its tree, from its start until nothing of it lives."""

    def __init__(self, orders: dict[str, Any], beats: int, events: int) -> None:
        self._orders = orders
        self._beats = [beats]
        self._events = events
        self._grace: float = orders["grace"]
        self._heard = self._began = time.monotonic()
        self._main = 0
        self._status: int | None = None
        self._why = ""
        self._kill_at: float | None = None
        self._killed_at: float | None = None

    def run(self) -> None:
        """Start it and see it to its end."""
        waker, wakes = os.pipe()
        os.set_blocking(wakes, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        self._main = _start(self._orders, self._tell)
        _let_go_of_the_rest(self._orders)
        while not self._all_gone():
            ready, _, _ = select.select([waker, *self._beats], [], [], POLL_SECONDS)
            if waker in ready:
                os.read(waker, 4096)
            if ready and ready[-1] in self._beats:
                self._hear()
            self._judge(time.monotonic())

    def finish(self) -> None:
        """Remove what was the run's alone, and say how it ended."""
        left = [path for path in self._orders["remove"] if not remove_tree(path)]
        self._tell({"ended": self._status, "why": self._why, "left": left})
        if lock := self._orders["lock"]:
            with contextlib.suppress(OSError):
                os.unlink(lock)

    def _tell(self, event: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # nobody is there to hear it
            os.write(self._events, json.dumps(event).encode() + b"\n")

    def _hear(self) -> None:
        said = os.read(self._beats[0], 4096)
        self._heard = time.monotonic()
        if not said:
            self._beats = []
            self._end("lost", LOST_GRACE)
        for byte in said:
            if byte == END:
                self._end("stopped", self._grace)
            elif byte > SIGNALS and self._status is None:
                group = self._orders["session"] and byte - SIGNALS in _TO_THE_GROUP
                _send(-self._main if group else self._main, byte - SIGNALS)

    def _judge(self, now: float) -> None:
        """What has to be done by the clock, and by how much memory is in use."""
        orders = self._orders
        if self._kill_at is not None:
            if now >= self._kill_at:
                self._kill(now)
            return
        if self._status is not None:  # it has ended, and something of it stayed
            self._end("", self._grace)
        elif orders["time"] and now - self._began >= orders["time"]:
            self._end("time", self._grace)
        elif orders["frozen"] and now - self._heard >= orders["frozen"]:
            self._end("lost", LOST_GRACE)
        elif orders["memory"] and _LINUX and _in_use(_descendants(), orders["memory"]):
            self._end("memory", self._grace)

    def _end(self, why: str, grace: float) -> None:
        """Ask all of it to end; what does not is killed after the grace."""
        if self._kill_at is None:
            self._why = why
            for pid in self._tree():
                _send(pid, signal.SIGTERM)
                _send(pid, signal.SIGCONT)
            self._kill_at = time.monotonic() + grace
        elif why == "lost":
            self._kill_at = min(self._kill_at, time.monotonic() + grace)

    def _kill(self, now: float) -> None:
        """End it at once.

        By process group first: the kernel lets no fork slip through there.  Then what is left, stopped
        first, or what forks all the time in groups of its own would get away each time.
        """
        for group in {_group_of(pid) for pid in self._tree()} - {0, os.getpgrp()}:
            _send(-group, signal.SIGKILL)
        known: set[int] = set()
        for _ in range(CHASES):
            fresh = set(self._tree()) - known
            known |= fresh
            for pid in fresh:
                _send(pid, signal.SIGSTOP)
            if not fresh:
                break
        for pid in known:
            _send(pid, signal.SIGKILL)
        if self._killed_at is None:
            self._killed_at = now
        elif now - self._killed_at >= STAYS_SECONDS:  # of another user, or in the kernel
            self._tell({"stays": sorted(known)})
            self._killed_at = now

    def _tree(self) -> list[int]:
        if _LINUX:
            return _descendants()
        return [-self._main] if self._orders["session"] else [self._main]

    def _all_gone(self) -> bool:
        """Reap what has ended; whether nothing is left."""
        for _ in range(
            REAPED
        ):  # no more at once: what forks all the time must not keep us from ending it
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            if pid == self._main:
                self._status = os.waitstatus_to_exitcode(status)
                if not _LINUX and self._orders["session"]:
                    _send(-self._main, signal.SIGKILL)
        return False


# ---------------------------------------------------------------------------------- the program


def _start(orders: dict[str, Any], tell: Any) -> int:
    """Fork and execute the program; gives its pid, and tells that, and why it could not be executed.

    It waits until its pid was told: it may kill the guard at once, and then the worker ends it.
    """
    failed, fails = os.pipe()  # neither is inheritable: an exec that works closes it (PEP 446)
    waits, go = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.close(go)
        os.read(waits, 1)
        _become(orders, fails, parent)
    tell({"started": pid})
    for end in (fails, waits, go):
        os.close(end)
    said = os.read(failed, 64)
    os.close(failed)
    if said:
        where, number = said.decode().split()
        tell({"failed": int(number), "where": where})
    return pid


def _become(orders: dict[str, Any], fails: int, parent: int) -> NoReturn:
    where = "program"
    try:
        if orders["session"]:
            os.setsid()
        if _LINUX:  # should the guard be killed, the program at least goes with it
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
        for number in (*_IGNORED, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        _limit(orders["memory"])
        fails = _place(orders["fds"], fails, orders["lock_fd"])
        where = "directory"
        if orders["directory"]:
            os.chdir(orders["directory"])
        where = "program"
        words = orders["words"]
        os.execvpe(words[0], words, orders["environment"])  # noqa: S606  # no shell looks at them
    except OSError as error:
        os.write(fails, f"{where} {error.errno}".encode())
    except BaseException:  # noqa: BLE001  # a copy of the guard must not go on as one
        os.write(fails, f"{where} {errno.EINVAL}".encode())
    os._exit(127)


def _limit(memory: int) -> None:
    """No core file; and no process of it may take far more than all of it may, between two looks.

    Twice as much, and 256 MiB at least: what a program has asked for and not touched counts here.
    """
    _set_limit(resource.RLIMIT_CORE, 0)
    if memory:
        _set_limit(resource.RLIMIT_DATA, max(2 * memory, 256 << 20))


def _set_limit(which: int, value: int) -> None:
    _, most = resource.getrlimit(which)
    value = value if most == resource.RLIM_INFINITY else min(value, most)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(which, (value, value))


def _place(fds: dict[str, int], fails: int, lock: int) -> int:
    """Give the program its file descriptors by the numbers it knows; gives where ``fails`` is now.

    The lock of the run goes along, so that it holds even when the guard was killed.  Nothing else
    does: whatever is open in the guard is closed by exec (PEP 446).
    """
    first = max([2, *map(int, fds)]) + 1
    moved = {int(to): _above(first, source) for to, source in fds.items()}
    fails = _above(first, fails)
    if lock >= 0:
        os.set_inheritable(_above(first, lock), True)
    for to, source in moved.items():
        os.dup2(source, to)
    return fails


def _above(first: int, fd: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, first)


def _let_go_of_the_rest(orders: dict[str, Any]) -> None:
    """What was the program's: an end of a pipe here would keep its other end from ever ending."""
    for source in orders["fds"].values():
        os.close(source)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.close(nothing)
    orders["environment"] = orders["words"] = None


# ---------------------------------------------------------------------------------- the tree


def _descendants() -> list[int]:
    """Every living process below this one, by /proc (proc(5): task/TID/children)."""
    found: list[int] = []
    above = [os.getpid()]
    for pid in above:  # grows while it is walked
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
                above += map(int, _read(f"/proc/{pid}/task/{task}/children").split())
    found += above[1:]
    return found


def _in_use(pids: list[int], most: int) -> bool:
    """Whether these use more than ``most`` bytes of memory together.

    Their resident sets first, which is quick; where that is too much, once more without counting twice
    what they share, as forks of one process do.
    """
    page = resource.getpagesize()
    resident = 0
    for pid in pids:
        words = _read(f"/proc/{pid}/statm").split()
        resident += int(words[1]) * page if len(words) > 1 else 0
    return resident > most and sum(_own_part(pid) for pid in pids) > most


def _own_part(pid: int) -> int:
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    words = _read(f"/proc/{pid}/statm").split()  # it may not be looked into
    return int(words[1]) * resource.getpagesize() if len(words) > 1 else 0


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # pathlib costs in hot loops, and at the start
            return file.read()
    except OSError:
        return b""


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, number)


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except OSError:
        return 0


def remove_tree(path: str) -> bool:
    """Remove a directory, or what is in its place, following no link; says whether it is gone."""
    if os.path.islink(path) or not os.path.isdir(path):  # noqa: PTH112, PTH114
        with contextlib.suppress(OSError):
            os.unlink(path)
        return not os.path.lexists(path)
    with contextlib.suppress(OSError):
        os.chmod(path, 0o700)  # noqa: PTH101  # its program may have locked itself out
    with contextlib.suppress(OSError), os.scandir(path) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                remove_tree(entry.path)
            else:
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)
    with contextlib.suppress(OSError):
        os.rmdir(path)  # noqa: PTH106
    return not os.path.lexists(path)


# ---------------------------------------------------------------------------------- the process


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def main(orders: int, beats: int, events: int) -> None:
    """Be the guard; the file descriptors are those of the module's text."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    if _LINUX:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        _prctl(_PR_SET_DUMPABLE, 0)  # what it was told may hold what a program is handed
    with open(orders, "rb") as file:
        said = json.loads(file.read())
    for fd in (beats, events, *said["fds"].values(), said["lock_fd"]):
        if fd >= 0:
            os.set_inheritable(fd, False)
    guard = _Guard(said, beats, events)
    guard.run()
    guard.finish()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
