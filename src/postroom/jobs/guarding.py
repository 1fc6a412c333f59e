"""A program under its guard, as the worker sees it: started, kept alive by beats, ended, and how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from postroom.errors import NotThere, PostroomError, Refused
from postroom.jobs import guard

__all__ = [
    "BEAT_SECONDS",
    "FROZEN_SECONDS",
    "GRACE_SECONDS",
    "Ended",
    "Guarded",
    "Orders",
    "held_in_memory",
]

BEAT_SECONDS: Final = 3.0
FROZEN_SECONDS: Final = 12.0
"""So long without a beat, and the guard ends the program: before the lease of its worker does."""
GRACE_SECONDS: Final = 5.0
_LINE: Final = 64 * 1024
_LOOKS: Final = 20


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: by itself with a status, or by a signal; and why, if it was ended.

    ``why`` is empty (it ended by itself), ``time``, ``memory``, ``stopped`` (the worker said so),
    ``guard`` (its guard was killed) or ``stays`` (something of it cannot be ended: it runs as another
    user).  ``left`` are directories of the run that could not be removed.
    """

    status: int | None
    signal: int | None = None
    why: str = ""
    left: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it ended by itself and said that all was well."""
        return self.status == 0 and not self.why


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What is to be run, and within which limits (0: none).

    ``fds`` are further file descriptors of the program by the number it sees.  ``session``: in a
    session of its own; without, it shares the terminal.  ``frozen``: how long without a beat.
    ``remove`` are directories that go when nothing of it lives; ``lock`` and ``lock_fd`` are the lock
    of the run (runlock.py), held as long.
    """

    words: Sequence[str]
    environment: Mapping[str, str]
    directory: str = ""
    stdin: int = 0
    stdout: int = 1
    stderr: int = 2
    fds: Mapping[int, int] = dataclasses.field(default_factory=dict)
    session: bool = True
    time: float = 0.0
    memory: int = 0
    grace: float = GRACE_SECONDS
    frozen: float = FROZEN_SECONDS
    remove: Sequence[Path] = ()
    lock: Path | None = None
    lock_fd: int = -1

    def written(self) -> bytes:
        """As the guard reads them."""
        own = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        for name in ("stdin", "stdout", "stderr"):
            del own[name]
        own |= {"words": list(self.words), "environment": dict(self.environment)}
        own |= {"remove": list(map(str, self.remove)), "lock": str(self.lock) if self.lock else ""}
        return json.dumps(own).encode()


class Guarded:
    """A program under its guard.  Whoever started it awaits :meth:`ended`, or cancels that."""

    def __init__(self, orders: Orders) -> None:
        """Start it.  The caller keeps its own copies of the file descriptors, and closes them."""
        self._orders = orders
        self._main = 0
        self._beats, beats, self._events, events, said = -1, -1, -1, -1, -1
        try:
            beats, self._beats = os.pipe()
            self._events, events = os.pipe()
            said = held_in_memory(orders.written(), sealed=False)
            passed = [said, beats, events, *orders.fds.values()]
            passed += [orders.lock_fd] if orders.lock_fd >= 0 else []
            self._process = subprocess.Popen(  # noqa: S603  # this Python, with our own file
                [sys.executable, "-I", "-S", guard.__file__, *map(str, (said, beats, events))],
                stdin=orders.stdin, stdout=orders.stdout, stderr=orders.stderr,
                env={}, pass_fds=passed, cwd="/",
            )  # fmt: skip
        except BaseException:
            self._close()
            raise
        finally:
            for fd in (said, beats, events):
                if fd >= 0:
                    os.close(fd)
        os.set_blocking(self._beats, False)
        os.set_blocking(self._events, False)

    def send(self, number: int) -> None:
        """Send a signal to the program."""
        self._say(guard.SIGNALS + number)

    def end(self) -> None:
        """End all of it: TERM, and KILL after the grace."""
        self._say(guard.END)

    async def ended(self) -> Ended:
        """How it ended, when nothing of it lives.  Cancelled, it ends all of it before it raises.

        Raises NotThere or Refused when the program could not be executed.
        """
        watch = asyncio.create_task(self._watch(), name="postroom-guard")
        cancelled = None
        while not watch.done():
            try:
                await asyncio.wait({watch})
            except asyncio.CancelledError as error:
                cancelled = error
                self.end()
        if cancelled is not None:
            watch.exception()
            raise cancelled
        return watch.result()

    async def _watch(self) -> Ended:
        loop = asyncio.get_running_loop()
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        loop.add_reader(self._events, lambda: heard.put_nowait(_read(self._events)))
        heart = asyncio.create_task(self._beat(), name="postroom-beat")
        stays = False
        try:
            found = await self._listen(heard)
            stays = found.why == "stays"
            return found
        finally:
            heart.cancel()
            loop.remove_reader(self._events)
            self._close()
            if not stays:  # else the guard stays too, and holds the lock of the run
                await asyncio.to_thread(self._process.wait)

    async def _listen(self, heard: asyncio.Queue[bytes]) -> Ended:
        said, failed, found = b"", None, None
        while data := await heard.get():
            *lines, said = (said + data).split(b"\n")
            for event in map(json.loads, lines):
                self._main = event.get("started", self._main)
                if "failed" in event:
                    failed = _not_executed(self._orders, event["where"], event["failed"])
                elif "ended" in event:
                    found = _ended(event)
                elif "stays" in event:
                    return Ended(None, None, "stays")
        if failed is not None:
            raise failed
        return found or self._unguarded()

    def _unguarded(self) -> Ended:
        """The guard was killed: end what is left of the program's session, and what is the run's."""
        if self._main and self._orders.session:
            _end_session(self._main)
        left = [str(path) for path in self._orders.remove if not guard.remove_tree(str(path))]
        return Ended(None, signal.SIGKILL, "guard", tuple(left))

    async def _beat(self) -> None:
        """Say that the worker lives, and see that the guard does: its program may stop it.

        It goes on then; found so at the next look too, it is stopped all the time, and is given up.
        """
        stopped = 0
        while True:
            self._say(guard.BEAT)
            stopped = stopped + 1 if _is_stopped(self._process.pid) else 0
            if stopped:
                os.kill(self._process.pid, signal.SIGCONT if stopped == 1 else signal.SIGKILL)
            await asyncio.sleep(BEAT_SECONDS)

    def _say(self, byte: int) -> None:
        with contextlib.suppress(OSError):  # it is gone already, or does not listen
            os.write(self._beats, bytes([byte]))

    def _close(self) -> None:
        for fd in (self._beats, self._events):
            if fd >= 0:
                os.close(fd)
        self._beats = self._events = -1


