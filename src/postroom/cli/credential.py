"""``postroom credential``: sealed credentials."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from postroom.app import Room
from postroom.cli import show
from postroom.cli.flags import ALLOW_ANY, Given, read_flags
from postroom.cli.report import on_step, show_report
from postroom.cli.run import ask, confirm, in_room, may_ask, rebinding
from postroom.errors import InvalidValue
from postroom.fields import describe
from postroom.operations.declared import credential_fields, credential_types

__all__ = ["app"]

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Sealed credentials. Secrets are asked for, or come by --NAME-from-env, "
    "--NAME-from-file or --NAME-stdin; a saved one is never shown again.",
)

Name = Annotated[str, typer.Argument(help="Name of the credential.")]
_HEAD = ("type", "description", "expires_at", "rotate_after")


@app.command("list")
def list_() -> None:
    """Every credential: type, state, dates, how often it is used."""
    rows = in_room(lambda room: room.credentials.list())
    show.items(
        rows,
        (
            ("name", "NAME"),
            ("type", "TYPE"),
            ("state", "STATE"),
            ("used_by", "USED BY"),
            ("expires_at", "EXPIRES"),
            ("description", "DESCRIPTION"),
        ),
        empty="No credentials yet. Make one: postroom credential add NAME --type password",
    )


@app.command("show")
def show_(name: Name) -> None:
    """One credential: masks, destinations, dates, usage."""
    show.record(in_room(lambda room: room.credentials.show(name)))


@app.command(context_settings=ALLOW_ANY)
def add(
    ctx: typer.Context,
    name: Name,
    type: Annotated[str, typer.Option(help="One of: " + ", ".join(credential_types()))],
    description: str = "",
    expires_at: str = "",
    rotate_after: str = "",
) -> None:
    """Make a credential, then give its details: flags of the type's fields (postroom explain TYPE)."""
    model = credential_fields(type)
    given = read_flags(ctx.args, model, open_names=type == "generic")
    _ask_for_missing(given, type)

    async def body(room: Room) -> dict[str, Any]:
        saved = await room.credentials.create(
            name,
            type,
            description=description,
            expires_at=expires_at or None,
            rotate_after=rotate_after or None,
            details=given.values,
        )
        for each in saved.notes:
            show.note(each)
        return await room.credentials.show(name)

    _saved(in_room(body))


@app.command("set", context_settings=ALLOW_ANY)
def set_(
    ctx: typer.Context,
    name: Name,
    type: Annotated[str, typer.Option(help="Another type; only while nothing uses it.")] = "",
    description: Annotated[str | None, typer.Option()] = None,
    expires_at: Annotated[str | None, typer.Option(help="A date; empty takes it away.")] = None,
    rotate_after: Annotated[str | None, typer.Option(help="A date; empty takes it away.")] = None,
    rebind: Annotated[bool, typer.Option(help="Present the stored secret at new places.")] = False,
) -> None:
    """Change a credential. A secret that is not given stays; --clear FIELD takes it away."""
    head = {
        key: value
        for key, value in (
            ("description", description),
            ("expires_at", expires_at),
            ("rotate_after", rotate_after),
        )
        if value is not None
    }

    async def body(room: Room) -> dict[str, Any]:
        known = await room.credentials.get(name)
        if (
            type
            and type != known.type
            and not confirm(f"Every field of {name} is destroyed when its type changes. Go on?")
        ):
            raise InvalidValue("type", "not changed: confirm it with --yes")
        if type or head:
            await room.credentials.change(name, type=type or None, **head)
        model = credential_fields(type or known.type)
        given = read_flags(ctx.args, model, open_names=(type or known.type) == "generic")
        if not (type or head or given.values or given.clear):
            _ask_for_missing(given, known.type)
        if given.values or given.clear:
            saved = await rebinding(
                lambda rebind: room.credentials.set(
                    name, given.values, clear=given.clear, rebind=rebind
                ),
                rebind=rebind,
            )
            for each in saved.notes:
                show.note(each)
        return await room.credentials.show(name)

    _saved(in_room(body))


@app.command()
def delete(
    name: Name, force: Annotated[bool, typer.Option(help="Even while it is used.")] = False
) -> None:
    """Delete a credential and destroy its secrets."""
    in_room(lambda room: room.credentials.delete(name, force=force))
    show.note(f"Deleted {name}.")


@app.command()
def usage(name: Name) -> None:
    """Who refers to a credential."""
    uses = in_room(lambda room: room.credentials.usage(name))
    show.items(
        [use._asdict() for use in uses],
        (("noun", "NOUN"), ("name", "NAME"), ("place", "WHERE")),
        empty=f"{name} is not used anywhere.",
    )


@app.command()
def trust(
    name: Name,
    fingerprint: Annotated[str, typer.Argument(help="SHA-256, as credential test shows it.")],
    rebind: Annotated[bool, typer.Option(help="Present the stored secret at new places.")] = False,
) -> None:
    """Trust the certificate that an smtp credential's server shows, after you compared it."""

    async def body(room: Room) -> dict[str, Any]:
        await rebinding(
            lambda rebind: room.credentials.trust(name, fingerprint, rebind=rebind), rebind=rebind
        )
        return await room.credentials.show(name)

    _saved(in_room(body))


@app.command()
def test(name: Name) -> int:
    """Walk the sign-in of an smtp credential step by step, sending nothing."""
    report = in_room(lambda room: room.credentials.test(name, on_step=on_step()))
    return show_report(report)


def _ask_for_missing(given: Given, type_name: str) -> None:
    """Ask for the sealed fields that were not given, when somebody is there."""
    if not may_ask() or type_name == "generic":
        return
    for field in describe(credential_fields(type_name)):
        if (
            field.sealed
            and "." not in field.name
            and field.name not in given.values
            and (field.needed or type_name in ("password", "smtp", "secret"))
        ):
            answer = ask(f"{field.label} (empty: none)")
            if answer:
                given.values[field.name] = answer


def _saved(found: dict[str, Any]) -> None:
    show.record(found)
    if found["state"] == "incomplete":
        show.note(
            f"Incomplete: {', '.join(found['missing'])} missing. Give it with: "
            f"postroom credential set {found['name']}"
        )
