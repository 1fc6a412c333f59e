"""``postroom credential secret``: the client secrets of an OAuth app, changed without a gap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.cli import show
from postroom.cli.flags import secret_from
from postroom.cli.options import OPTIONS
from postroom.cli.run import agreed, ask, in_room, may_ask
from postroom.cli.verbs import Verbs
from postroom.errors import OK, UNFINISHED, WrongUse
from postroom.secret import Secret

if TYPE_CHECKING:
    from postroom.operations.client_secrets import Proof

__all__ = ["app"]

app = Verbs(
    "The client secrets of an OAuth app: a new one is proven before it is used, the old one stays."
)

Name = Annotated[str, typer.Argument(help="Name of the credential.")]
_ANY = "As credential secret list shows it."


@app.verb()
def add(
    name: Name,
    label: Annotated[
        str, typer.Argument(help="Such as 2027a. Default: the year and a free letter.")
    ] = "",
    valid_until: Annotated[
        str, typer.Option(metavar="DATE", help="Its last day, as the provider says.")
    ] = "",
    description: Annotated[str, typer.Option(metavar="TEXT", help="What it is for.")] = "",
    value_from_env: Annotated[
        str, typer.Option(metavar="VARIABLE", help="The environment variable that has the value.")
    ] = "",
    value_from_file: Annotated[
        str, typer.Option(metavar="PATH", help="The file that has the value.")
    ] = "",
    value_stdin: Annotated[
        bool, typer.Option("--value-stdin", help="Read the value from standard input.")
    ] = False,
) -> int:
    """Seal a new client secret and prove it: it is used once a real token has come by it."""
    value = _value(value_from_env, value_from_file, value_stdin)
    return _told(
        in_room(
            lambda room: room.client_secrets.add(
                name, value, label, valid_until=valid_until or None, description=description
            )
        )
    )


@app.verb()
def prove(
    name: Name,
    label: Annotated[str, typer.Argument(help=f"{_ANY} Default: the one that waits.")] = "",
) -> int:
    """Ask the authorization server for a real token with one secret; by that it becomes current."""
    return _told(in_room(lambda room: room.client_secrets.prove(name, label)))


@app.verb("list")
def list_(name: Name) -> None:
    """Every client secret: until when, how it stands, when it worked last; masked."""
    rows = in_room(lambda room: room.client_secrets.list(name))
    show.items(
        rows,
        (
            ("label", "LABEL"),
            ("state", "STATE"),
            ("valid_until", "VALID UNTIL"),
            ("days", "DAYS LEFT"),
            ("worked_at", "LAST WORKED"),
            ("refused_at", "REFUSED"),
            ("value", "VALUE"),
            ("description", "DESCRIPTION"),
            ("why", "PROBLEM"),
        ),
        empty=f"{name} has no client secret. Add one: postroom credential secret add {name}",
        give=("description", "why"),
    )


@app.verb()
def retire(name: Name, label: Annotated[str, typer.Argument(help=_ANY)]) -> None:
    """Take a client secret out of use; refused for the last one that works."""
    agreed(f"Retire {label} of {name}?", otherwise="Nothing was changed.")
    in_room(lambda room: room.client_secrets.retire(name, label))
    show.say(
        f"{label} of {name} is not used any more. Delete it at the provider too.",
        credential=name,
        retired=label,
    )


def _value(variable: str, path: str, from_stdin: bool) -> Secret:
    ways = [("-from-env", variable), ("-from-file", path), ("-stdin", "-" if from_stdin else "")]
    given = [(way, source) for way, source in ways if source]
    if len(given) > 1:
        raise WrongUse("Give the value in one way.")
    if given:
        return secret_from(*given[0])
    value = ask("Value of the client secret") if may_ask() else None
    if not value:
        raise WrongUse(
            "The value of the client secret is missing.",
            hint="Give it by --value-from-env VARIABLE, --value-from-file PATH or --value-stdin.",
        )
    return value


def _told(done: Proof) -> int:
    """What came of it; status 3 while it is stored and not proven."""
    facts: dict[str, Any] = done.as_json()
    what = f"{done.what} of {done.credential}"
    if done.proven:
        then = "is the current one" if done.state == "current" else f"is {done.state}"
        show.say(f"The server gave a token for the {what}: it {then}.", **facts)
        show.note(
            f"The others stay until they are retired: postroom credential secret list {done.credential}"
        )
        return OK
    stands = {
        "current": "stays the current one, and was not proven now",
        "fallback": "has worked before, and was not proven now",
    }.get(done.state, "is stored and not in use")
    show.say(f"The {what} {stands}: {done.why}", **facts)
    if done.hint and not OPTIONS.json:
        show.note(done.hint)
    return UNFINISHED
