"""``postroom connection``: the saved settings of email endpoints."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from postroom.cli import show
from postroom.cli.flags import ALLOW_ANY, changes_of, read_flags
from postroom.cli.report import on_step, show_report
from postroom.cli.run import in_room, rebinding
from postroom.operations.declared import nouns

__all__ = ["app"]

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Email connections. Fields by flag or --set incoming.host=imap.example.com "
    "(postroom explain connection).",
)

Name = Annotated[str, typer.Argument(help="Name of the connection.")]
Rebind = Annotated[bool, typer.Option(help="Present stored secrets at new places without asking.")]


@app.command("list")
def list_() -> None:
    """Every connection, where it goes, how often it is used."""
    rows = in_room(lambda room: room.connections.list())
    show.items(
        rows,
        (
            ("name", "NAME"),
            ("incoming", "INCOMING"),
            ("outgoing", "OUTGOING"),
            ("used_by", "USED BY"),
            ("error", "PROBLEM"),
            ("description", "DESCRIPTION"),
        ),
        empty="No connections yet. Make one: postroom connection add NAME "
        "--set incoming.protocol=imap --set incoming.host=...",
    )


@app.command("show")
def show_(name: Name) -> None:
    """One connection: as saved, what it comes to, warnings, usage."""
    show.record(in_room(lambda room: room.connections.show(name)))


@app.command(context_settings=ALLOW_ANY)
def add(ctx: typer.Context, name: Name, rebind: Rebind = False) -> None:
    """Make a connection."""
    given = read_flags(ctx.args, nouns()["connection"])
    _saved(
        in_room(
            lambda room: rebinding(
                lambda rebind: room.connections.add({"name": name, **given.values}, rebind=rebind),
                rebind=rebind,
            )
        )
    )


@app.command("set", context_settings=ALLOW_ANY)
def set_(
    ctx: typer.Context,
    name: Name,
    rebind: Rebind = False,
    same_mailbox: Annotated[
        bool, typer.Option(help="Another host or user, but the mailbox that sources know.")
    ] = False,
) -> None:
    """Change a connection; --clear FIELD takes a value away."""
    changes = changes_of(read_flags(ctx.args, nouns()["connection"]))
    _saved(
        in_room(
            lambda room: rebinding(
                lambda rebind: room.connections.set(
                    name, changes, rebind=rebind, same_mailbox=same_mailbox
                ),
                rebind=rebind,
            )
        )
    )


@app.command()
def copy(name: Name, new_name: str, rebind: Rebind = False) -> None:
    """Make another connection with the same settings."""
    _saved(
        in_room(
            lambda room: rebinding(
                lambda rebind: room.connections.copy(name, new_name, rebind=rebind), rebind=rebind
            )
        )
    )


@app.command()
def delete(
    name: Name, force: Annotated[bool, typer.Option(help="Even while it is used.")] = False
) -> None:
    """Delete a connection."""
    in_room(lambda room: room.connections.delete(name, force=force))
    show.note(f"Deleted {name}.")


@app.command()
def usage(name: Name) -> None:
    """Who refers to a connection."""
    uses = in_room(lambda room: room.connections.usage(name))
    show.items(
        [use._asdict() for use in uses],
        (("noun", "NOUN"), ("name", "NAME"), ("place", "WHERE")),
        empty=f"{name} is not used anywhere.",
    )


@app.command()
def trust(
    name: Name,
    side: Annotated[str, typer.Argument(help="incoming or outgoing.")],
    fingerprint: Annotated[str, typer.Argument(help="SHA-256, as connection test shows it.")],
    rebind: Rebind = False,
) -> None:
    """Trust the certificate that the server shows, after you compared its fingerprint."""
    _saved(
        in_room(
            lambda room: rebinding(
                lambda rebind: room.connections.trust(name, side, fingerprint, rebind=rebind),
                rebind=rebind,
            )
        )
    )


@app.command()
def test(name: Name) -> int:
    """Walk both sides step by step: resolve, TCP, TLS, greeting, sign-in, folder; nothing is sent."""
    report = in_room(lambda room: room.connections.test(name, on_step=on_step()))
    return show_report(report)


def _saved(found: dict[str, Any]) -> None:
    show.record(found)
    for warning in found.get("warnings", ()):
        show.note(f"Note: {warning}")
