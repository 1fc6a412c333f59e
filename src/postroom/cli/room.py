"""``postroom init``, ``apply`` and ``export``: the room as a whole."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from postroom.cli import show
from postroom.cli.finished import all_finished
from postroom.cli.moved import show_moved
from postroom.cli.newfile import new_file
from postroom.cli.options import OPTIONS
from postroom.cli.run import ask, confirm, in_room, may_ask, rebinding, told, upgraded
from postroom.cli.verbs import Verbs
from postroom.errors import OK, WrongUse
from postroom.operations.desk import Rebind
from postroom.operations.roomfile import Plan
from postroom.settings import settings_of

if TYPE_CHECKING:
    from postroom.app import Room

__all__ = ["app"]

app = Verbs()


@app.verb()
def init() -> None:
    """Make a room and its key, or say where they are; nothing that is there is changed."""

    async def body(room: Room) -> dict[str, Any]:
        if room.desk.locked is not None:  # there are keys, and this is not the one
            raise room.desk.locked
        return await room.keys.status()

    from postroom.app import DATABASE

    where = settings_of(room=OPTIONS.room, kek=OPTIONS.kek).room
    new = not (where / DATABASE).exists()
    found = in_room(body, make=True)
    if OPTIONS.json:
        show.record({"path": str(where), "new": new, **found})
        return
    print("A new room." if new else "The room is there already; nothing was changed.")
    print(f"  room  {where}\n  key   {found['source']}")
    print(
        show.said(
            "Without the key nobody can open the secrets. Keep a recovery kit of it elsewhere: "
            "postroom keys kit --to FILE"
        )
    )
    print("\nNext:")
    said = {"POSTROOM_ROOM": OPTIONS.room and where, "POSTROOM_KEK": OPTIONS.kek}
    if any(said.values()):  # or the next command would look for another room
        told = (f"{name}={shlex.quote(str(value))}" for name, value in said.items() if value)
        print(f"  export {' '.join(told)}")
    print("  postroom credential add NAME --type password --user-name YOU@example.com")
    print(
        "  postroom connection add NAME --set incoming.protocol=imap \\\n"
        "      --set incoming.host=imap.example.com \\\n"
        "      --set incoming.auth='{type: secret, credential: NAME}'"
    )
    print("  postroom connection test NAME")
    print("Or in the browser (pip install 'postroom[server]'):\n  postroom serve")


@app.verb()
def upgrade() -> None:
    """Bring a room of an earlier release to the schema of this one; a copy of it is kept."""
    done = upgraded()
    if done is None:
        show.say("The room has the schema of this release; nothing was changed.", upgraded=False)
    else:
        before, after, copy = done
        facts = {"from": before, "to": after, "copy": str(copy)}
        show.say(told(*done), upgraded=True, **facts)


@app.verb()
def apply(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Room files; later ones win.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")] = False,
    prune: Annotated[
        list[str] | None,
        typer.Option(metavar="NOUN", help="Remove what no file names, such as sources."),
    ] = None,
    rebind: Annotated[
        bool, typer.Option("--rebind", help="Present stored secrets at new places without asking.")
    ] = False,
) -> int:
    """Make the room what the files say, in one transaction; shows the plan first."""

    async def body(room: Room) -> Plan:
        wanted = room.roomfile.read(files, prompt=ask if may_ask() else None)
        agreed: list[Rebind] = []

        async def planned(rebind: Rebind) -> Plan:
            agreed.append(rebind)
            return await room.roomfile.apply(wanted, dry_run=True, rebind=rebind, prune=prune or ())

        plan = await rebinding(planned, rebind=rebind)
        _show(plan)
        if dry_run or not plan.changes:
            return plan
        gone = [step for step in plan.steps if step.verb == "remove" or "type" in step.fields]
        if gone and not confirm(f"{len(gone)} records or their fields will be destroyed. Go on?"):
            raise WrongUse(
                "Nothing was changed: records would be removed, or a credential's type changed.",
                hint="Confirm it with --yes.",
            )
        return await room.roomfile.apply(wanted, rebind=agreed[-1], prune=prune or ())

    plan = in_room(body)
    if OPTIONS.json:
        steps = [
            {"verb": step.verb, "noun": step.noun, "name": step.name, "fields": step.fields}
            for step in plan.steps
        ]
        show.record(
            {
                "dry_run": dry_run,
                "changes": plan.changes,
                "notes": plan.notes,
                "steps": steps,
                "moved": [each._asdict() for each in plan.moved],
                "incomplete": [each._asdict() for each in plan.incomplete],
            }
        )
    elif not plan.changes:
        print("Nothing to change.")
    else:
        many = "1 change" if plan.changes == 1 else f"{plan.changes} changes"
        print(f"{many} planned; nothing was changed." if dry_run else f"{many} made.")
    status = all_finished(plan.incomplete)
    return OK if dry_run else status  # nothing was stored


def _show(plan: Plan) -> None:
    if OPTIONS.json:
        return
    for step in plan.steps:
        verb, _, rest = str(step).partition(" ")
        print(f"{verb:<7}{rest}")
    show_moved(plan.moved, planned=True)
    for each in plan.notes:
        show.note(f"Note: {each}")


@app.verb()
def export(
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="It must not be there yet.")
    ] = None,
) -> None:
    """Write the room as a room file, without secrets."""
    text = in_room(lambda room: room.roomfile.export())
    if to is None and OPTIONS.json:
        show.record({"room": yaml.safe_load(text)})
        return
    if to is None:
        sys.stdout.write(text)
        return
    with new_file(to) as write:
        write(text)
    show.say(f"Written to {to}, without secrets.", path=str(to))
