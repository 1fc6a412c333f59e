"""``postroom init``, ``apply`` and ``export``: the room as a whole."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from postroom.app import Room
from postroom.cli import show
from postroom.cli.options import OPTIONS
from postroom.cli.run import ask, confirm, in_room, rebinding
from postroom.errors import WrongUse
from postroom.operations.desk import Rebind
from postroom.operations.roomfile import Plan
from postroom.settings import settings_of

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False)


@app.command()
def init() -> None:
    """Make a room and its key, or say where they are; nothing that is there is changed."""

    async def body(room: Room) -> dict[str, Any]:
        if room.desk.locked is not None:  # there are keys, and this is not the one
            raise room.desk.locked
        return await room.keys.status()

    found = in_room(body, make=True)
    where = settings_of(room=OPTIONS.room, kek=OPTIONS.kek).room
    if OPTIONS.json:
        show.record({"path": str(where), **found})
        return
    print(
        f"The room is {where}.\nIts key is {found['source']}. Keep a copy of it elsewhere: "
        "without it nobody can open the secrets in the room.\n\nNext:"
    )
    print("  postroom credential add NAME --type password --user-name YOU@example.com")
    print(
        "  postroom connection add NAME --set incoming.protocol=imap "
        "--set incoming.host=imap.example.com --set incoming.auth='{type: secret, credential: NAME}'"
    )
    print("  postroom connection test NAME")


@app.command()
def apply(
    files: Annotated[list[Path], typer.Argument(help="Room files; later ones win.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")] = False,
    prune: Annotated[
        list[str] | None, typer.Option(help="Remove what no file names: a noun.")
    ] = None,
    rebind: Annotated[bool, typer.Option(help="Present stored secrets at new places.")] = False,
) -> None:
    """Make the room what the files say, in one transaction; shows the plan first."""

    async def body(room: Room) -> Plan:
        wanted = room.roomfile.read(files, prompt=ask)
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
        print(
            json.dumps(
                {
                    "v": 1,
                    "dry_run": dry_run,
                    "changes": plan.changes,
                    "notes": plan.notes,
                    "steps": [
                        {
                            "verb": step.verb,
                            "noun": step.noun,
                            "name": step.name,
                            "fields": step.fields,
                        }
                        for step in plan.steps
                    ],
                }
            )
        )
    elif dry_run:
        print(f"{plan.changes} changes planned; nothing was changed.")
    else:
        print(f"{plan.changes} changes made." if plan.changes else "Nothing to change.")


def _show(plan: Plan) -> None:
    if OPTIONS.json:
        return
    for step in plan.steps:
        print(step)
    for each in plan.notes:
        show.note(f"Note: {each}")


@app.command()
def export(
    to: Annotated[Path | None, typer.Option(help="A file to write; it must not be there.")] = None,
) -> None:
    """Write the room as a room file, without secrets."""
    text = in_room(lambda room: room.roomfile.export())
    if to is None:
        sys.stdout.write(text)
        return
    try:
        with to.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise WrongUse(f"{to} cannot be written: {error.strerror}.") from error
