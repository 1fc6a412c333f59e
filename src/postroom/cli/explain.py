"""``postroom explain``: what a noun, a credential type, a sink or an error code is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from postroom.cli import show
from postroom.cli.options import OPTIONS
from postroom.errors import CODES, NotThere
from postroom.fields import Described, Fields, describe, nearest
from postroom.operations.declared import about_type, credential_types, nouns, sinks

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def explain(
    what: Annotated[
        str,
        typer.Argument(
            help="connection, source, service, a credential type, a sink, or an error code."
        ),
    ] = "",
) -> None:
    """List the fields of something that can be declared, or say what an error code means."""
    known = _known()
    if not what:
        show.items(
            [{"name": name, "fields": len(describe(model))} for name, model in known.items()],
            (("name", "NAME"), ("fields", "FIELDS")),
            empty="",
        )
    elif what in known:
        _fields(what, describe(known[what]))
    elif what in CODES:
        code = CODES[what]
        show.record({"code": what, "exit_status": code.exit, "http_status": code.http})
    else:
        close = nearest(what, [*known, *CODES])
        raise NotThere(
            f"There is nothing called {what!r} to explain.",
            hint=f"Did you mean {close}?" if close else f"Try: {', '.join(known)}",
        )


def _known() -> Mapping[str, type[Fields]]:
    return {**nouns(), **credential_types(), **sinks()}


def _fields(name: str, fields: list[Described]) -> None:
    if name in credential_types() and not OPTIONS.json:
        label, about = about_type(name)
        print(f"{label}: {about}\n")
    rows = [
        {
            "field": one.name,
            "type": "secret" if one.sealed else one.type,
            "default": one.default_text,
            "options": list(one.options),
            "about": one.help or one.label,
        }
        for one in fields
    ]
    show.items(
        rows,
        (
            ("field", "FIELD"),
            ("type", "TYPE"),
            ("default", "DEFAULT"),
            ("options", "ONE OF"),
            ("about", "ABOUT"),
        ),
        empty="It has no fields.",
    )
