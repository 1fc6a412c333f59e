"""``postroom variable``: the room's variables, and what macros may read of the environment."""

from __future__ import annotations

from typing import Annotated

import typer

from postroom.cli import show
from postroom.cli.run import in_room, rebinding

__all__ = ["app"]

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Variables: ${NAME} in hosts, users, ports, folders and paths.",
)


@app.command("list")
def list_() -> None:
    """Every variable."""
    found = in_room(lambda room: room.variables.list())
    show.items(
        [{"name": name, "value": value} for name, value in found.items()],
        (("name", "NAME"), ("value", "VALUE")),
        empty="No variables yet.",
    )


@app.command("show")
def show_(name: str) -> None:
    """One variable."""
    show.record({"name": name, "value": in_room(lambda room: room.variables.get(name))})


@app.command("set")
def set_(
    name: str,
    value: str,
    rebind: Annotated[bool, typer.Option(help="Present stored secrets at new places.")] = False,
) -> None:
    """Make or change a variable."""
    changed = in_room(
        lambda room: rebinding(
            lambda rebind: room.variables.set(name, value, rebind=rebind), rebind=rebind
        )
    )
    show.record({"name": name, "value": value, "changed": changed})


@app.command()
def delete(name: str) -> None:
    """Delete a variable."""
    in_room(lambda room: room.variables.delete(name))
    show.note(f"Deleted {name}.")


@app.command("allow-env")
def allow_env(name: str) -> None:
    """Let ${env:NAME} read an environment variable of the process."""
    in_room(lambda room: room.variables.allow_environment(name))
    show.record({"allowed": in_room(lambda room: room.variables.allowed())})


@app.command("forbid-env")
def forbid_env(name: str) -> None:
    """Take that permission back."""
    in_room(lambda room: room.variables.allow_environment(name, allow=False))
    show.record({"allowed": in_room(lambda room: room.variables.allowed())})
