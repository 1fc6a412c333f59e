"""Victims: child processes that run our code and are killed or frozen, at random or at a named spot."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
from pathlib import Path

from tests.child import Child
from tests.faults.history import History
from tests.faults.inside import Plan

__all__ = ["Victim", "left_behind", "until_dead", "until_frozen"]

_ROOT = str(Path(__file__).parents[2])


class Victim(Child):
    """``with Victim("tests.faults.clients:writer", ROOM, KEK, history=h) as victim``.

    ``client`` is ``module:function`` or ``postroom`` (then the arguments are a command line).
    ``spot`` is where it dies by itself, or freezes if ``stop``; ``mutant`` names a seeded bug.
    Leaving the block kills it and waits for its end.
    """

    def __init__(
        self,
        client: str,
        *arguments: object,
        history: History | None = None,
        name: str = "",
        spot: str = "",
        stop: bool = False,
        mutant: str = "",
        env: dict[str, str] | None = None,
    ) -> None:
        pen = -1 if history is None else history.pen
        plan = Plan(os.getpid(), spot, stop, mutant, pen, name or client.partition(":")[2])
        super().__init__(
            "-m",
            "tests.faults.inside",
            json.dumps(dataclasses.asdict(plan)),
            client,
            *map(str, arguments),
            env={"PYTHONPATH": os.pathsep.join((_ROOT, str(Path(_ROOT) / "src"))), **(env or {})},
            keep=() if history is None else (pen,),
        )

    def freeze(self) -> None:
        """SIGSTOP: it lives and does nothing."""
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.send(signal.SIGCONT)

    @property
    def frozen(self) -> bool:
        """Whether it stands still, by its own spot or by :meth:`freeze`."""
        return _state(self.pid) == "T"

    @property
    def killed(self) -> bool:
        """Whether it is dead by SIGKILL; False while it lives and when it ended by itself."""
        return self.status == -signal.SIGKILL


async def until_dead(victim: Victim, *, seconds: float = 60.0) -> bool:
    """Wait for a child's end; True if it died by SIGKILL: its spot was reached."""
    await asyncio.to_thread(victim.wait, seconds)
    return victim.killed


async def until_frozen(victim: Victim, *, seconds: float = 60.0) -> None:
    """Wait until a child stands still at its spot; AssertionError when it ends or never comes."""
    async with asyncio.timeout(seconds):
        while not victim.frozen:
            assert victim.status is None, "it ended before it came to its spot"
            await asyncio.sleep(0.01)


def left_behind() -> list[int]:
    """The children of this process that run the inside of a fault test: there must be none."""
    mine = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if b"tests.faults.inside" in words and int(parent) == os.getpid():
            mine.append(int(path.name))
    return mine


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
