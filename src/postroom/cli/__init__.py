"""The command line: verbs, one file a noun; loaded when they are named."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import Final

__all__ = ["LOADING", "main"]

LOADING: Final = 1_000_000
"""Objects after which Python looks for garbage while a command is loaded, instead of 700: what is
loaded stays, and to look through it again and again takes a sixth of a short command."""

_NO_PLUGINS: Final = "PYDANTIC_DISABLE_PLUGINS"
"""Plugins of pydantic are handed whatever is validated, secrets too; looking for them takes 20 ms."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status (DESIGN 4.8)."""
    if argv is not None:
        return _run(argv)
    gc.set_threshold(LOADING)  # until cli.run.loaded()
    try:
        return _run(sys.argv[1:])
    finally:
        gc.freeze()  # nor is it looked through once more when the process ends


def _run(argv: Sequence[str]) -> int:
    os.environ.setdefault(_NO_PLUGINS, "__all__")
    from postroom.cli.root import run

    return run(list(argv))
