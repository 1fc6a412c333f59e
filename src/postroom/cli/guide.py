"""``postroom guide microsoft|google``: how an app is registered there, with the values to copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from postroom.cli import show
from postroom.cli.options import OPTIONS
from postroom.cli.run import in_room
from postroom.cli.verbs import Verbs
from postroom.errors import WrongUse
from postroom.operations import guiding

if TYPE_CHECKING:
    from postroom.app import Room

__all__ = ["app"]

app = Verbs()


@app.verb()
def guide(
    provider: Annotated[str, typer.Argument(help="microsoft or google; of --connection if left out.")] = "",
    flow: Annotated[
        str,
        typer.Option(metavar="FLOW", help="client_credentials (no person), authorization_code (a browser) "
                     "or device_flow (a code). Default: the best one there."),
    ] = "",
    wires: Annotated[
        str, typer.Option(metavar="LIST", help="Of imap, pop3, smtp; or graph. Default: imap,smtp.")
    ] = "",
    mailbox: Annotated[
        list[str] | None,
        typer.Option("--mailbox", metavar="ADDRESS", help="A mailbox the app is for; again for more."),
    ] = None,
    name: Annotated[str, typer.Option(metavar="TEXT", help="What the app is called there.")] = "",
    page: Annotated[
        str, typer.Option(metavar="URL", help="The callback of a page, in the place of the command line.")
    ] = "",
    certificate: Annotated[
        bool, typer.Option("--certificate", help="A certificate in the place of a client secret.")
    ] = False,
    shared: Annotated[
        bool, typer.Option("--shared", help="A person signs in for a mailbox that is not theirs.")
    ] = False,
    connection: Annotated[
        str, typer.Option(metavar="NAME", help="Fill it in from this connection.")
    ] = "",
    script: Annotated[
        Literal["az", "powershell"] | None,
        typer.Option("--script", help="Print one script that does it, for az or powershell."),
    ] = None,
) -> None:  # fmt: skip
    """How an app is registered at Microsoft or Google, step by step, with the values to copy.

    As a script it does the same with exactly these values; no secret is in it.
    """
    facts: dict[str, Any] = {"wires": ("imap", "smtp")}
    if connection:
        found = in_room(lambda room: _facts(room, connection))
        provider = provider or found.pop("provider")
        flow = flow or found.pop("flow", "")
        facts |= {key: value for key, value in found.items() if key not in ("provider", "flow")}
    if not provider:
        raise WrongUse("Whose guide?", hint="postroom guide microsoft, or postroom guide google")
    given = {
        "app_name": name, "wires": _wires(wires), "mailboxes": tuple(mailbox or ()), "page": page,
        "certificate": certificate, "shared": shared,
    }  # fmt: skip
    facts |= {key: value for key, value in given.items() if value}
    if script is not None:
        text = guiding.script(provider, script, flow, **facts)
        if OPTIONS.json:
            show.record({"provider": provider, "shell": script, "script": text})
        else:
            print(text, end="")
        return
    _show(guiding.guide(provider, flow, **facts))


async def _facts(room: Room, name: str) -> dict[str, Any]:
    return await room.guides.facts(name)


def _wires(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    wrong = [word for word in words if word not in ("imap", "pop3", "smtp", "graph")]
    if wrong:
        raise WrongUse(f"--wires has no {wrong[0]}.", hint="Of imap, pop3, smtp; or graph.")
    return words


def _show(found: guiding.Guide) -> None:
    if OPTIONS.json:
        show.record(found.as_json())
        return
    flow = found.flow.removeprefix("oauth_").replace("_", " ")
    print(show.said(f"An app at {found.provider.title()}, for {flow} (seen {found.seen}):"))
    for number, step in enumerate(found.steps, 1):
        print("\n" + show.said(f"{number}. {step.title}", indent=3))
        print(show.said(f"   Where: {step.where}", indent=5))
        print(show.said(f"   Who:   {step.who}", indent=5))
        print(show.said(f"   {step.do}", indent=3))
        width = max((len(value.name) for value in step.values), default=0)
        for value in step.values:
            print(show.plain(f"     {value.name:<{width}}  {value.text}"))
        if step.note:
            print(show.said(f"   Note: {step.note}", indent=5))
    print()
    show.note(f"Sources: {', '.join(found.sources)}")
    more = _MORE.get(found.provider, "")
    if more:
        show.note(more)


_MORE = {
    "microsoft": "Other flows: --flow client_credentials, authorization_code or device_flow. As a "
    "script: --script powershell",
}
