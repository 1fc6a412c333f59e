"""What runs in a child: spots and mutants are put in place, then the client runs.

A client is ``module:function`` of a coroutine function ``client(pen, *arguments)``, or ``postroom``:
then the arguments are a command line.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
from collections.abc import Sequence

from tests.faults import disk
from tests.faults.history import Pen
from tests.faults.spots import Spot, arm

__all__ = ["Plan", "load_clients", "run"]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What a child is to suffer: ``spot`` as a text, a mutant's name, a disk that fails (disk.py);
    and the pipe of its history.
    """

    spot: str = ""
    stop: bool = False
    mutant: str = ""
    client: str = ""
    pen: int = -1
    disk: str = ""


def load_clients() -> None:
    """Import what children run, once, before they are forked."""
    from tests.faults import clients, mutants

    assert clients.__all__
    assert mutants.__all__


def run(plan: Plan, what: str, arguments: Sequence[str]) -> int:
    """Suffer the plan and run the client; gives the exit status."""
    if plan.mutant:
        from tests.faults.mutants import MUTANTS

        MUTANTS[plan.mutant].apply()
    if plan.spot:
        arm(Spot.parse(plan.spot), stop=plan.stop)
    if plan.disk:
        disk.Failure.parse(plan.disk).arm()
    try:
        return _ran(plan, what, arguments)
    finally:
        if plan.disk:
            print(f"refused: {disk.refused()}", flush=True)


def _ran(plan: Plan, what: str, arguments: Sequence[str]) -> int:
    if what == "postroom":
        from postroom.cli import main

        return main(list(arguments))
    module, _, name = what.partition(":")
    client = getattr(importlib.import_module(module), name)
    asyncio.run(client(Pen(plan.pen, plan.client), *arguments))
    return 0
