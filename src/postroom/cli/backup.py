"""``postroom backup``: the whole room but its key in one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from postroom.cli import show
from postroom.cli.progress import counting
from postroom.cli.run import in_room
from postroom.cli.verbs import Verbs

if TYPE_CHECKING:
    from postroom.app import Room
    from postroom.operations.backup.verbs import Made

__all__ = ["app"]

app = Verbs("Backups of the room: everything but its key, in one file.")


@app.verb()
def create(
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="It must not be there yet; in a directory, the name is made of room and time. "
            "Default: the current directory.",
        ),
    ] = None,
) -> None:
    """Make a backup while everybody goes on working."""

    async def body(room: Room) -> Made:
        with counting("Backup", "pages") as tell:
            return await room.backup.create(to, tell=tell)

    made = in_room(body)
    manifest = made.manifest
    messages = manifest.tables.get("outbox_content", 0)
    show.say(
        f"The backup of the room {manifest.room} is in {made.path} "
        f"({show.size(made.path.stat().st_size)}).",
        path=str(made.path),
        room=manifest.room,
        epoch=manifest.epoch,
        schema=manifest.schema,
        created_at=manifest.created_at,
        keks=manifest.keks,
        size=made.path.stat().st_size,
        sha256=manifest.sha256,
        messages=messages,
        private=made.private,
    )
    show.note(
        f"Not in it: the key. A restore wants {' or '.join(manifest.keks)}; keep that elsewhere: "
        "postroom keys kit --to FILE"
    )
    if messages:
        many = "1 message" if messages == 1 else f"{messages} messages"
        show.note(f"In it and not sealed: the content of {many} of the outbox.")
    if not made.private:
        show.note("Note: this disk keeps no modes, so others may be able to read the backup.")
