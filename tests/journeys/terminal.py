"""A terminal of 80 columns with the command line in it, as a person has it."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import postroom
from tests.canaries import told

__all__ = ["Terminal"]

_SRC = str(Path(postroom.__file__).parents[1])
PATIENCE = 20.0
"""Seconds to wait for something to appear."""


class Terminal:
    """``with Terminal("credential", "add", "x") as screen:`` runs ``postroom`` on a terminal."""

    def __init__(self, *words: str) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "postroom", *words],
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # Ctrl-C is for this one
            env={**os.environ, "PYTHONPATH": _SRC, "TERM": "xterm"},
        )  # fmt: skip
        os.close(theirs)
        self.seen = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()  # a read may end inside a character

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._ours)
        told("process", self.seen)

    def until(self, text: str) -> None:
        """Wait until this text has appeared."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            assert self._more(deadline), f"{text!r} did not appear: {self.seen}"

    def until_more(self) -> None:
        """Wait until anything more has appeared."""
        assert self._more(time.monotonic() + PATIENCE), f"that was the end: {self.seen}"

    def until_it_waits(self) -> None:
        """Wait until the command sleeps: between its question and its reading nobody is so quick."""
        stat = Path(f"/proc/{self._process.pid}/stat")
        deadline = time.monotonic() + PATIENCE
        while stat.read_text().rpartition(")")[2].split()[0] != "S":
            assert time.monotonic() < deadline, f"it did not come to rest: {self.seen}"
            time.sleep(0.01)

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._ours, text.encode() + b"\n")

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.write(self._ours, b"\x03")

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def end(self) -> int:
        """Wait for the end of the command; gives its exit status."""
        deadline = time.monotonic() + PATIENCE
        while self._more(deadline):
            pass
        return self._process.wait(PATIENCE)

    def _more(self, deadline: float) -> bool:
        """Read what has come; False at the end."""
        ready, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"nothing more came: {self.seen}"
        try:
            came = os.read(self._ours, 65536)
        except OSError:  # Linux's way to say that the other end was closed
            return False
        self.seen += self._decoder.decode(came).replace("\r\n", "\n")
        return bool(came)