def held_in_memory(data: bytes, *, sealed: bool = True) -> int:
    """A file descriptor to read these bytes from, that is on no disk; the caller closes it.

    On Linux a file in memory that cannot be changed any more (memfd_create(2)), elsewhere a pipe.
    """
    if not hasattr(os, "memfd_create"):
        return _piped(data)
    import fcntl

    fd = os.memfd_create("postroom", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(data)
        if sealed:
            seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
        os.lseek(fd, 0, os.SEEK_SET)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _piped(data: bytes) -> int:
    out, into = os.pipe()

    def write() -> None:
        with contextlib.suppress(OSError), open(into, "wb") as file:  # noqa: PTH123
            file.write(data)

    threading.Thread(target=write, daemon=True).start()
    return out


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, _LINE)
    except OSError:
        return b""


def _ended(event: dict[str, Any]) -> Ended:
    code, left = event["ended"], tuple(event["left"])
    if code is None:
        return Ended(None, None, event["why"], left)
    return Ended(None if code < 0 else code, -code if code < 0 else None, event["why"], left)


def _not_executed(orders: Orders, where: str, number: int) -> PostroomError:
    program = orders.words[0]
    if where == "directory":
        return Refused(
            f"{program} was not started: its working directory {orders.directory} cannot be entered "
            f"({os.strerror(number)}).",
            hint="Make it, or name another one.", status=126,
        )  # fmt: skip
    if number in (errno.ENOENT, errno.ENOTDIR):
        return NotThere(
            f"There is no program {program!r}, or its first line names one that there is not.",
            hint="Give its path; a name alone is looked for in PATH.", status=127,
        )  # fmt: skip
    hints = {
        errno.EACCES: f"Is it a file that you may execute? chmod +x {program}",
        errno.ENOEXEC: "A script needs a first line such as #!/bin/sh.",
        errno.E2BIG: "Its arguments and its environment are too long; hand over by descriptor.",
    }
    return Refused(
        f"{program} cannot be executed: {os.strerror(number)}.",
        hint=hints.get(number, ""), status=126,
    )  # fmt: skip


def _end_session(leader: int) -> None:
    """Kill a session: its first group at once, what else is in it until a look finds nothing."""
    for _ in range(_LOOKS):
        with contextlib.suppress(OSError):
            os.killpg(leader, signal.SIGKILL)
        if not (found := _of_session(leader)):
            break
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def _is_stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal (proc(5): its state behind the name in stat)."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"T"
    except OSError:
        return False


def _of_session(leader: int) -> list[int]:
    """The living processes of a session (proc(5): state and session behind the name in stat)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            words = entry.read_bytes().rpartition(b")")[2].split()
            if int(words[3]) == leader and words[0] != b"Z":
                found.append(int(entry.parent.name))
    return found
