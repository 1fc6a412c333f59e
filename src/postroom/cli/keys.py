"""``postroom keys``: the room's keys.  Nothing prints one."""

from __future__ import annotations

from postroom.cli import show
from postroom.cli.run import in_room
from postroom.cli.verbs import Verbs
from postroom.errors import CONFIGURATION, OK

__all__ = ["app"]

app = Verbs("The room's keys.")


@app.verb()
def status() -> int:
    """Whether the room is open or locked, where its key comes from, what is sealed."""
    found = in_room(lambda room: room.keys.status())
    show.record(found)
    return OK if found["state"] == "open" else CONFIGURATION
