"""``postroom audit``: who did what, and whether the record is whole."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from postroom.cli import show
from postroom.cli.options import OPTIONS
from postroom.cli.run import in_room
from postroom.cli.verbs import Verbs
from postroom.errors import FAILED, OK

__all__ = ["app"]

app = Verbs("The audit record.")


@app.verb("list")
def list_(
    noun: Annotated[str, typer.Option(help="Only of this noun, such as credential.")] = "",
    name: Annotated[str, typer.Option(help="Only of the record of this name.")] = "",
    limit: Annotated[int, typer.Option(metavar="N", help="The newest of them.", min=1)] = 50,
) -> None:
    """Who did what to which record, newest first."""
    rows = in_room(lambda room: room.audit.list(noun=noun or None, name=name or None, limit=limit))
    if not OPTIONS.json:  # the record's own id says nothing to people
        rows = [{**row, "detail": _detail(row["detail"])} for row in rows]
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
    )


def _detail(detail: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in detail.items() if key != "id"}


@app.verb()
def verify() -> int:
    """Check every chain; names the first bad row, a missing tail, a rollback."""
    problems = in_room(lambda room: room.audit.verify())
    if OPTIONS.json:
        show.record({"whole": not problems, "problems": problems})
    else:
        print("\n".join(map(show.plain, problems)) or "The audit record is whole.")
    return FAILED if problems else OK
