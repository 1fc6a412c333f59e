"""``postroom variable``: the room's variables, and what macros may read of the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from postroom.cli import show
from postroom.cli.moved import show_moved
from postroom.cli.run import agreed, in_room, rebinding
from postroom.cli.usage import show_usage
from postroom.cli.verbs import Verbs

if TYPE_CHECKING:
    from postroom.app import Room

__all__ = ["app"]

app = Verbs("Variables: ${NAME} in hosts, users, ports, folders and paths.")

Name = Annotated[str, typer.Argument(help="Name of the variable.")]
Env = Annotated[str, typer.Argument(help="Name of the environment variable.")]


@app.verb("list")
def list_() -> None:
    """Every variable, and what macros may read of the environment."""

    async def body(room: Room) -> tuple[dict[str, str], list[str]]:
        return await room.variables.list(), await room.variables.allowed()

    found, allowed = in_room(body)
    show.items(
        [{"name": name, "value": value} for name, value in found.items()],
        (("name", "NAME"), ("value", "VALUE")),
        empty="No variables yet. Make one: postroom variable set NAME VALUE",
        give=("value",),
        allowed=allowed,
    )
    if allowed:
        show.note(f"Macros may read of the environment: {', '.join(allowed)}.")


@app.verb("show")
def show_(name: Name) -> None:
    """One variable."""
    show.record({"name": name, "value": in_room(lambda room: room.variables.get(name))})


@app.verb()
def add(
    name: Name,
    value: Annotated[str, typer.Argument(help="Its text; what begins with - goes behind --.")],
) -> None:
    """Make a variable; one that is there already is not changed."""
    in_room(lambda room: room.variables.add(name, value))
    show.say(f"{name} is {value}.", name=name, value=value, changed=True)
    _note_literal(name, value)


@app.verb("set")
def set_(
    name: Name,
    value: Annotated[str, typer.Argument(help="Its text; what begins with - goes behind --.")],
    rebind: Annotated[
        bool, typer.Option("--rebind", help="Present stored secrets at new places without asking.")
    ] = False,
) -> None:
    """Make or change a variable."""
    done = in_room(
        lambda room: rebinding(
            lambda rebind: room.variables.set(name, value, rebind=rebind), rebind=rebind
        )
    )
    show.say(
        f"{name} is {value}." if done.changed else f"{name} was {value} already.",
        name=name,
        value=value,
        changed=done.changed,
        moved=[each._asdict() for each in done.moved],
    )
    show_moved(done.moved)
    _note_literal(name, value)


def _note_literal(name: str, value: str) -> None:
    if "${" in value:
        show.note(
            f"Note: ${{{name}}} stands for this text as it is written: what a macro stands for is not "
            "looked into again."
        )


@app.verb()
def delete(name: Name) -> None:
    """Delete a variable."""

    async def body(room: Room) -> None:
        await room.variables.delete(name, dry_run=True)
        agreed(f"Delete variable {name}?")
        await room.variables.delete(name)

    in_room(body)
    show.say(f"Deleted variable {name}.", deleted=name)


@app.verb()
def usage(name: Name) -> None:
    """Every setting with a macro of that name, and what works over those connections."""
    show_usage("variable", name, in_room(lambda room: room.variables.usage(name)))


@app.verb("allow-env")
def allow_env(name: Env) -> None:
    """Let ${env:NAME} read an environment variable of the process."""
    _allow(name, allow=True)


@app.verb("forbid-env")
def forbid_env(name: Env) -> None:
    """Take that permission back."""
    _allow(name, allow=False)


def _allow(name: str, *, allow: bool) -> None:
    async def body(room: Room) -> list[str]:
        await room.variables.allow_environment(name, allow=allow)
        return await room.variables.allowed()

    allowed = in_room(body)
    show.say(f"Macros may read: {', '.join(allowed) or 'nothing'}.", allowed=allowed)
