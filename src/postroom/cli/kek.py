"""``postroom keys kek``: the keys that open the room, another one, and the end of the old one."""

from __future__ import annotations

from typing import Annotated

import typer

from postroom.cli import show
from postroom.cli.run import agreed, ask, in_room
from postroom.cli.verbs import Verbs

__all__ = ["app"]

app = Verbs("The keys that open the room; each is named by its id.")


@app.verb("list")
def list_() -> None:
    """Which keys open the room, where they are, who uses which."""
    rows = in_room(lambda room: room.keys.kek.list())
    show.items(
        rows,
        (
            ("id", "ID"),
            ("source", "SOURCE"),
            ("used_here", "USED HERE"),
            ("workers", "WORKERS"),
            ("created_at", "ADDED"),
        ),
        empty="This room has no keys yet. Make them with: postroom init",
        give=("source", "workers"),
    )


@app.verb()
def add(
    source: Annotated[str, typer.Argument(help="Where the new key is, such as file:PATH.")],
    make: Annotated[
        bool, typer.Option("--make", help="Make the key file if it is missing.")
    ] = False,
) -> None:
    """Let another key open the room too; those that do go on doing so."""
    made = in_room(lambda room: room.keys.kek.add(source, make=make, ask=ask))
    show.say(
        f"The key {made} opens the room too. Start every process with it (POSTROOM_KEK={source}), then "
        "retire the old one: postroom keys kek retire ID",
        added=made,
    )


@app.verb()
def retire(
    key: Annotated[str, typer.Argument(metavar="ID", help="As keys kek list shows it.")],
) -> None:
    """Let a key open the room no more; refused while a living process needs it."""
    agreed(f"The key {key} will open this room no more. Go on?", otherwise="Nothing was changed.")
    in_room(lambda room: room.keys.kek.retire(key))
    show.say(
        f"The key {key} opens the room no more. With an older copy of the room it still does: a new "
        "vault key makes that copy useless for what comes: postroom keys rotate",
        retired=key,
    )
