"""``postroom audit``: who did what, and whether the record is whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.cli import show
from postroom.cli.options import OPTIONS
from postroom.cli.run import agreed, ask_plain, in_room
from postroom.cli.verbs import Verbs
from postroom.errors import FAILED, OK, WrongUse

if TYPE_CHECKING:
    from postroom.app import Room

__all__ = ["app"]

app = Verbs("The audit record.")


@app.verb("list")
def list_(
    noun: Annotated[str, typer.Option(help="Only of this noun, such as credential.")] = "",
    name: Annotated[str, typer.Option(help="Only of the record of this name.")] = "",
    action: Annotated[str, typer.Option(help="Only what was done, such as open or set.")] = "",
    actor: Annotated[str, typer.Option(help="Only by this one, such as local:alice.")] = "",
    since: Annotated[
        str, typer.Option(metavar="WHEN", help="Only since then: 1h, 5d, 2027-01-31.")
    ] = "",
    limit: Annotated[int, typer.Option(metavar="N", help="So many at most.", min=1)] = 50,
    after: Annotated[
        int | None,
        typer.Option(metavar="N", help="Go on there: what the page before named as next."),
    ] = None,
) -> None:
    """Who did what to which record, newest first."""
    page = in_room(
        lambda room: room.audit.list(
            noun=noun or None,
            name=name or None,
            action=action or None,
            actor=actor or None,
            since=since or None,
            limit=limit,
            after=after,
        )
    )
    plain = OPTIONS.json
    rows = [row if plain else {**row, "detail": _detail(row["detail"])} for row in page]
    show.items(
        rows,
        (
            ("at", "AT"),
            ("actor", "WHO"),
            ("action", "DID"),
            ("noun", "WHAT"),
            ("name", "NAME"),
            ("detail", "DETAIL"),
        ),
        empty="Nothing is recorded.",
        give=("detail",),
        next=page.next,
    )
    if page.next is not None:
        show.note(
            f"There are more than these {limit}: go on with --after {page.next}, or narrow it: --since, "
            "--noun, --name, --action, --actor."
        )


def _detail(detail: dict[str, Any]) -> str:
    """The detail of a row as people read it: what for, where, and then the rest.

    Of a destination the place is enough, and the record's own id says nothing.
    """
    rest = {key: value for key, value in detail.items() if key != "id"}
    if rest.get("accepted") == rest.get("version"):
        rest.pop("accepted", None)  # the action says it, and which is the version
    first = [str(rest.pop(key)) for key in ("purpose",) if key in rest]
    if "line" in rest:
        first.append(str(rest.pop("line")).partition(";")[0])
    return ", ".join([*first, *([show.plain(rest)] if rest else [])])


@app.verb()
def verify(
    heads: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Compare with this as well: see audit heads."),
    ] = None,
) -> int:
    """Check every chain; names the first bad row, a missing tail, a rollback."""

    async def body(room: Room) -> tuple[list[str], dict[str, Any]]:
        return await room.audit.verify(heads=heads), await room.audit.kept()

    problems, kept = in_room(body)
    if OPTIONS.json:
        show.record({"whole": not problems, "problems": problems, "kept": kept})
        return FAILED if problems else OK
    print("\n".join(map(show.plain, problems)) or "The audit record is whole.")
    if kept["at"] is None:
        show.note(
            f"No head of it is kept in {kept['path']}: whether the whole database was put back to an "
            "older copy cannot be told."
        )
    return FAILED if problems else OK


@app.verb()
def heads(
    to: Annotated[Path, typer.Option(metavar="FILE", help="It must not be there yet.")],
) -> None:
    """Write the head of the record to a file: keep it on another machine, for verify."""
    in_room(lambda room: room.audit.write_head(to))
    show.say(
        f"Written to {to}. Keep it where nobody who writes to the room does. Later: postroom audit "
        f"verify --heads {to}",
        path=str(to),
    )


@app.verb()
def accept(
    why: Annotated[
        str, typer.Option(metavar="TEXT", help="It stands in the record; asked for if left out.")
    ] = "",
) -> None:
    """Accept that the database was put back to an older copy; verify reports it until then."""
    said = why or ask_plain("Why was it put back? The answer stands in the record")
    if not said:
        raise WrongUse(
            "Nothing was accepted: nobody said why it was put back.", hint="Say it with --why TEXT."
        )
    agreed(
        "What was recorded since that copy is lost. Was it put back on purpose?",
        otherwise="Nothing was accepted.",
    )
    in_room(lambda room: room.audit.accept(said))
    show.say("Accepted, and written down. The head that is kept outside begins anew.", why=said)
