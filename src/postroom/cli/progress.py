"""A progress bar on a terminal, silence otherwise."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from postroom.cli.options import OPTIONS

__all__ = ["collecting", "counting"]


@contextlib.contextmanager
def collecting(name: str) -> Iterator[Callable[[Any], None] | None]:
    """Shows how far a pass of a source is; gives what the pass is to call with its tally."""
    if OPTIONS.json or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("messages"),
        TimeElapsedColumn(),
    )
    with contextlib.ExitStack() as stack:
        bar: Progress | None = None
        task: Any = None

        def tell(tally: Any) -> None:
            nonlocal bar, task
            if not tally.total:
                return
            if bar is None:  # not before something happens: what fails at once is not underway
                bar = stack.enter_context(Progress(*columns, console=Console(stderr=True)))
                task = bar.add_task(name, total=None)
            bar.update(task, total=tally.total, completed=tally.read)

        yield tell


@contextlib.contextmanager
def counting(name: str, of: str) -> Iterator[Callable[[int, int], None] | None]:
    """Shows how many of how many are done; ``of`` says what they are."""
    if OPTIONS.json or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(of))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, total=total, completed=done)
