"""``postroom keys``: the room's keys.  Nothing prints one."""

from __future__ import annotations

import typer

from postroom.cli import show
from postroom.cli.run import in_room
from postroom.errors import CONFIGURATION, OK

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="The room's keys.")


@app.callback()
def _keys() -> None:
    """The room's keys."""


@app.command()
def status() -> int:
    """Whether the room is open or locked, where its key comes from, what is sealed."""
    found = in_room(lambda room: room.keys.status())
    show.record(found)
    return OK if found["state"] == "open" else CONFIGURATION
