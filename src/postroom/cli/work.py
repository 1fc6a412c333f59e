"""``postroom worker``: collect, send and run jobs, until stopped."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from postroom.cli import show
from postroom.cli.run import in_room
from postroom.cli.verbs import Verbs

if TYPE_CHECKING:
    from postroom.app import Room

__all__ = ["app"]

app = Verbs()


@app.verb()
def worker(
    role: Annotated[
        list[str] | None, typer.Option(help="A role of this worker; several times.")
    ] = None,
    runs: Annotated[
        int, typer.Option(metavar="N", help="Runs of jobs at the same time.", min=1, max=1000)
    ] = 8,
) -> None:
    """Run the loops until Ctrl-C or SIGTERM; several workers of one room share the work.

    A room of an earlier release is upgraded first; a copy of it is kept.
    """
    from postroom.worker import Worker

    async def body(room: Room) -> None:
        show.note(f"Working for {room.settings.room}; Ctrl-C ends it.")
        with contextlib.suppress(asyncio.CancelledError):  # SIGTERM is how a worker ends
            await Worker(room, roles=tuple(role or ()), places=runs).run()

    in_room(body, upgrade=True)
