"""A Python process of its own that has the package: for what only a process can show (kill -9)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

import postroom

__all__ = ["Child", "Process"]

_SRC = str(Path(postroom.__file__).parents[1])


class Process(Protocol):
    """What is used of a process: the part of Popen that another way to start one offers too."""

    pid: int
    stdout: IO[str] | None
    stderr: IO[str] | None

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, number: signal.Signals, /) -> None: ...
    def kill(self) -> None: ...


class Child:
    """``with Child("-c", CODE, "argument") as child:`` runs it; leaving the block kills it."""

    def __init__(self, *arguments: str, env: dict[str, str] | None = None) -> None:
        """Start ``python`` with these arguments."""
        self._process: Process = subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, "PYTHONPATH": _SRC, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status, the negative number of the signal that ended it, or None: it lives."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def line(self) -> str:
        """The next line it prints; AssertionError with what it complained of if it ends instead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            assert self._process.stderr is not None
            raise AssertionError(self._process.stderr.read())
        return line.rstrip("\n")

    def complaint(self) -> str:
        """The next line it writes to its standard error."""
        assert self._process.stderr is not None
        return self._process.stderr.readline().rstrip("\n")

    def complaint_with(self, word: str) -> str:
        """The next line on its standard error that has this word in it; empty when it ends first."""
        assert self._process.stderr is not None
        return next((line for line in self._process.stderr if word in line), "")

    def complaints(self) -> str:
        """All that it wrote to its standard error, once it has ended."""
        assert self._process.stderr is not None
        return self._process.stderr.read()

    def lines(self) -> Sequence[str]:
        """What it still printed before it ended, as far as the last line is whole."""
        assert self._process.stdout is not None
        return [line[:-1] for line in self._process.stdout if line.endswith("\n")]

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def stop(self, seconds: float = 30.0) -> int:
        """SIGTERM; gives its exit status.  Raises TimeoutExpired when it takes longer."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(seconds)

    def wait(self, seconds: float = 30.0) -> int:
        """Wait for its end; gives its exit status."""
        return self._process.wait(seconds)
