"""Running a program for a run: handed what it was granted, limited, its output scrubbed, all of it ended.

docs/programs.md says the same for people.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from postroom.jobs.guarding import GRACE_SECONDS, Ended, Guarded, Orders, held_in_memory
from postroom.jobs.handing import FD, Granted, Handed, Told, hand_over, memory_directory
from postroom.jobs.handover import HandOver
from postroom.jobs.job import Limits
from postroom.jobs.output import OnOutput, Output
from postroom.jobs.runlock import WAIT_SECONDS, RunLock
from postroom.log import logger
from postroom.secret import Secret, open_secrets

__all__ = ["Ended", "Granted", "bare_environment", "run_program", "why_it_ended"]

_log: Final = logger("jobs")
_READ: Final = 64 * 1024
_LAST_READS: Final = 64  # more than a pipe holds
_KEPT: Final = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ")


async def run_program(
    words: Sequence[str],
    *,
    runs: Path,
    told: Told,
    on_output: OnOutput,
    credentials: Granted | None = None,
    how: HandOver | None = None,
    environment: Mapping[str, str] | None = None,
    fds: Mapping[int, int] | None = None,
    stdin: bytes = b"",
    directory: str = "",
    limits: Limits | None = None,
    wait: float = WAIT_SECONDS,
    grace: float = GRACE_SECONDS,
) -> Ended:
    """Run a program and give how it ended, when nothing of it lives any more.

    ``runs`` is the directory of the room's runs, where the lock of the run lies: it is taken first,
    for ``wait`` seconds at most.  ``grace`` is how long it has when it is asked to end.
    ``environment`` is added to a bare one; ``fds`` are further file descriptors by the number the
    program sees.  ``stdin`` is what it reads, such as a message.  Empty ``directory``: one of its own.
    ``on_output`` gets every line, scrubbed, within ``limits.output``.  Cancelled, it ends the program
    and all that this started before it raises.

    Raises Refused (``claim_lost``, temporary) while the run is still at work elsewhere, NotThere or
    Refused when the program cannot be executed, InvalidValue for a field that there is not.
    """
    limits, granted, how = limits or Limits(), credentials or {}, how or HandOver()
    lock = RunLock(runs, told.run)
    await lock.take(wait)
    started = False
    try:
        lock.directory.mkdir(mode=0o700)
        handed = hand_over(granted, how, told, private=_private(lock, how))
        own = bare_environment(lock.directory) | handed.environment
        orders = Orders(
            words=words, environment=own | dict(environment or {}),
            directory=directory or str(lock.directory),
            time=limits.time, memory=limits.memory, grace=grace,
            remove=lock.directories, lock=lock.path, lock_fd=lock.fd,
        )  # fmt: skip
        outputs = _outputs(on_output, limits, granted)
        guarded, readings = _start(orders, handed, fds or {}, stdin, outputs)
        started = True
    finally:
        if started:
            lock.let_go()  # its guard holds it
        else:
            lock.clear()
    try:
        ended = await guarded.ended()
    finally:
        for reading in readings:
            reading.finish()
    if ended.left:
        _log.warning("a program left directories that cannot be removed: %s", ", ".join(ended.left))
    return ended


def bare_environment(scratch: Path) -> dict[str, str]:
    """What a program needs to know of where it runs, and nothing of the worker's own settings."""
    kept = {
        name: value for name, value in os.environ.items() if name in _KEPT or name.startswith("LC_")
    }
    return {"PATH": os.defpath, **kept, "TMPDIR": str(scratch)}


def why_it_ended(ended: Ended, limits: Limits) -> str:
    """How a program ended, in a sentence."""
    if ended.why == "time":
        return f"It took longer than {limits.time:g} seconds, and was ended."
    if ended.why == "memory":
        return f"It took more than {limits.memory} bytes of memory, and was ended."
    if ended.why == "guard":
        return "The process that guards it was killed, and it was ended."
    if ended.why == "stays":
        return "Something that it started cannot be ended: it runs as another user."
    if ended.why:
        return "It was ended."
    if ended.signal:
        return f"It was ended by signal {ended.signal}."
    return "It ended." if ended.status == 0 else f"It ended with status {ended.status}."


def _private(lock: RunLock, how: HandOver) -> Path:
    if lock.private is None and how.by == "files":
        return memory_directory(str(lock.path))  # raises
    return lock.private or lock.directory


def _outputs(on_output: OnOutput, limits: Limits, granted: Granted) -> list[Output]:
    handed = [
        one for fields in granted.values() for one in fields.values() if isinstance(one, Secret)
    ]
    return [
        Output(stream, on_output, limit=limits.output // 2, secrets=[*handed, *open_secrets()])
        for stream in ("stdout", "stderr")
    ]


def _start(
    orders: Orders, handed: Handed, fds: Mapping[int, int], stdin: bytes, outputs: Sequence[Output]
) -> tuple[Guarded, list[_Reading]]:
    """Start it; its ends of the pipes are closed here once it has them."""
    with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
        own = {}
        if handed.fd >= 0:
            theirs.callback(os.close, handed.fd)
            own[FD] = handed.fd
        source = held_in_memory(stdin) if stdin else os.open(os.devnull, os.O_RDONLY)
        theirs.callback(os.close, source)
        into, readings = [], []
        for output in outputs:
            out, end = os.pipe()
            theirs.callback(os.close, end)
            into.append(end)
            readings.append(_Reading(out, output))
            ours.callback(readings[-1].close)
        guarded = Guarded(
            dataclasses.replace(
                orders, fds={**own, **fds}, stdin=source, stdout=into[0], stderr=into[1]
            )
        )
        ours.pop_all()
    return guarded, readings


class _Reading:
    """Reads one stream of a program as it comes."""

    def __init__(self, fd: int, output: Output) -> None:
        self._fd = fd
        self._output = output
        self._loop = asyncio.get_running_loop()
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._more)

    def finish(self) -> None:
        """Read what is still there; bounded, since what cannot be ended may write on."""
        for _ in range(_LAST_READS):
            if not self._more():
                break
        self.close()
        self._output.end()

    def close(self) -> None:
        """Read no more."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _more(self) -> bool:
        if self._fd < 0:
            return False
        try:
            data = os.read(self._fd, _READ)
        except BlockingIOError:
            return False
        if data:
            self._output.feed(data)
        else:
            self.close()
        return bool(data)
