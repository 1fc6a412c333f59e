"""``postroom user``: who may come in, with which role, and the sessions they have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.cli import show
from postroom.cli.flags import secret_from
from postroom.cli.run import agreed, in_room
from postroom.cli.verbs import Verbs
from postroom.errors import WrongUse

if TYPE_CHECKING:
    from postroom.app import Room
    from postroom.secret import Secret

__all__ = ["app"]

app = Verbs("Users of the page and the API: roles, invitations, sessions.")

Name = Annotated[str, typer.Argument(help="Name of the user.")]
_ROLES = "admin, editor, operator, viewer or auditor."
Role = Annotated[str, typer.Option(metavar="ROLE", help=_ROLES)]
Address = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Their email address.")]
Issuer = Annotated[
    str | None, typer.Option(metavar="URL", help="The provider of OpenID Connect they sign in at.")
]
Subject = Annotated[
    str | None, typer.Option(metavar="ID", help="What that provider calls them: sub of its tokens.")
]
FromEnv = Annotated[
    str, typer.Option(metavar="VARIABLE", help="The environment variable that has the password.")
]
FromFile = Annotated[str, typer.Option(metavar="PATH", help="The file that has the password.")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]


@app.verb("list")
def list_() -> None:
    """Every user: role, how they sign in, and when they did last."""
    show.items(
        in_room(lambda room: room.users.list()),
        (
            ("name", "NAME"),
            ("role", "ROLE"),
            ("address", "ADDRESS"),
            ("sign_in", "SIGNS IN BY"),
            ("disabled", "DISABLED"),
            ("sessions", "SESSIONS"),
            ("tokens", "TOKENS"),
            ("signed_in_at", "LAST SIGN-IN"),
        ),
        empty="No users yet. Make one: postroom user add NAME --role admin",
        give=("address",),
    )


@app.verb("show")
def show_(name: Name) -> None:
    """One user, and what their role permits."""
    show.record(in_room(lambda room: room.users.show(name)))


@app.verb()
def add(
    name: Name,
    role: Role = "viewer",
    address: Address = None,
    issuer: Issuer = None,
    subject: Subject = None,
    password_from_env: FromEnv = "",
    password_from_file: FromFile = "",
    password_stdin: FromStdin = False,
) -> None:
    """Make a user; without a password they come in by an invitation."""
    password = _password(password_from_env, password_from_file, password_stdin)
    made = in_room(
        lambda room: room.users.add(
            name, role, address=address or "", password=password,
            issuer=issuer or "", subject=subject or "",
        )
    )  # fmt: skip
    show.record(made)
    if not made["sign_in"]:
        show.note(f"They cannot sign in yet. Let them: postroom user invite {made['name']}")


@app.verb("set")
def set_(
    name: Name,
    role: Annotated[str | None, typer.Option(metavar="ROLE", help=_ROLES)] = None,
    address: Address = None,
    issuer: Issuer = None,
    subject: Subject = None,
    disable: Annotated[
        bool, typer.Option("--disable", help="Let them in no more; their tokens do nothing.")
    ] = False,
    enable: Annotated[bool, typer.Option("--enable", help="Let them in again.")] = False,
    password_from_env: FromEnv = "",
    password_from_file: FromFile = "",
    password_stdin: FromStdin = False,
) -> None:
    """Change a user; another password, or --disable, signs them out everywhere."""
    if disable and enable:
        raise WrongUse("--disable and --enable: say one of them.")
    changes: dict[str, Any] = {
        "role": role,
        "address": address,
        "issuer": issuer,
        "subject": subject,
        "disabled": disable if disable or enable else None,
        "password": _password(password_from_env, password_from_file, password_stdin),
    }
    if all(value is None for value in changes.values()):
        raise WrongUse("Nothing to change was given.", hint="See: postroom user set --help")
    show.record(in_room(lambda room: room.users.set(name, **changes)))


@app.verb()
def invite(name: Name) -> None:
    """Print a one-time code with which a user chooses a password, on the page."""
    found = in_room(lambda room: room.users.invite(name))
    show.say(found["code"], **found)
    show.note(
        f"Give it to {found['name']}: it opens once, at /invitation on the page, until "
        f"{found['expires_at']}."
    )


@app.verb()
def sessions(
    name: Name,
    end: Annotated[bool, typer.Option("--end", help="Sign them out everywhere.")] = False,
) -> None:
    """Where a user is signed in on the page, and since when."""
    if end:
        count = in_room(lambda room: room.users.end_sessions(name))
        show.say(f"{count} session{'' if count == 1 else 's'} ended.", name=name, ended=count)
        return
    show.items(
        in_room(lambda room: room.users.sessions(name)),
        (
            ("created_at", "SINCE"),
            ("seen_at", "LAST USED"),
            ("expires_at", "UNTIL"),
            ("agent", "BROWSER"),
        ),
        empty=f"{name} is signed in nowhere.",
        give=("agent",),
    )


@app.verb()
def delete(name: Name) -> None:
    """Delete a user with their sessions, tokens and grants."""

    async def body(room: Room) -> None:
        await room.users.delete(name, dry_run=True)
        agreed(f"Delete user {name}?")
        await room.users.delete(name)

    in_room(body)
    show.say(f"Deleted user {name}.", deleted=name)


def _password(env: str, file: str, stdin: bool) -> Secret | None:
    """What one of the flags gives, or None.  Raises WrongUse for two, InvalidValue."""
    given = [
        (way, source)
        for way, source in (("-from-env", env), ("-from-file", file), ("-stdin", stdin and "-"))
        if source
    ]
    if len(given) > 1:
        raise WrongUse("Say once where the password is.")
    return secret_from(*given[0], flag="--password") if given else None
