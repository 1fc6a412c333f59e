"""What every server of the ground needs: a run folder, ports, a start and a certain end."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

__all__ = ["RunFolder", "Unavailable", "read_template", "unavailable", "wait_for_greeting"]

_TEMPLATES = Path(__file__).with_name("templates")
_START_SECONDS = 15.0
# A unix socket path holds 107 characters (unix(7)); the longest below the folder takes 40.
_LONGEST_FOLDER = 60

# The guard reads process groups and, when the other end of its input closes (our stop, or our
# death by any signal), ends them and removes the folder. So nothing outlives the tests.
_GUARD = """
groups=
while read -r group; do groups="$groups -$group"; done
[ -n "$groups" ] && kill -KILL $groups 2>/dev/null
n=0
while [ -e "$1" ] && [ $n -lt 20 ]; do rm -rf -- "$1" 2>/dev/null || sleep 0.05; n=$((n+1)); done
"""


class Unavailable(unittest.SkipTest):
    """A server cannot run here; the sentence says what is missing. pytest shows it as a skip."""


def unavailable(sentence: str) -> Exception:
    """The exception to raise; an ordinary failure where POSTROOM_GROUND=required forbids skips."""
    if os.environ.get("POSTROOM_GROUND") == "required":
        return RuntimeError(sentence)
    return Unavailable(sentence)


class RunFolder:
    """A short private folder and the servers that live in it; `stop()` ends both."""

    def __init__(self) -> None:
        """Make the folder and start its guard.

        Raises Unavailable where the servers cannot run (anything but Linux).
        """
        if not sys.platform.startswith("linux"):
            raise unavailable("the test servers need Linux")
        parent = tempfile.gettempdir()
        if len(parent) > _LONGEST_FOLDER - 12:
            parent = "/tmp"
        self.path = Path(tempfile.mkdtemp(prefix="ground-", dir=parent))
        # Servers of other users pass through; without listing.
        self.path.chmod(0o711)
        self._held: list[socket.socket] = []
        self._servers: list[tuple[subprocess.Popen[bytes], Path]] = []
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "ground-guard", str(self.path)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def ports(self, names: Sequence[str], host: str = "127.0.0.1") -> dict[str, int]:
        """Free ports by name, ours until `stop()`.

        Each is held by a bound socket that never listens: with SO_REUSEADDR on both sides Linux
        lets the server listen on it, and gives it to nobody else meanwhile.
        """
        found: dict[str, int] = {}
        for name in names:
            holder = socket.socket()
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind((host, 0))
            self._held.append(holder)
            found[name] = int(holder.getsockname()[1])
        return found

    def start(self, argv: Sequence[str], log: Path, user: str | None = None) -> None:
        """Start a server in a process group of its own, as `user` if one is named."""
        account = pwd.getpwnam(user) if user else None
        with log.open("ab") as stderr:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )
        self._servers.append((process, log))
        assert self._guard.stdin is not None
        self._guard.stdin.write(b"%d\n" % process.pid)
        self._guard.stdin.flush()

    def check_alive(self) -> None:
        """Raise RuntimeError, with the end of its log, if a server has ended by itself."""
        for process, log in self._servers:
            if process.poll() is not None:
                tail = log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{process.args!r} ended with {process.returncode}:\n{tail}")

    def stop(self) -> None:
        """End all servers and remove the folder; harmless when repeated."""
        if self._guard.stdin is not None and not self._guard.stdin.closed:
            self._guard.stdin.close()
        self._guard.wait(timeout=60)
        for process, _ in self._servers:
            process.wait(timeout=10)
        for holder in self._held:
            holder.close()
        self._held.clear()
        shutil.rmtree(self.path, ignore_errors=True)


def read_template(name: str, values: Mapping[str, object]) -> str:
    """The text of templates/`name` with its ${...} filled in; a missing value is a KeyError."""
    return Template((_TEMPLATES / name).read_text()).substitute(values)


def wait_for_greeting(folder: RunFolder, host: str, port: int) -> None:
    """Return as soon as the server on that plain port has greeted."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            with socket.create_connection((host, port), timeout=5) as client:
                if client.recv(1):
                    return
        except OSError:
            pass
        folder.check_alive()
        if time.monotonic() > deadline:
            raise RuntimeError(f"no greeting from {host}:{port} in {_START_SECONDS:.0f} s")
        time.sleep(0.01)
