"""``postroom erase``: what the room keeps of one person, and its removal."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.cli import show
from postroom.cli.options import OPTIONS
from postroom.cli.run import agreed, in_room
from postroom.cli.verbs import Verbs
from postroom.errors import OK, UNFINISHED

if TYPE_CHECKING:
    from postroom.app import Room
    from postroom.operations.erasing import Erased, Kept

__all__ = ["app"]

app = Verbs()


@app.verb()
def erase(
    address: Annotated[str, typer.Argument(help="Whose: one mail address.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")] = False,
) -> int:
    """Remove what the room keeps of one person: finished messages of the outbox, names in ledgers.

    The plan comes first. What lies in sinks, in backups and on servers is listed and not touched.
    """

    async def body(room: Room) -> tuple[Kept, Erased | None]:
        kept = await room.erasing.plan(address)
        if not OPTIONS.json:
            _show(kept)
        if dry_run or not (kept.anything or kept.traces):
            return kept, None
        if kept.anything and not (kept.unfinished or kept.at_work):  # or it is refused anyway
            agreed(f"Erase what the room keeps of {address}?", otherwise="Nothing was erased.")
        return kept, await room.erasing.erase(address)

    kept, done = in_room(body)
    if OPTIONS.json:
        told = None if done is None else dataclasses.asdict(done)
        show.record({"dry_run": dry_run, **kept.as_json(), "erased": told})
    elif done is not None and kept.anything:
        print(show.said(f"Erased: {_many(done.outbox, done.ledger, done.runs, done.sentences)}."))
    if done is None or not done.left:
        return OK
    show.note(
        f"The database's file was not written anew: {done.left}. Traces of what was erased can still be "
        f"found in its gaps, and in backups that are made now. Then: postroom erase {address}"
    )
    return UNFINISHED


def _show(kept: Kept) -> None:
    if not kept.anything:
        print(show.said(f"The room keeps nothing of {kept.address} that can be erased."))
    else:
        entries = sum(kept.ledger.values())
        many = _many(len(kept.outbox), entries, len(kept.runs), kept.sentences)
        print(show.said(f"The room keeps of {kept.address}: {many}."))
    if kept.traces:
        print(
            show.said(
                "Of something that was erased earlier there may still be traces in the database's file; "
                "this command removes them too."
            )
        )
    for one in kept.outbox:
        others = f", also to {one.others} more" if one.others else ""
        print(show.plain(f"  outbox {one.id}  {one.state}{others}  {one.subject}"))
    for one in kept.unfinished:
        print(show.plain(f"  outbox {one.id}  {one.state}: still to be sent  {one.subject}"))
    for name, number in kept.ledger.items():
        print(show.plain(f"  ledger of {name}  {number}"))
    for run in kept.runs:
        print(show.plain(f"  run {run.id} of job {run.job}  {run.state}"))
    for run in kept.at_work:
        print(show.plain(f"  run {run.id} of job {run.job}  {run.state}: not finished"))
    if kept.collecting:
        print(
            show.said(
                f"{kept.collecting} of them are still being collected, and their names come back with "
                "that: do this again afterwards."
            )
        )
    _listed("Not touched, files in sinks", kept.files)
    _listed("Not touched, backups that hold it", [_backup(one) for one in kept.backups])
    _listed("Not touched, settings that name it", kept.settings)
    if kept.ledger:
        show.note("The messages on the mail servers are not touched either.")


def _listed(heading: str, lines: Any) -> None:
    if lines:
        print(f"{heading}:")
        for line in lines:
            print(show.plain(f"  {line}"))


def _backup(one: Any) -> str:
    return f"{one.path} (made {one.made_at}{'' if one.there else ', no longer there'})"


def _many(outbox: int, entries: int, runs: int, sentences: int) -> str:
    parts = [
        f"{number} {one if number == 1 else several}"
        for number, one, several in (
            (outbox, "message of the outbox", "messages of the outbox"),
            (entries, "entry of the ledger", "entries of the ledger"),
            (runs, "run of a job", "runs of jobs"),
            (sentences, "sentence of a server", "sentences of servers"),
        )
        if number
    ]
    return ", ".join(parts) or "nothing"
