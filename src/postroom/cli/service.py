"""``postroom service``: how messages are sent."""

from __future__ import annotations

from typing import Annotated

import typer

from postroom.cli import show
from postroom.cli.flags import ALLOW_ANY, changes_of, read_flags
from postroom.cli.run import in_room
from postroom.operations.declared import nouns

__all__ = ["app"]

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Services to send with (postroom explain service).",
)

Name = Annotated[str, typer.Argument(help="Name of the service.")]


@app.command("list")
def list_() -> None:
    """Every service and how many messages wait."""
    show.items(
        in_room(lambda room: room.services.list()),
        (
            ("name", "NAME"),
            ("connection", "CONNECTION"),
            ("waiting", "WAITING"),
            ("description", "DESCRIPTION"),
        ),
        empty="No services yet. Make one: postroom service add NAME --connection NAME",
    )


@app.command("show")
def show_(name: Name) -> None:
    """One service with every setting."""
    show.record(in_room(lambda room: room.services.show(name)))


@app.command(context_settings=ALLOW_ANY)
def add(ctx: typer.Context, name: Name) -> None:
    """Make a service."""
    given = read_flags(ctx.args, nouns()["service"])
    show.record(in_room(lambda room: room.services.add({"name": name, **given.values})))


@app.command("set", context_settings=ALLOW_ANY)
def set_(ctx: typer.Context, name: Name) -> None:
    """Change a service; --clear FIELD takes a value away."""
    changes = changes_of(read_flags(ctx.args, nouns()["service"]))
    show.record(in_room(lambda room: room.services.set(name, changes)))


@app.command()
def copy(name: Name, new_name: str) -> None:
    """Make another service with the same settings."""
    show.record(in_room(lambda room: room.services.copy(name, new_name)))


@app.command()
def delete(
    name: Name, force: Annotated[bool, typer.Option(help="Even while messages wait.")] = False
) -> None:
    """Delete a service."""
    in_room(lambda room: room.services.delete(name, force=force))
    show.note(f"Deleted {name}.")
