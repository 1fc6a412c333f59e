"""``postroom credential versions|restore|destroy``: the last five versions are kept sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.cli import show
from postroom.cli.finished import finished
from postroom.cli.run import agreed, in_room, rebinding
from postroom.cli.verbs import Verbs

if TYPE_CHECKING:
    from postroom.app import Room

__all__ = ["app"]

app = Verbs()

Name = Annotated[str, typer.Argument(help="Name of the credential.")]
Number = Annotated[int, typer.Argument(help="As credential versions shows it.", min=1)]


@app.verb()
def versions(name: Name) -> None:
    """Every version of a credential: which is current, which are kept, who typed it and when."""
    rows = in_room(lambda room: room.versions.list(name))
    show.items(
        rows,
        (
            ("version", "VERSION"),
            ("state", "STATE"),
            ("secrets", "SECRETS"),
            ("typed_by", "TYPED BY"),
            ("typed_at", "TYPED AT"),
            ("presented_at", "LAST ACCEPTED"),
            ("same_as", "SAME AS"),
        ),
        empty=f"Credential {name} has no details yet.",
        give=("secrets",),
    )


@app.verb()
def restore(
    name: Name,
    version: Number,
    rebind: Annotated[
        bool, typer.Option("--rebind", help="Present its secrets at new places without asking.")
    ] = False,
) -> int:
    """Make a new version of what a kept one holds: its settings and its secrets."""

    async def body(room: Room) -> tuple[int, dict[str, Any]]:
        made = await rebinding(
            lambda rebind: room.versions.restore(name, version, rebind=rebind), rebind=rebind
        )
        return made, await room.credentials.show(name)

    new, found = in_room(body)
    show.say(f"Version {new} of {name} holds what version {version} does.", name=name, version=new)
    return finished(found)


@app.verb()
def destroy(name: Name, version: Number) -> None:
    """Destroy a kept version: its key is dropped, and nobody can open it again."""
    agreed(
        f"Nobody can bring version {version} of {name} back. Destroy it?",
        otherwise="Nothing was changed.",
    )
    in_room(lambda room: room.versions.destroy(name, version))
    show.say(f"Version {version} of {name} is destroyed.", name=name, destroyed=version)
