"""How much of a fault: a tenth in `make test`, the whole in `make faults`, a night's worth by night."""

from __future__ import annotations

import os
from typing import Final, TypeVar

__all__ = ["DOSE", "DOSES", "dose", "minutes"]

T = TypeVar("T")
DOSES: Final = ("short", "full", "long")
DOSE: Final = os.environ.get("FAULTS") or "short"
"""The dose of this run: the environment variable FAULTS."""

if DOSE not in DOSES:
    raise SystemExit(f"FAULTS is {DOSE!r}; choose of {', '.join(DOSES)}.")


def dose(short: T, full: T, long: T) -> T:
    """The one of the three that this run asks for."""
    return (short, full, long)[DOSES.index(DOSE)]


def minutes(short: float, full: float, long: float) -> float:
    """The same in seconds, for the time limit of a test."""
    return 60.0 * dose(short, full, long)
