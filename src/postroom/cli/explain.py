"""``postroom explain``: what a noun, a credential type, a sink or an error code is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from postroom.cli import show
from postroom.cli.flags import flag_for
from postroom.cli.meanings import CODE_MEANINGS
from postroom.cli.options import OPTIONS
from postroom.cli.verbs import Verbs
from postroom.errors import CODES, FAILED, TRY_AGAIN, NotThere
from postroom.fields import Described, Fields, describe, nearest
from postroom.operations.declared import about_type, credential_types, nouns, sinks

__all__ = ["app"]

app = Verbs()


@app.verb()
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
            [
                {"name": name, "what": _what(name), "fields": len(describe(model))}
                for name, model in known.items()
            ],
            (("name", "NAME"), ("what", "WHAT"), ("fields", "FIELDS")),
            empty="",
            give=("what",),
        )
        show.note("Error codes are explained as well: postroom explain timed_out")
    elif what in known:
        _fields(what, describe(known[what]))
    elif what in CODES:
        code = CODES[what]
        found = {
            "code": what,
            "means": CODE_MEANINGS[what].replace("`", ""),
            "exit_status": code.exit,
            "http_status": code.http,
        }
        later = f", or {TRY_AGAIN} when trying again later may help" if code.exit == FAILED else ""
        show.record(found, found | {"exit_status": f"{code.exit}{later}"})
    else:
        close = nearest(what, [*known, *CODES])
        raise NotThere(
            f"There is nothing called {what!r} to explain.",
            hint=f"Did you mean {close}?" if close else f"Try: {', '.join(known)}",
        )


def _known() -> Mapping[str, type[Fields]]:
    return {**nouns(), **credential_types(), **sinks()}


def _what(name: str) -> str:
    if name in credential_types():
        return f"credential: {about_type(name)[0]}"
    return "sink" if name in sinks() else "noun"


def _fields(name: str, fields: list[Described]) -> None:
    rows: list[dict[str, Any]] = [
        {
            "field": one.name,
            "type": "secret" if one.sealed else one.type,
            "default": one.default_text,
            "options": list(one.options),
            "about": one.help or one.label,
        }
        for one in fields
    ]
    if OPTIONS.json:
        show.items(rows, (), empty="")
        return
    if name in credential_types():
        label, about = about_type(name)
        print(show.said(f"{label}: {about}") + "\n")
    for row in rows:
        facts = [" | ".join(row["options"]) or row["type"]]
        if row["default"]:
            facts.append(
                row["default"] if row["default"] == "needed" else f"default {row['default']}"
            )
        print(f"{row['field']}  ({', '.join(facts)})")
        print(show.said(f"    {row['about']}", indent=4))
        if name in credential_types() and name != "generic" and row["type"] == "map":
            flag = flag_for(row["field"], credential_types()[name])
            print(show.said(f"    By label, each by a flag: {flag}", indent=4))
