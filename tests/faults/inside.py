"""What runs in a child: the plan is read, spots and mutants are put in place, then the client runs.

``python -m tests.faults.inside PLAN CLIENT ARGUMENT...``; PLAN is JSON (:class:`Plan`), CLIENT is
``module:function`` of a coroutine function ``client(pen, *arguments)``, or ``postroom``: then the
arguments are a command line.
"""

from __future__ import annotations

import asyncio
import ctypes
import dataclasses
import importlib
import json
import os
import signal
import sys

from tests.faults.history import Pen
from tests.faults.spots import Spot, arm

__all__ = ["Plan"]

_PR_SET_PDEATHSIG = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What a child is to suffer: ``spot`` as a text, a mutant's name, and the pipe of its history."""

    parent: int
    spot: str = ""
    stop: bool = False
    mutant: str = ""
    pen: int = -1
    client: str = ""


def _main(plan: Plan, what: str, arguments: list[str]) -> int:
    _die_with_parent(plan.parent)
    if plan.mutant:
        from tests.faults.mutants import MUTANTS

        MUTANTS[plan.mutant].apply()
    if plan.spot:
        arm(Spot.parse(plan.spot), stop=plan.stop)
    if what == "postroom":
        from postroom.cli import main

        return main(arguments)
    module, _, name = what.partition(":")
    client = getattr(importlib.import_module(module), name)
    asyncio.run(client(Pen(plan.pen, plan.client), *arguments))
    return 0


def _die_with_parent(parent: int) -> None:
    """A test run that is killed leaves no children (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


if __name__ == "__main__":
    sys.exit(_main(Plan(**json.loads(sys.argv[1])), sys.argv[2], sys.argv[3:]))
