"""One program for a shell: handed what it was granted, its streams passed on, its status given back.

Everything that it started ends with it.  Nothing is limited: whoever started it watches it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from postroom.jobs.guarding import Ended, Guarded, Orders
from postroom.jobs.handing import FD, Granted, Handed, Told, hand_over, memory_directory
from postroom.jobs.handover import HandOver
from postroom.jobs.runlock import RunLock, sweep
from postroom.jobs.scrubbing import Scrubbing
from postroom.secret import Secret

__all__ = ["execute", "shell_status", "without_keys"]

_READ: Final = 64 * 1024
_PASSED_ON: Final = (
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip
_OF_THE_TERMINAL: Final = (signal.SIGINT, signal.SIGQUIT)
_KEK: Final = "POSTROOM_KEK"
_KEYS: Final = (_KEK, "POSTROOM_PASSPHRASE")


async def execute(
    words: Sequence[str],
    *,
    runs: Path,
    granted: Granted,
    how: HandOver,
    environ: Mapping[str, str],
    raw: bool = False,
) -> Ended:
    """Run a program with this process's standard streams, in its directory and environment.

    What it writes is scrubbed of what it was handed; ``raw``: the terminal is the program's own.
    Signals are passed on.  Raises NotThere or Refused when it cannot be executed, InvalidValue for a
    field that there is not.
    """
    sweep(runs)
    lock = RunLock(runs, f"exec-{os.getpid()}-{secrets.token_hex(4)}")
    await lock.take(0)
    shares = raw and sys.stdin.isatty()
    begun = False
    try:
        private = lock.private
        if private is None:  # refused where files are wanted, else there is nothing to put there
            private = memory_directory(str(lock.path)) if how.by == "files" else lock.directory
        handed = hand_over(granted, how, Told(""), private=private)
        orders = Orders(
            words=words,
            environment=without_keys(environ) | handed.environment,
            directory=str(Path.cwd()), session=not shares, frozen=0.0,
            fds={FD: handed.fd} if handed.fd >= 0 else {},
            remove=[private], lock=lock.path, lock_fd=lock.fd,
        )  # fmt: skip
        with _copied(granted, raw) as (stdout, stderr):
            guarded = Guarded(dataclasses.replace(orders, stdout=stdout, stderr=stderr))
            begun = True
            _close(handed, stdout, stderr)
            lock.let_go()  # its guard holds it
            with _signals(guarded, shares):
                return await guarded.ended()
    finally:
        if not begun:
            lock.clear()


def without_keys(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment without the room's key: neither where it is, nor a variable that holds it."""
    kind, _, name = environ.get(_KEK, "").partition(":")
    hidden = {*_KEYS, name if kind == "env" else _KEK}
    return {key: value for key, value in environ.items() if key not in hidden}


def shell_status(ended: Ended) -> int:
    """The exit status that shells give: 128 and the number of a signal."""
    if ended.status is not None:
        return ended.status
    return 128 + (ended.signal or signal.SIGKILL)


def _close(handed: Handed, *streams: int) -> None:
    """What is the program's alone."""
    for fd in (handed.fd, *(one for one in streams if one > 2)):
        if fd >= 0:
            os.close(fd)


@contextlib.contextmanager
def _copied(granted: Granted, raw: bool) -> Iterator[tuple[int, int]]:
    """File descriptors for its output, copied to ours scrubbed; the block's end waits for the rest.

    Threads copy: where whoever reads us is slow, nothing else may wait for that.
    """
    if raw:
        yield 1, 2
        return
    sealed = [
        one for fields in granted.values() for one in fields.values() if isinstance(one, Secret)
    ]
    into, threads = [], []
    for target in (1, 2):
        out, end = os.pipe()
        into.append(end)
        thread = threading.Thread(target=_copy, args=(out, target, Scrubbing(sealed)), daemon=True)
        threads.append(thread)
        thread.start()
    yield into[0], into[1]
    for thread in threads:
        thread.join()


def _copy(source: int, target: int, scrubbing: Scrubbing) -> None:
    try:
        while data := os.read(source, _READ):
            _write(target, scrubbing.feed(data))
        _write(target, scrubbing.end())
    except OSError:
        pass  # nobody reads us any more: nor do we, and the program hears of it
    finally:
        os.close(source)


def _write(target: int, data: bytes) -> None:
    while data:
        data = data[os.write(target, data) :]


@contextlib.contextmanager
def _signals(guarded: Guarded, shares: bool) -> Iterator[None]:
    """Pass signals on.  What the terminal sends reaches a program that shares it by itself."""
    loop = asyncio.get_running_loop()
    old = {each: signal.getsignal(each) for each in (*_PASSED_ON, signal.SIGTSTP)}
    for each in _PASSED_ON:
        if shares and each in _OF_THE_TERMINAL:
            loop.add_signal_handler(each, lambda: None)
        else:
            loop.add_signal_handler(each, guarded.send, each)
    if not shares:
        loop.add_signal_handler(signal.SIGTSTP, lambda: _pause(guarded))
    try:
        yield
    finally:
        for each, handler in old.items():
            loop.remove_signal_handler(each)
            signal.signal(each, handler)


def _pause(guarded: Guarded) -> None:
    """Ctrl-Z: its session is not the terminal's, so that it does not stop by itself."""
    guarded.send(signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGSTOP)
    guarded.send(signal.SIGCONT)
