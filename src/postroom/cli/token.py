"""``postroom token``: API tokens of users, for programs; each is shown once."""

from __future__ import annotations

from typing import Annotated

import typer

from postroom.cli import show
from postroom.cli.run import in_room
from postroom.cli.verbs import Verbs

__all__ = ["app"]

app = Verbs("API tokens of users: scoped, expiring, shown once.")

Id = Annotated[str, typer.Argument(help="As token list shows it.")]


@app.verb("list")
def list_(
    user: Annotated[
        str | None, typer.Option("--of", metavar="USER", help="Only those of a user.")
    ] = None,
) -> None:
    """Tokens: whose, which rights, until when, when one was last used."""
    show.items(
        in_room(lambda room: room.tokens.list(user)),
        (
            ("id", "ID"),
            ("name", "NAME"),
            ("user", "USER"),
            ("state", "STATE"),
            ("verbs", "MAY"),
            ("expires_at", "EXPIRES"),
            ("used_at", "LAST USED"),
        ),
        empty="No tokens yet. Make one: postroom token add NAME --for USER",
        give=("verbs",),
    )


@app.verb()
def add(
    name: Annotated[str, typer.Argument(help="What it is for, such as deploy.")],
    user: Annotated[str | None, typer.Option("--for", metavar="USER", help="Whose it is.")] = None,
    may: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RIGHT", help="A right it has, of its user's. Several times. Default: all."
        ),
    ] = None,
    expires: Annotated[
        str, typer.Option(metavar="TIME", help="How long it is good for, up to 366d.")
    ] = "90d",
) -> None:
    """Make a token and print it, this once."""
    made = in_room(lambda room: room.tokens.add(name, verbs=may, expires_in=expires, user=user))
    show.say(made["token"], **made)
    show.note(
        f"It is shown this once: put it where the program reads it (POSTROOM_TOKEN). It is "
        f"{made['user']}'s, may {', '.join(made['verbs'])}, and expires on {made['expires_at'][:10]}."
    )


@app.verb()
def revoke(id: Id) -> None:
    """Revoke a token; from now on it does nothing."""
    done = in_room(lambda room: room.tokens.revoke(id))
    show.say(f"Token {done['name']} of {done['user']} is revoked.", **done)
