"""``postroom credential``: sealed credentials."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.cli import client_secrets, granting, show, versions
from postroom.cli.asking import (
    ask_description,
    ask_for_lacking,
    ask_for_missing,
    ask_for_secrets,
    ask_type,
)
from postroom.cli.finished import finished, flags_of
from postroom.cli.flags import Given, read_flags, seconds_of
from postroom.cli.newfile import new_file
from postroom.cli.options import OPTIONS
from postroom.cli.report import on_step, show_report
from postroom.cli.run import agreed, confirm, in_room, rebinding
from postroom.cli.usage import last_use, show_usage, uses
from postroom.cli.verbs import Verbs
from postroom.errors import FAILED, OK, InvalidValue, WrongUse
from postroom.fields import describe
from postroom.operations.declared import credential_fields, credential_types
from postroom.operations.presetting import client_details

if TYPE_CHECKING:
    from postroom.app import Room

__all__ = ["app"]

app = Verbs(
    "Sealed credentials. Secrets are asked for, or come by --FIELD-from-env, --FIELD-from-file or "
    "--FIELD-stdin; a saved one is never shown again."
)

Name = Annotated[str, typer.Argument(help="Name of the credential.")]
About = Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for.")]
Expires = Annotated[
    str | None,
    typer.Option(metavar="DATE", help="When it ends: warned of before and after, still used."),
]
Rotate = Annotated[str | None, typer.Option(metavar="DATE", help="When to renew it.")]
Programs = Annotated[
    bool | None,
    typer.Option("--programs/--no-programs", help="Any program may be handed it: postroom exec."),
]
Rebind = Annotated[
    bool, typer.Option("--rebind", help="Present stored secrets at new places without asking.")
]


@app.verb("list")
def list_(
    expiring: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="What ends within that time, such as 30d, and what stops then; status 1 if anything.",
        ),
    ] = "",
    unused: Annotated[
        str, typer.Option(metavar="TIME", help="Only those nobody used for so long, such as 90d.")
    ] = "",
) -> int:
    """Every credential: type, state, what of it ends next, how often it is used."""
    if expiring and unused:
        raise WrongUse("Ask for what ends, or for what nobody used: not for both at once.")
    if expiring:
        return _ends(expiring, seconds_of(expiring, "--expiring"))
    idle = seconds_of(unused, "--unused") if unused else None
    rows = [*in_room(lambda room: room.credentials.list(unused=idle))]
    if not OPTIONS.json:
        rows = [{**row, "ends": _next_end(row["due"])} for row in rows]
    show.items(
        rows,
        (
            ("name", "NAME"),
            ("type", "TYPE"),
            ("state", "STATE"),
            ("used_by", "USED BY"),
            ("used_at", "LAST USED"),
            ("ends", "NEXT END"),
            ("description", "DESCRIPTION"),
        ),
        empty=f"Every credential was used within {unused}."
        if unused
        else "No credentials yet. Make one: postroom credential add NAME --type password",
        give=("description", "ends"),
    )
    return OK


def _ends(within: str, seconds: float) -> int:
    """What ends, and what stops with it; status 1 when there is anything."""
    rows = in_room(lambda room: room.credentials.list(expiring=seconds))
    from postroom.operations.ends import counted  # loads the rooms: not for --help

    total = counted(rows)
    show.items(
        rows,
        (
            ("name", "NAME"),
            ("days", "DAYS LEFT"),
            ("says", "WHAT"),
            ("stops", "STOPS"),
            ("instead", "GOES ON WITH"),
        ),
        empty=f"Nothing ends within {within}.",
        give=("says", "stops"),
        counts=total,
    )
    if rows:
        show.note(f"Due within {within}: {total}.")
    return FAILED if rows else OK


@app.verb("show")
def show_(name: Name) -> None:
    """One credential: masks, destinations, dates, usage."""
    _show(in_room(lambda room: room.credentials.show(name)))


@app.verb(fields="credential")
def add(
    ctx: typer.Context,
    name: Name,
    type: Annotated[str, typer.Option(help="One of: " + ", ".join(credential_types()) + ".")] = "",
    description: About = None,
    expires_at: Expires = None,
    rotate_after: Rotate = None,
    programs: Programs = None,
    preset: Annotated[
        str,
        typer.Option(
            metavar="PRESET", help="Of an oauth_client: a provider's authority and endpoints."
        ),
    ] = "",
) -> int:
    """Make a credential: name, type and description first, then the fields of its type."""
    kind = type or ("oauth_client" if preset else ask_type())
    given = read_flags(ctx.args, credential_fields(kind), open_names=kind == "generic")
    if preset and kind != "oauth_client":
        raise WrongUse(f"--preset is for credentials of type oauth_client, and this is a {kind}.")
    given.values = (client_details(preset) if preset else {}) | given.values

    async def body(room: Room) -> dict[str, Any]:
        names = {one["name"].casefold() for one in await room.credentials.list()}
        about = description
        if name.casefold() not in names and " " not in name:  # else it is refused in a moment
            about = ask_description(kind) if about is None else about
            ask_for_missing(given, kind)
        saved = await room.credentials.create(
            name,
            kind,
            description=about or "",
            expires_at=expires_at or None,
            rotate_after=rotate_after or None,
            programs=bool(programs),
            details=given.values,
        )
        _tell(saved.notes)
        return await room.credentials.show(name)

    return _saved(in_room(body))


@app.verb("set", fields="credential")
def set_(
    ctx: typer.Context,
    name: Name,
    type: Annotated[str, typer.Option(help="Another type; only while nothing uses it.")] = "",
    description: About = None,
    expires_at: Expires = None,
    rotate_after: Rotate = None,
    programs: Programs = None,
    rebind: Rebind = False,
) -> int:
    """Change a credential. What is not given stays; --clear FIELD takes it away."""
    given_head = {
        "description": description,
        "expires_at": expires_at,
        "rotate_after": rotate_after,
        "programs": programs,
    }
    head: dict[str, Any] = {key: value for key, value in given_head.items() if value is not None}

    async def body(room: Room) -> dict[str, Any]:
        known = await room.credentials.get(name)
        model = credential_fields(type or known.type)
        given = read_flags(ctx.args, model, open_names=(type or known.type) == "generic")
        for field in _clear_head(given, {*known.plain, *known.sealed}):
            head.setdefault(field, "")
        if not (type or head or given.values or given.clear):
            if "description" in known.missing and (about := ask_description(known.type)):
                head["description"] = about
            ask_for_lacking(given, known.type, known.missing)
            ask_for_secrets(given, known.type, "empty: keep")
            if not (head or given.values):
                raise WrongUse(
                    "Nothing to change was given.", hint=_how_to_complete(known.type, known.missing)
                )
        if type and type != known.type:
            await room.credentials.change(name, type=type, dry_run=True)
            if not confirm(f"Every field of {name} is destroyed when its type changes. Go on?"):
                raise InvalidValue("type", "not changed: confirm it with --yes")
        if type:
            head["type"] = type
        if given.values or given.clear:
            saved = await rebinding(
                lambda rebind: room.credentials.set(
                    name, given.values, clear=given.clear, rebind=rebind, **head
                ),
                rebind=rebind,
            )
            _tell(saved.notes)
        elif head:
            await rebinding(
                lambda rebind: room.credentials.change(name, rebind=rebind, **head), rebind=rebind
            )
        return await room.credentials.show(name)

    return _saved(in_room(body))


@app.verb()
def copy(name: Name, new_name: Annotated[str, typer.Argument(help="Name of the new one.")]) -> int:
    """Make another of the same type and settings; its secrets are not copied but asked for."""

    async def body(room: Room) -> dict[str, Any]:
        await room.credentials.copy(name, new_name)
        given, made = Given(), await room.credentials.get(new_name)
        ask_for_lacking(given, made.type, made.missing)
        ask_for_secrets(given, made.type, "empty: none")
        if given.values:
            _tell((await room.credentials.set(new_name, given.values)).notes)
        return await room.credentials.show(new_name)

    return _saved(in_room(body))


@app.verb()
def delete(
    name: Name,
    force: Annotated[bool, typer.Option("--force", help="Even while it is used.")] = False,
) -> None:
    """Delete a credential and destroy its secrets."""

    async def body(room: Room) -> None:
        await room.credentials.delete(name, force=force, dry_run=True)
        agreed(f"Delete credential {name} and destroy its secrets?")
        await room.credentials.delete(name, force=force)

    in_room(body)
    show.say(f"Deleted credential {name}; its secrets are destroyed.", deleted=name)


@app.verb()
def usage(name: Name) -> None:
    """What refers to a credential; when it was opened last, by whom and for what."""
    show_usage("credential", name, in_room(lambda room: room.credentials.usage(name)))


@app.verb()
def generate(
    name: Name,
    days: Annotated[
        int, typer.Option(metavar="N", help="How long it lasts.", min=1, max=3650)
    ] = 730,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Where to write the certificate.")
    ] = None,
) -> int:
    """Make a key pair: the private key stays sealed here, the certificate is for the other side."""

    async def body(room: Room) -> tuple[dict[str, Any], str]:
        known = await room.credentials.get(name)
        app = known.type in ("msgraph", "oauth_client")  # there it waits beside the old one
        replace = (
            "private_key" in known.sealed
            and not app
            and confirm(
                f"{known.name} has a private key. Replace it? The old certificate will not do any more."
            )
        )
        _, certificate = await room.credentials.generate(name, days=days, replace=replace)
        return await room.credentials.show(name), certificate

    if to is None:
        found, certificate = in_room(body)
    else:
        with new_file(to) as write:  # first: a key whose certificate is lost is worth nothing
            found, certificate = in_room(body)
            write(certificate)
    if OPTIONS.json:
        show.record({**found, "pem": certificate, "to": None if to is None else str(to)})
        return finished(found)
    if to is None:
        print(certificate, end="")
    beside = "next_certificate" in found["fields"]
    made = found["fields"]["next_certificate" if beside else "certificate"]
    show.note(f"Made for {found['name']}: {made}.")
    where = f"in {to}" if to else "above"
    show.note(f"Give the certificate {where} to the other side; the private key stays sealed here.")
    if beside:
        show.note("The key pair before is used until this one has worked. When it is registered:")
        show.note(f"  postroom credential secret prove {found['name']} next-certificate")
    return finished(found)


@app.verb()
def trust(
    name: Name,
    fingerprint: Annotated[str, typer.Argument(help="SHA-256, as credential test shows it.")],
    rebind: Rebind = False,
) -> int:
    """Trust the certificate that an smtp credential's server shows, after you compared it."""

    async def body(room: Room) -> dict[str, Any]:
        await rebinding(
            lambda rebind: room.credentials.trust(name, fingerprint, rebind=rebind), rebind=rebind
        )
        return await room.credentials.show(name)

    return _saved(in_room(body))


