"""``postroom audit``: who did what, and whether the record is whole."""

from __future__ import annotations

import typer

from postroom.cli import show
from postroom.cli.options import OPTIONS
from postroom.cli.run import in_room
from postroom.errors import FAILED, OK

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="The audit record.")


@app.command("list")
def list_(noun: str = "", name: str = "", limit: int = 50) -> None:
    """Who did what to which record, newest first."""
    rows = in_room(lambda room: room.audit.list(noun=noun or None, name=name or None, limit=limit))
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
        empty="Nothing is recorded yet.",
    )


@app.command()
def verify() -> int:
    """Check every chain; names the first bad row, a missing tail, a rollback."""
    problems = in_room(lambda room: room.audit.verify())
    if OPTIONS.json:
        show.record({"whole": not problems, "problems": problems})
    else:
        print("\n".join(map(show.plain, problems)) or "The audit record is whole.")
    return FAILED if problems else OK
