"""``postroom connection``: the saved settings of email endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.cli import converting, show, signin
from postroom.cli.flags import changes_of, read_flags
from postroom.cli.moved import show_moved
from postroom.cli.options import OPTIONS
from postroom.cli.report import on_step, show_report
from postroom.cli.run import agreed, in_room, rebinding
from postroom.cli.usage import last_use, show_usage, uses
from postroom.cli.verbs import Verbs
from postroom.errors import WrongUse
from postroom.operations.declared import nouns
from postroom.operations.moved import Moved
from postroom.operations.presetting import FromPreset, preset_named

if TYPE_CHECKING:
    from postroom.app import Room

__all__ = ["app"]

app = Verbs(
    "Email connections. Fields by flag or --set incoming.host=imap.example.com "
    "(postroom explain connection)."
)

Name = Annotated[str, typer.Argument(help="Name of the connection.")]
Rebind = Annotated[
    bool, typer.Option("--rebind", help="Present stored secrets at new places without asking.")
]


@app.verb("list")
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
        give=("incoming", "outgoing", "error", "description"),
    )
    for row in rows:
        for warning in row["warnings"]:
            show.note(f"Note: {row['name']}: {warning}")


@app.verb("show")
def show_(name: Name) -> None:
    """One connection: as saved, what it comes to, warnings, usage."""
    _show(in_room(lambda room: room.connections.show(name)))


@app.verb(fields="connection")
def add(
    ctx: typer.Context,
    name: Name,
    preset: Annotated[
        str, typer.Option(metavar="PRESET", help="Hosts, ports, security, scopes of a provider: "
                          "gmail, outlook, microsoft365, yahoo, icloud, fastmail.")
    ] = "",
    user: Annotated[
        str, typer.Option(metavar="ADDRESS", help="With a preset: whose mailbox it is.")
    ] = "",
    credential: Annotated[
        str, typer.Option(metavar="NAME", help="With a preset: what it signs in with.")
    ] = "",
    auth: Annotated[
        str, typer.Option(metavar="TYPE", help="With a preset: the sign-in, if not the best there.")
    ] = "",
    client_id: Annotated[
        str, typer.Option(metavar="ID", help="With a preset: an app without a credential.")
    ] = "",
    tenant: Annotated[
        str, typer.Option(metavar="ID", help="With a preset of Microsoft 365: Directory (tenant) ID.")
    ] = "",
    rebind: Rebind = False,
) -> None:  # fmt: skip
    """Make a connection; a preset knows what a provider needs."""
    given = read_flags(ctx.args, nouns()["connection"])
    start = FromPreset(preset, user, auth, credential, client_id, tenant)
    if not preset and any(start):
        raise WrongUse(
            "--user, --credential, --auth, --client-id and --tenant go with --preset.",
            hint="Without one, each side says it itself: --set incoming.user=ADDRESS --set "
            "'incoming.auth={type: secret, credential: NAME}'",
        )
    _saved(
        in_room(
            lambda room: rebinding(
                lambda rebind: room.connections.add(
                    {"name": name, **given.values}, preset=start if preset else None, rebind=rebind
                ),
                rebind=rebind,
            )
        )
    )
    for quirk in preset_named(preset).quirks if preset else ():
        show.note(f"Note: {quirk}")


@app.verb("set", fields="connection")
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


@app.verb()
def copy(
    name: Name,
    new_name: Annotated[str, typer.Argument(help="Name of the new one.")],
    rebind: Rebind = False,
) -> None:
    """Make another connection with the same settings."""
    _saved(
        in_room(
            lambda room: rebinding(
                lambda rebind: room.connections.copy(name, new_name, rebind=rebind), rebind=rebind
            )
        )
    )


@app.verb()
def delete(
    name: Name,
    force: Annotated[bool, typer.Option("--force", help="Even while it is used.")] = False,
) -> None:
    """Delete a connection."""

    async def body(room: Room) -> None:
        await room.connections.delete(name, force=force, dry_run=True)
        agreed(f"Delete connection {name}?")
        await room.connections.delete(name, force=force)

    in_room(body)
    show.say(f"Deleted connection {name}.", deleted=name)


@app.verb()
def usage(name: Name) -> None:
    """What refers to a connection, directly or through another; its last use and by whom."""
    show_usage("connection", name, in_room(lambda room: room.connections.usage(name)))


@app.verb()
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


@app.verb("test")
def walk(
    name: Name,
    send_to: Annotated[
        str, typer.Option("--send-to", metavar="ADDRESS", help="Send one real message there.")
    ] = "",
    from_: Annotated[
        str, typer.Option("--from", metavar="ADDRESS", help="With --send-to: as whom (Send As).")
    ] = "",
) -> int:
    """Walk both sides step by step: token, resolve, TCP, TLS, greeting, sign-in, folder, send.

    Nothing is sent without --send-to.
    """
    if from_ and not send_to:
        raise WrongUse("--from goes with --send-to ADDRESS.")
    report = in_room(
        lambda room: room.connections.test(name, on_step=on_step(), send_to=send_to, from_=from_),
        tells_state=True,
    )
    return show_report(report)


app.registered_commands += signin.app.registered_commands
app.registered_commands += converting.app.registered_commands


@app.verb()
def log(
    name: Name,
    limit: Annotated[int, typer.Option(metavar="N", help="The newest of them.", min=1)] = 50,
) -> None:
    """What happened to a connection lately: opened, signed in, failed at which step, by whom."""
    rows = in_room(lambda room: room.connections.log(name, limit=limit))
    if OPTIONS.json or not rows:
        empty = (
            f"Nothing happened to connection {name} yet. Try it: postroom connection test {name}"
        )
        show.items(rows, (), empty=empty)
        return
    who = max(len(row["actor"]) for row in rows)
    for row in rows:
        print(show.plain(f"{row['at']}  {row['actor']:<{who}}  {row['side']:<8}  {_event(row)}"))
        if row["detail"]:
            print(show.said(f"    {row['detail']}", indent=4))


def _event(row: Mapping[str, Any]) -> str:
    """``failed at connect, 3 times since 2026-01-31T09:05:00Z``."""
    step = f" at {row['step']}" if row["step"] else ""
    often = f", {row['times']} times since {row['since']}" if row["times"] > 1 else ""
    return f"{row['event']}{step}{often}"


@app.verb()
def restart(name: Name) -> None:
    """Drop what is open of a connection and begin anew; also what waits after a failure."""
    begun = in_room(lambda room: room.connections.restart(name))
    owned = [source for source, worked in begun.items() if worked]
    idle = [source for source in begun if source not in owned]
    told = [f"{', '.join(owned)} begin{'s' if len(owned) == 1 else ''} anew"] if owned else []
    told += [f"no worker collects for {', '.join(idle)}"] if idle else []
    show.say(
        f"{name}: {'; '.join(told) or 'no source uses it'}.",
        connection=name,
        sources=[{"name": source, "watched": worked} for source, worked in begun.items()],
    )


def _saved(found: dict[str, Any]) -> None:
    _show(found)
    show_moved(Moved(**each) for each in found.get("moved", ()))
    if any((side.get("auth") or {}).get("type") in _PERSONAL for side in _sides(found)):
        show.note(f"Sign in, once: postroom connection signin {found['name']}")
    show.note(f"Test it: postroom connection test {found['name']}")


_PERSONAL = ("oauth_device_flow", "oauth_authorization_code")


def _sides(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    effective = found.get("effective") or {}
    return [effective[place] for place in ("incoming", "outgoing") if effective.get(place)]


def _show(found: dict[str, Any]) -> None:
    """The record: people see what holds, and whose value it is where nobody wrote it here."""
    hidden = ("effective", "warnings", "tried", "moved", "used_at", "used_by", "used_for")
    people = {key: value for key, value in found.items() if key not in hidden}
    effective = found.get("effective") or {}
    for place in ("incoming", "outgoing"):
        if effective.get(place):
            people[place] = _side(place, found.get(place) or {}, effective)
    people |= {"usage": uses(found["usage"]), "last_used": last_use(found)}
    show.record(found, people)
    for warning in found.get("warnings", ()):
        show.note(f"Note: {warning}")


def _side(place: str, saved: Mapping[str, Any], effective: Mapping[str, Any]) -> dict[str, str]:
    shown: dict[str, str] = {}
    for key, value in effective[place].items():
        if key == "destination" or (key == "read_only" and not value):
            continue
        parent = effective["inherited"].get(f"{place}.{key}")
        text = show.plain(value)
        if parent:
            text += f"  (from {parent})"
        elif key not in saved:
            text += "  (default)" if text else ""
        elif "${" in str(saved[key]):
            text += f"  ({saved[key]})"
        shown[key] = text
    return shown
