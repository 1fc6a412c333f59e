"""Which stored secrets go elsewhere after a change, for people."""

from __future__ import annotations

from collections.abc import Iterable

from postroom.cli import show
from postroom.cli.options import OPTIONS
from postroom.operations.moved import Moved

__all__ = ["show_moved"]


def show_moved(moved: Iterable[Moved], *, planned: bool = False) -> None:
    """Each secret with the lines it is presented at from now on, and those where no longer.

    Programs find the same beside the rest of what ``--json`` gives.
    """
    if OPTIONS.json:
        return
    for one in moved:
        print(
            show.said(
                f"The stored secret of {one.credential} {'would go' if planned else 'goes'} elsewhere:"
            )
        )
        for line in one.added:
            print(show.plain(f"  to         {line}"))
        for line in one.gone:
            print(show.plain(f"  no longer  {line}"))
