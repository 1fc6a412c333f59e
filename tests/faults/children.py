"""Victims: child processes that run our code and are killed or frozen, at random or at a named spot."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from tests.child import Child
from tests.faults.disk import Failure
from tests.faults.history import History
from tests.faults.nursery import nursery

__all__ = ["Victim", "left_behind", "until_dead", "until_frozen", "until_said"]


class Victim(Child):
    """``with Victim("tests.faults.clients:writer", ROOM, KEK, history=h) as victim``.

    ``client`` is ``module:function`` or ``postroom`` (then the arguments are a command line).
    ``spot`` is where it dies by itself, or freezes if ``stop``; ``mutant`` names a seeded bug;
    ``disk`` is what the disk refuses it, which it tells at its end: ``refused: PATH``.
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
        disk: Failure | None = None,
    ) -> None:
        plan = {"spot": spot, "stop": stop, "mutant": mutant,
                "disk": "" if disk is None else str(disk),
                "client": name or client.partition(":")[2]}  # fmt: skip
        self._process = nursery().born(
            plan,
            [client, *map(str, arguments)],
            env or {},
            -1 if history is None else history.pen,
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


async def until_said(victim: Victim, words: str, *, seconds: float = 60.0) -> None:
    """Wait until a line of its standard error has these words in it; TimeoutError, AssertionError."""
    async with asyncio.timeout(seconds):  # the thread ends with the child
        line = await asyncio.to_thread(victim.complaint_with, words)
    assert line, f"it ended and never said {words!r}"


def left_behind() -> int:
    """How many victims nobody has waited for: there must be none."""
    return nursery().children() if nursery.cache_info().currsize else 0


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
