"""``postroom keys``: the room's keys.  Nothing prints one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postroom.cli import show
from postroom.cli.options import OPTIONS
from postroom.cli.progress import counting
from postroom.cli.run import in_room
from postroom.cli.verbs import Verbs
from postroom.errors import CONFIGURATION, OK, UNFINISHED

if TYPE_CHECKING:
    from postroom.app import Room
    from postroom.operations.keys.rotating import Rotated

__all__ = ["app"]

app = Verbs("The room's keys.")


@app.verb()
def status() -> int:
    """Whether the room is open or locked, where its key comes from, what is sealed."""
    found = in_room(lambda room: room.keys.status())
    show.record(found)
    return OK if found["state"] == "open" else CONFIGURATION


@app.verb()
def rotate() -> int:
    """Put a new vault key in the place of the old one; work goes on meanwhile."""

    async def body(room: Room) -> Rotated:
        with counting("Vault key", "data keys") as tell:
            return await room.keys.rotate(tell=tell)

    done = in_room(body)
    if OPTIONS.json:
        show.record(done._asdict())
    else:
        print(show.said(_told(done)))
    return UNFINISHED if done.kept else OK


def _told(done: Rotated) -> str:
    many = "1 data key" if done.rewrapped == 1 else f"{done.rewrapped} data keys"
    gone = ", ".join(map(str, done.destroyed))
    parts = [
        "An interrupted rotation was finished." if done.resumed else "The vault key is new.",
        f"Term {done.term} is active and wraps {many} more."
        if done.resumed
        else f"Term {done.term} is active; {many} were wrapped anew.",
    ]
    if gone:
        parts.append(f"Term {gone} is destroyed.")
    if done.kept:
        kept = ", ".join(map(str, done.kept))
        parts.append(
            f"Term {kept} was kept: {done.damaged} data keys under it do not open. They can be mended "
            "from a backup, or their records deleted and made again; then rotate once more."
        )
    return " ".join(parts)
