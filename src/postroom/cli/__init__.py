"""The command line: verbs, one file a noun; loaded when they are named."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status (DESIGN 4.8)."""
    from postroom.cli.root import run

    return run(list(sys.argv[1:] if argv is None else argv))
