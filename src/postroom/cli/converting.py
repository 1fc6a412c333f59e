"""``postroom connection census|convert``: passwords that end, and the change to OAuth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from postroom.cli import show
from postroom.cli.options import OPTIONS
from postroom.cli.run import in_room, rebinding
from postroom.cli.signin import reaching
from postroom.cli.verbs import Verbs
from postroom.errors import FAILED, OK, WrongUse

if TYPE_CHECKING:
    from postroom.app import Room
    from postroom.operations.converting import Converted

__all__ = ["app"]

app = Verbs()

Auth = Literal["oauth_client_credentials", "oauth_device_flow", "oauth_authorization_code"]
HowToSignIn = Annotated[
    Auth,
    typer.Option(
        "--auth", help="oauth_client_credentials, oauth_device_flow or oauth_authorization_code."
    ),
]


@app.verb()
def census(
    within: Annotated[
        int, typer.Option(metavar="DAYS", help="Due is also what ends within so many days.", min=0)
    ] = 90,
) -> int:
    """Every connection that signs in with a password where the provider is ending them; 1 if any is due."""
    found = in_room(lambda room: room.converting.census(within=within))
    rows = [
        each.as_json()
        | {"state": _state(each.due, each.days), "where": f"{each.protocol}://{each.host}"}
        for each in found.passwords
    ]
    show.items(
        rows,
        (
            ("name", "NAME"), ("side", "SIDE"), ("where", "WHERE"), ("user", "USER"),
            ("provider", "PROVIDER"), ("since", "SINCE"), ("state", "STATE"),
        ),
        empty="Nothing signs in with a password at a provider that is known to end them.",
        give=("where", "user"), due=found.due, unread=list(found.unread),
    )  # fmt: skip
    for sentence in dict.fromkeys(each.sentence for each in found.passwords):
        show.note(f"Note: {sentence}")
    for name in found.unread:
        show.note(f"Note: {name} cannot be resolved, so it was not looked at.")
    due = [each.convert for each in found.passwords if each.due and each.convert]
    if due:
        show.note(f"Change one to OAuth, in place: {due[0]}")
    return FAILED if found.due else OK


def _state(due: bool, days: int) -> str:
    if not due:
        return "app password" if days <= 0 else f"{days} days left"
    return "ended" if days <= 0 else f"due, {days} days left"


@app.verb()
def convert(
    name: Annotated[str, typer.Argument(help="Name of the connection.")],
    auth: HowToSignIn,
    credential: Annotated[
        str, typer.Option(metavar="NAME", help="The oauth_client or msgraph with the app.")
    ] = "",
    authority: Annotated[str, typer.Option(metavar="URL", help="Empty: the credential's.")] = "",
    client_id: Annotated[str, typer.Option(metavar="ID", help="An app without a credential.")] = "",
    tenant: Annotated[
        str, typer.Option(metavar="ID", help="With --client-id: the Directory (tenant) ID.")
    ] = "",
    scopes: Annotated[
        str, typer.Option(metavar="LIST", help="Empty: what the protocol needs there.")
    ] = "",
    account: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Who signs in, where it is not the user.")
    ] = "",
    link: Annotated[
        bool, typer.Option("--link", help="A person signs in by an address for any machine.")
    ] = False,
    answer_from_stdin: Annotated[
        bool, typer.Option("--answer-from-stdin", help="With --link: read where their browser ended.")
    ] = False,
    rebind: Annotated[
        bool, typer.Option("--rebind", help="Present stored secrets at new places without asking.")
    ] = False,
) -> None:  # fmt: skip
    """Change a connection from a password to OAuth, in place, once the new sign-in has worked.

    Name and references stay. The application gets a real token, or a person signs in first; then each
    side is opened with it. Whatever fails before leaves the connection as it is.
    """
    from postroom.operations.converting import Conversion

    if answer_from_stdin and not link:
        raise WrongUse("--answer-from-stdin goes with --link.")
    asked = Conversion(
        auth, credential, authority, client_id, tenant,
        tuple(word for word in scopes.replace(",", " ").split() if word), account,
    )  # fmt: skip

    async def body(room: Room) -> Converted:
        async with reaching("link" if link else None, answer_from_stdin) as way:
            return await rebinding(
                lambda rebind: room.converting.convert(name, asked, way, rebind=rebind),
                rebind=rebind,
            )

    done = in_room(body)
    who = f" Signed in as {done.identity}." if done.identity else ""
    show.say(f"{name} signs in by OAuth now: {', '.join(done.tried)} opened with it.{who}",
             **done.as_json())  # fmt: skip
    for left in done.unused if not OPTIONS.json else ():
        show.note(
            f"Credential {left} is used by nothing any more: postroom credential delete {left}"
        )