@app.verb()
def test(name: Name) -> int:
    """Walk the sign-in of an smtp credential step by step, sending nothing."""
    report = in_room(lambda room: room.credentials.test(name, on_step=on_step()), tells_state=True)
    return show_report(report)


app.registered_commands += versions.app.registered_commands
app.registered_commands += granting.app.registered_commands
app.add_typer(client_secrets.app, name="secret")


def _clear_head(given: Given, own: set[str]) -> list[str]:
    """Take what every credential has out of ``--clear``; a custom field of that name goes first."""
    head: list[str] = [
        field
        for field in ("description", "expires_at", "rotate_after")
        if field in given.clear and field not in own
    ]
    given.clear = [field for field in given.clear if field not in head]
    return head


def _how_to_complete(type: str, missing: list[str]) -> str:
    if not missing:
        secrets = [one.name for one in describe(credential_fields(type)) if one.sealed]
        such = f"Such as {flags_of(type, secrets[:1])}. " if secrets or type == "generic" else ""
        return f"{such}See: postroom credential set --help"
    return f"What is missing comes by {flags_of(type, missing)}"


def _tell(notes: list[str]) -> None:
    for each in notes:
        show.note(f"Note: {each}")


def _next_end(due: list[dict[str, Any]]) -> str:
    """``expires in 12 days``; the date is in ``show``, and whatever else ends."""
    if not due:
        return ""
    more = f" (and {len(due) - 1} more)" if len(due) > 1 else ""
    return str(due[0]["says"]).partition(", on ")[0] + more


def _sentence(says: str) -> str:
    """``It expires in 12 days, on 2027-01-31.``"""
    whole = says.startswith(("expire", "should"))
    return f"{'It' if whole else 'Its'} {says}."


def _saved(found: dict[str, Any]) -> int:
    """Show what is stored now; the status says whether anything can use it."""
    _show(found)
    if found["type"] == "smtp" and found["state"] != "incomplete":
        show.note(f"Try it: postroom credential test {found['name']}")
    return finished(found)


def _show(found: dict[str, Any]) -> None:
    hidden = ("used_at", "used_by", "used_for", "warnings")
    people = {key: value for key, value in found.items() if key not in hidden}
    people["due"] = [_sentence(one["says"]) for one in found["due"]]
    show.record(found, {**people, "usage": uses(found["usage"]), "last_used": last_use(found)})
