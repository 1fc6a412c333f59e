"""Scenarios of a full disk: at every write of a change and of a rotation there is no room left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.children import Victim, until_dead
from tests.faults.history import History, Pen, registers
from tests.faults.stage import Stage
from tests.faults.storing import look

__all__ = ["PAGES", "full_at", "small_disk"]

PAGES = 120
"""So many pages of 4 KB are enough for the whole story: the last step of the sweep succeeds."""
_PAGE = 4096


@contextlib.contextmanager
def small_disk(path: Path) -> Iterator[None]:
    """A file system of 4 MB of its own at a path; skips where it cannot be mounted."""
    path.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


async def full_at(stage: Stage, history: History, pages: int) -> tuple[list[str], list[str]]:
    """Leave so many pages, let a client save and rotate, make room again, and look.

    Gives what is wrong, and what the client was told at each step.
    """
    disk = stage.settings.room
    free = os.statvfs(disk).f_bavail
    filler = disk / "filler"
    filler.write_bytes(bytes(max(0, free - pages) * _PAGE))
    client = "tests.faults.clients:on_a_full_disk"
    name = f"client with {pages} pages"
    with Victim(client, *stage.where, f"k{pages}", history=history, name=name) as victim:
        if await until_dead(victim) or victim.status:
            return [f"With {pages} pages it ended badly: {victim.complaints()}"], []
        told = list(await asyncio.to_thread(victim.lines))
    filler.unlink()
    wrong = await look(stage, Pen(history.pen, f"after {pages} pages"), finish=True)
    return wrong, told


def judged(history: History) -> list[str]:
    """What the whole history says."""
    return registers(history.end())
