"""The nursery: a process that has imported everything once, and forks a child in ten milliseconds.

A new interpreter takes a second of the machine before it does anything; a hundred kills would take
minutes.  The nursery has no threads, no database and no connection, so what it forks is a process
like any other.  It dies when the test run does, and its children with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, NoReturn

from tests.faults.disk import preloaded

__all__ = ["Born", "Nursery", "nursery"]

ROOT: Final = Path(__file__).parents[2]
_PR_SET_PDEATHSIG: Final = 1
_MOST: Final = 65536


class Born:
    """A child of the nursery, with the part of Popen's interface that is used of it."""

    def __init__(self, home: Nursery, pid: int, stdout: IO[str], stderr: IO[str]) -> None:
        self._home = home
        self.pid = pid
        self.stdout: IO[str] | None = stdout
        self.stderr: IO[str] | None = stderr
        self._gone = os.pidfd_open(pid)
        self._status: int | None = None

    def poll(self) -> int | None:
        """The exit status, minus the signal that ended it, or None while it lives."""
        return self._status if self._status is not None else self._ask(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises TimeoutExpired."""
        status = self._status
        if status is None:
            status = self._ask(None if timeout is None else int(timeout * 1000))
        if status is None:
            raise subprocess.TimeoutExpired(f"child {self.pid}", timeout or 0)
        return status

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:  # its number is not given away before the nursery was asked
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _ask(self, milliseconds: int | None) -> int | None:
        ready = select.poll()
        ready.register(self._gone, select.POLLIN)
        if not ready.poll(milliseconds):
            return None
        if self._status is None:
            self._status = os.waitstatus_to_exitcode(self._home.ask({"wait": self.pid}))
            os.close(self._gone)
        return self._status


class Nursery:
    """The parent's side: it starts the nursery and asks it for children."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        self._lock = threading.Lock()
        path = os.pathsep.join((str(ROOT), str(ROOT / "src")))
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.nursery", str(theirs.fileno())],
                env={**os.environ, "PYTHONPATH": path, **preloaded()},
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )

    def born(
        self, plan: Mapping[str, Any], what: Sequence[str], env: Mapping[str, str], pen: int
    ) -> Born:
        """Fork a child that runs the inside with this plan; ``pen`` is an open file or -1."""
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        given = [out_end, err_end] + ([pen] if pen >= 0 else [])
        pid = self.ask({"plan": dict(plan), "what": list(what), "env": dict(env)}, given)
        os.close(out_end)
        os.close(err_end)
        return Born(self, pid, os.fdopen(out, "r"), os.fdopen(err, "r"))

    def ask(self, request: Mapping[str, Any], files: Sequence[int] = ()) -> int:
        """Send a request; gives the number in the answer."""
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(request).encode()], files)
            return int(self._socket.recv(_MOST))

    def children(self) -> int:
        """How many of its children have not been waited for."""
        return self.ask({"count": True})


@functools.cache
def nursery() -> Nursery:
    """The nursery of this process."""
    return Nursery()


# ------------------------------------------------------------------ inside the nursery


def _serve(door: socket.socket) -> None:
    children: set[int] = set()
    while True:
        request, files, _, _ = socket.recv_fds(door, _MOST, 3)
        if not request:
            return
        asked = json.loads(request)
        if "wait" in asked:
            answer = os.waitpid(asked["wait"], 0)[1]
            children.discard(asked["wait"])
        elif "count" in asked:
            answer = len(children)
        else:
            answer = os.fork()
            if not answer:
                door.close()
                _live(asked, files)
            children.add(answer)
            for file in files:
                os.close(file)
        door.send(str(answer).encode())


def _live(asked: dict[str, Any], files: list[int]) -> NoReturn:
    """The whole life of a forked child."""
    status = 70
    try:
        die_with_parent()
        os.dup2(files[0], 1)
        os.dup2(files[1], 2)
        os.environ.update(asked["env"])
        from tests.faults.inside import Plan, run

        plan = Plan(**asked["plan"], pen=files[2] if len(files) > 2 else -1)
        status = run(plan, asked["what"][0], asked["what"][1:])
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001  # as an interpreter ends: with a traceback and a 1
        import traceback

        traceback.print_exc()
        status = 1
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def die_with_parent() -> None:
    """Let the kernel end this process with the one that started it (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _main() -> None:
    die_with_parent()
    with socket.socket(fileno=int(sys.argv[1])) as door:
        from tests.faults import inside
        from tests.faults.spots import load_all

        inside.load_clients()
        load_all()
        _serve(door)


if __name__ == "__main__":
    _main()
