"""``postroom status``: how the room is, what is in it, and what needs a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postroom.cli import show
from postroom.cli.options import OPTIONS
from postroom.cli.run import in_room
from postroom.cli.verbs import Verbs
from postroom.errors import FAILED, OK

if TYPE_CHECKING:
    from postroom.app import Room

__all__ = ["app"]

app = Verbs()


@app.verb()
def status() -> int:
    """What is checked of the room, how much is in it, and what needs a person now: 0 nothing, 1 something."""

    async def body(room: Room) -> dict[str, Any]:
        return {
            **await room.health.ready(),
            "counts": await room.health.counts(),
            "needs": list(await room.notify.needs()),
        }

    found = in_room(body)
    well = found["ok"] and not found["needs"]
    if OPTIONS.json:
        show.record(found)
        return OK if well else FAILED
    for one in found["checks"]:
        why = f"  {show.plain(one['why'])}" if one["why"] else ""
        print(f"{'ok  ' if one['ok'] else 'FAIL'}  {one['name']}{why}")
    print(", ".join(_counted(*one) for one in found["counts"].items()))
    for one in found["needs"]:
        print(show.said(f"{one['kind']}: {one['said']}"))
    if not found["needs"]:
        print("Nothing needs a person.")
    return OK if well else FAILED


def _counted(nouns: str, number: int) -> str:
    return f"{number:,} {nouns[:-1] if number == 1 else nouns}"
