"""``postroom service``: how messages are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.cli import show
from postroom.cli.flags import changes_of, read_flags
from postroom.cli.run import agreed, in_room
from postroom.cli.usage import show_usage
from postroom.cli.verbs import Verbs
from postroom.operations.declared import nouns

if TYPE_CHECKING:
    from postroom.app import Room

__all__ = ["app"]

app = Verbs("Services to send with (postroom explain service).")

Name = Annotated[str, typer.Argument(help="Name of the service.")]


@app.verb("list")
def list_() -> None:
    """Every service, how many messages wait, and whether anybody sends them."""
    show.items(
        in_room(lambda room: room.services.list()),
        (
            ("name", "NAME"),
            ("connection", "CONNECTION"),
            ("waiting", "WAITING"),
            ("held", "HELD"),
            ("unsettled", "UNSETTLED"),
            ("description", "DESCRIPTION"),
            ("note", "NOTE"),
            ("error", "PROBLEM"),
        ),
        empty="No services yet. Make one: postroom service add NAME --connection NAME",
        give=("description", "note", "error"),
    )


@app.verb("show")
def show_(name: Name) -> None:
    """One service with every setting."""
    show.record(in_room(lambda room: room.services.show(name)))


@app.verb(fields="service")
def add(ctx: typer.Context, name: Name) -> None:
    """Make a service."""
    given = read_flags(ctx.args, nouns()["service"])
    _saved(in_room(lambda room: room.services.add({"name": name, **given.values})))


@app.verb("set", fields="service")
def set_(ctx: typer.Context, name: Name) -> None:
    """Change a service; --clear FIELD takes a value away."""
    changes = changes_of(read_flags(ctx.args, nouns()["service"]))
    _saved(in_room(lambda room: room.services.set(name, changes)))


@app.verb()
def copy(name: Name, new_name: Annotated[str, typer.Argument(help="Name of the new one.")]) -> None:
    """Make another service with the same settings."""
    _saved(in_room(lambda room: room.services.copy(name, new_name)))


@app.verb()
def delete(
    name: Name,
    force: Annotated[bool, typer.Option("--force", help="Even while messages wait.")] = False,
) -> None:
    """Delete a service."""

    async def body(room: Room) -> None:
        await room.services.delete(name, force=force, dry_run=True)
        agreed(f"Delete service {name}?")
        await room.services.delete(name, force=force)

    in_room(body)
    show.say(f"Deleted service {name}.", deleted=name)


@app.verb()
def hold(name: Name) -> None:
    """Send nothing through a service until it is released; messages for it are stored."""
    found = in_room(lambda room: room.services.hold(name))
    show.say(f"{found['name']} is held: it takes messages and sends none.", **found)
    show.note(f"Let them go: postroom service release {found['name']}")


@app.verb()
def release(name: Name) -> None:
    """Send again through a service that was held."""
    found = in_room(lambda room: room.services.release(name))
    show.say(f"{found['name']} sends.", **found)
    if found["waiting"]:
        show.note(found["note"] or "A worker sends what waits, or now: postroom outbox drain")


@app.verb()
def usage(name: Name) -> None:
    """The messages that wait under a service; when one was stored last, and by whom."""
    show_usage("service", name, in_room(lambda room: room.services.usage(name)))


def _saved(found: dict[str, Any]) -> None:
    show.record(found)
    show.note(f"Send with it: postroom send --via {found['name']} --to ADDRESS --text TEXT")
