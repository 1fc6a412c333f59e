"""``postroom credential restrict|open|grant|ungrant|grants``: who may use which credential."""

from __future__ import annotations

from typing import Annotated

import typer

from postroom.cli import show
from postroom.cli.run import in_room
from postroom.cli.verbs import Verbs

__all__ = ["app"]

app = Verbs()

Name = Annotated[str, typer.Argument(help="Name of the credential.")]
Whom = Annotated[str, typer.Argument(metavar="WHOM", help="user:NAME, service:NAME or job:NAME.")]


@app.verb()
def restrict(name: Name) -> None:
    """Let only those see and use a credential who have a grant."""
    changed = in_room(lambda room: room.grants.restrict(name))
    show.say(
        f"{name} is there for whoever has a grant, and for nobody else."
        if changed
        else f"{name} was restricted already.",
        name=name,
        restricted=True,
        changed=changed,
    )


@app.verb("open")
def open_(name: Name) -> None:
    """Let everybody see and use a credential whose role permits it."""
    changed = in_room(lambda room: room.grants.open(name))
    show.say(
        f"{name} is there for everybody whose role permits it."
        if changed
        else f"{name} was not restricted.",
        name=name,
        restricted=False,
        changed=changed,
    )


@app.verb()
def grant(name: Name, whom: Whom) -> None:
    """Let somebody use a restricted credential: a user, a service or a job."""
    changed = in_room(lambda room: room.grants.give(name, whom))
    show.say(
        f"{whom} may use {name}." if changed else f"{whom} might use {name} already.",
        name=name,
        grantee=whom,
        changed=changed,
    )


@app.verb()
def ungrant(name: Name, whom: Whom) -> None:
    """Take that back."""
    changed = in_room(lambda room: room.grants.take(name, whom))
    show.say(
        f"{whom} may not use {name} any more." if changed else f"{whom} had no grant of {name}.",
        name=name,
        grantee=whom,
        changed=changed,
    )


@app.verb()
def grants(
    name: Annotated[
        str | None, typer.Argument(help="Name of the credential. Default: all.")
    ] = None,
) -> None:
    """Who may use restricted credentials, by whom they were let, and when."""
    show.items(
        in_room(lambda room: room.grants.list(name)),
        (
            ("credential", "CREDENTIAL"),
            ("grantee", "WHOM"),
            ("restricted", "RESTRICTED"),
            ("granted_by", "GRANTED BY"),
            ("granted_at", "GRANTED AT"),
        ),
        empty="No grants yet. Give one: postroom credential grant NAME user:NAME",
    )
