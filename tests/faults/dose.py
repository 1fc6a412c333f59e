"""How much of a fault is given: a short dose in every `make test`, the full one by `make faults`."""

from __future__ import annotations

import os

__all__ = ["dose"]


def dose(short: int, full: int) -> int:
    """`short`, or `full` where POSTROOM_DOSE=full."""
    return full if os.environ.get("POSTROOM_DOSE") == "full" else short
