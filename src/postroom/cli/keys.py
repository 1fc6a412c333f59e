"""``postroom keys``: the room's keys.  Nothing prints one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from postroom.cli import kek, show
from postroom.cli.options import OPTIONS
from postroom.cli.progress import counting
from postroom.cli.run import Asker, ask, in_room, may_ask, outside
from postroom.cli.verbs import Verbs
from postroom.errors import CONFIGURATION, FAILED, OK, UNFINISHED, WrongUse
from postroom.secret import Secret

if TYPE_CHECKING:
    from postroom.app import Room
    from postroom.operations.keys.rotating import Rotated
    from postroom.settings import Settings

__all__ = ["app"]

app = Verbs("The room's keys.")
_LEVELS: Final = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


@app.verb()
def status() -> int:
    """Whether the room is open or locked and why, what opens it, whether there is a kit."""
    found = in_room(lambda room: room.keys.status(), tells_state=True)
    show.record(found)
    return OK if found["state"] == "open" else CONFIGURATION


@app.verb()
def doctor() -> int:
    """Say everything about the keys, and open every sealed value once to see that it is whole."""
    found = in_room(lambda room: room.keys.doctor(), tells_state=True)
    if OPTIONS.json:
        show.record(found)
    else:
        for one in found["findings"]:
            head = f"{_LEVELS[one['level']]}  {one['topic']:<9}  "
            print(show.said(head + one["text"], indent=len(head)))
    if found["state"] == "locked":
        return CONFIGURATION
    return OK if found["ok"] else FAILED


@app.verb()
def kit(
    to: Annotated[Path, typer.Option(metavar="FILE", help="It must not be there yet.")],
) -> None:
    """Write the recovery kit: the key, and how to recover with it. Nothing else writes a key out."""
    key = in_room(lambda room: room.keys.kit(to))
    show.say(
        f"The recovery kit of the key {key} is in {to}, for nobody else to read. Keep it where the room "
        "is not; it says itself how to use it.",
        key=key,
        path=str(to),
    )


app.add_typer(kek.app, name="kek")


@app.verb()
def rotate(
    also: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE", help="Where another key is that opens the room too."),
    ] = None,
) -> int:
    """Put a new vault key in the place of the old one; work goes on meanwhile."""

    async def body(room: Room) -> Rotated:
        with counting("Vault key", "data keys") as tell:
            return await room.keys.rotate(also=also or (), ask=ask, tell=tell)

    done = in_room(body)
    if OPTIONS.json:
        show.record(done._asdict())
    else:
        print(show.said(_told(done)))
    return UNFINISHED if done.kept else OK


@app.verb()
def unlock(
    passphrase_stdin: Annotated[
        bool, typer.Option("--passphrase-stdin", help="Read the passphrase from standard input.")
    ] = False,
) -> None:
    """Unlock the room for the process that serves it, which goes on; its key wants a passphrase."""
    from postroom.serving.control import SOCKET, ask_to_unlock

    if not passphrase_stdin and not may_ask():
        raise WrongUse(
            "There is nobody to be asked for the passphrase.",
            hint="Give it with --passphrase-stdin.",
        )

    async def body(settings: Settings, asker: Asker) -> bool:
        read = passphrase_stdin or asker is None
        given = Secret(sys.stdin.readline().rstrip("\n")) if read else ask("Passphrase")
        return await ask_to_unlock(settings.room / SOCKET, given)

    was_locked = outside(body)
    show.say("The room is unlocked." if was_locked else "It was not locked.", unlocked=was_locked)


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
            f"Term {kept} was kept: {done.damaged} data keys under it do not open. "
            "Which records those are says: postroom keys doctor"
        )
    return " ".join(parts)
