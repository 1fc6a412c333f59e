"""The command line: verbs, one file a noun; loaded when they are named."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import Final

__all__ = ["main"]

_NO_PLUGINS: Final = "PYDANTIC_DISABLE_PLUGINS"
"""Plugins of pydantic are handed whatever is validated, secrets too; looking for them takes 20 ms."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status (DESIGN 4.8)."""
    if argv is not None:
        return _run(argv)
    # What a command loads stays to the end: looking through it for garbage, meanwhile and once more
    # when the process ends, takes a sixth of a short one.  cli.run.loaded() begins with it again.
    gc.disable()
    try:
        return _run(sys.argv[1:])
    finally:
        gc.freeze()


def _run(argv: Sequence[str]) -> int:
    os.environ.setdefault(_NO_PLUGINS, "__all__")
    from postroom.cli.root import run

    return run(list(argv))
