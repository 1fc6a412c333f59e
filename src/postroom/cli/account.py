"""``postroom account``: whose mail an address is, trying an account, and connecting it at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.cli import show
from postroom.cli.flags import read_flags
from postroom.cli.options import OPTIONS
from postroom.cli.report import on_step, show_report
from postroom.cli.run import ask, in_room, may_ask, rebinding
from postroom.cli.verbs import Verbs
from postroom.operations.declared import nouns

if TYPE_CHECKING:
    from postroom.app import Room

__all__ = ["app"]

app = Verbs("Email accounts, connected at once: recognise, test, connect.")

Name = Annotated[
    str, typer.Argument(help="Of all that is made: NAME, NAME-login, NAME-in, NAME-out.")
]
Address = Annotated[str, typer.Argument(help="Whose mail it is.")]
Rebind = Annotated[
    bool, typer.Option("--rebind", help="Send the secret of --credential there too; do not ask.")
]
_PERSONAL = ("oauth_authorization_code", "oauth_device_flow")


@app.verb()
def recognise(
    address: Address,
    provider: Annotated[
        str, typer.Option(metavar="PRESET", help="The provider, where you know it better.")
    ] = "",
) -> None:
    """Whose mail an address is, by its domain or MX, and how one signs in there, the best first."""
    found = in_room(lambda room: room.accounts.recognise(address, provider=provider))
    if OPTIONS.json:
        show.record(found)
        return
    ways = found.pop("ways")
    show.record(found)
    print()
    show.items(ways, tuple((key, key.upper()) for key in ways[0]), empty="")


@app.verb(fields="account")
def test(ctx: typer.Context, name: Name, address: Address) -> int:
    """Walk both sides of an account step by step; nothing of it is stored or sent."""

    async def body(room: Room) -> Any:
        return await room.accounts.test(
            await _account(room, ctx.args, name, address), on_step=on_step()
        )

    return show_report(in_room(body, tells_state=True))


@app.verb(fields="account")
def connect(ctx: typer.Context, name: Name, address: Address, rebind: Rebind = False) -> None:
    """Make credential, connection, source and service of an account: all of it, or nothing.

    The provider, its servers and the sign-in that works there come from the address; what is not
    known is said by --set incoming.host=HOST and its like. A password is asked for.
    """

    async def body(room: Room) -> tuple[dict[str, Any], dict[str, Any]]:
        data = await _account(room, ctx.args, name, address)
        made = await rebinding(lambda may: room.accounts.connect(data, rebind=may), rebind=rebind)
        return made, data

    made, data = in_room(body)
    if OPTIONS.json:
        show.record(made)
        return
    nouns_made = ["credential", "certificate", "connection", "source", "service"]
    if data.get("credential"):
        nouns_made.remove("credential")  # it was there
    parts = [f"{noun} {made[noun]}" for noun in nouns_made if made[noun]]
    show.say(f"Made {', '.join(parts)}.")
    print(f"\n{made['text']}", end="")
    if data["sign_in"] in _PERSONAL:
        show.note(f"Somebody signs in next: postroom connection signin {made['connection']}")


async def _account(room: Room, words: Sequence[str], name: str, address: str) -> dict[str, Any]:
    """What was said, what is known of the provider, and the password where somebody can be asked."""
    said = read_flags(words, nouns()["account"]).values
    found = await room.accounts.recognise(address, provider=said.get("provider", ""))
    data = {"provider": found["preset"], "sign_in": found["ways"][0]["type"], **said}
    data |= {"name": name, "address": address}
    lacks = data["sign_in"] == "secret" and not data.get("credential") and "password" not in data
    if lacks and may_ask() and (answer := ask("Password")):
        data["password"] = answer
    return data
