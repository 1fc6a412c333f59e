"""Write docs/reference from what the code declares: ``python -m docs.reference`` (``make docs``).

The pages are never edited.  tests/unit/test_docs.py writes them again in memory and compares.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs import meanings
from docs.markup import page, table
from docs.providers import presets_page, refusals_page, registering_page
from docs.verbs import cli_page, exits
from postroom.errors import CODES
from postroom.fields import Described, Fields, describe, model_of
from postroom.operations.commands import commands
from postroom.operations.declared import (
    about_sink,
    about_type,
    by_word,
    credential_types,
    nouns,
    sinks,
)

__all__ = ["HERE", "main", "pages"]

HERE = Path(__file__).parent / "reference"
_ABOUT = {
    "account": "An account is what a person says of their email account when it is connected: credential, "
    "connection, source and service are made of it at once (`postroom account connect`).",
    "connection": "A connection is the saved settings of a mailbox: where mail is read (`incoming`) "
    "and where it is sent (`outgoing`). Fields that are left out are inherited from `extends`, or "
    "have the default that the table says.",
    "source": "A source says which messages are collected from a connection, when, where they go, "
    "and what becomes of them on the server.",
    "service": "A service says how messages are sent over a connection: queue, rate, retries, and "
    "who may be the sender.",
    "job": "A job says what is done with stored credentials and mail - built-in commands, a Python "
    "function or a program -, when, and with which limits.",
    "notify": "A notification says who is told what a person has to know, and how: by email, by a "
    "webhook, by a program; or it is a regular ping.  [Being told](../notify.md) says more.",
}
_CALLED = {"account": "an account", "notify": "a notification"}


_KINDS = {
    "name": "1 to 64 letters, digits, dots, underscores and hyphens, beginning with a letter or "
    "digit. Upper and lower case are the same. A name never changes; `copy` makes another record.",
    "duration": "A number with a unit: `90s`, `15m`, `1h`, `5d`.",
    "size": "`500KiB`, `2MiB`, `1GiB`, or a number of bytes.",
    "rate": "`{max: 30, per: minute}`; `per` is `second`, `minute` or `hour`.",
    "date": "`2027-01-31`.",
    "list": "`[a, b]`; as a flag also `a,b`.",
    "yes or no": "`true` or `false`; as a flag `--name` or `--no-name`.",
    "secret, sealed": "Never in a file or on a command line as plain text: see "
    "[credentials](cli.md#credential) and [the room file](../room-file.md).",
}


def pages() -> dict[str, str]:
    """Every page by its file name."""
    found = {"index.md": ""}
    for name, model in nouns().items():
        found[f"{name}.md"] = page(
            f"The fields of {_CALLED.get(name, f'a {name}')}", _ABOUT[name], _fields(model)
        )
    for name, model in credential_types().items():
        found[f"credential-{name}.md"] = _credential(name, model)
    found["commands.md"] = _commands()
    found["sinks.md"] = _sinks()
    found["cli.md"] = cli_page()
    found["errors.md"] = _errors()
    found["refusals.md"] = refusals_page()
    found["presets.md"] = presets_page()
    found["registering.md"] = registering_page()
    found["macros.md"] = _macros()
    found["environment.md"] = _environment()
    found["index.md"] = _index(found)
    return found


def _index(found: dict[str, str]) -> str:
    lines = []
    for name, text in found.items():
        if name != "index.md":
            title = next(line[2:] for line in text.splitlines() if line.startswith("# "))
            lines.append(f"- [{title}]({name})")
    about = (
        "These pages are written from the code by `make docs`. The same facts are one command "
        "away: `postroom explain NAME`."
    )
    return page(
        "Reference",
        about,
        "\n".join(lines),
        "## Kinds of values",
        table(("Type", "Written as"), _KINDS.items()),
    )


def _commands() -> str:
    parts = [
        "A step of a job says a command by its name with its parameters; a program says "
        '`room.commands.run("move-email", {...})` or `room.do(MoveEmail(...))`; on the command line it is '
        "`postroom send` or a verb of `postroom mail`. What they have in common: "
        "[Commands](../commands.md)."
    ]
    for one in commands():
        parts += [
            f"## {one['name']}",
            one["about"],
            table(
                ("Parameter", "Type", "Default", "What it is"),
                (
                    (f"`{each['name']}`", each["type"], _default_of(each), each["about"])
                    for each in one["parameters"]
                ),
            ),
            table(("It gives", "Which is"), ((f"`{k}`", v) for k, v in one["gives"].items())),
        ]
    return page("Commands", *parts)


def _default_of(one: dict[str, Any]) -> str:
    return one["default"] if one["needed"] or not one["default"] else f"`{one['default']}`"


# ------------------------------------------------------------------ fields


def _fields(model: type[Fields]) -> str:
    return table(
        ("Field", "Type", "Default", "What it is"),
        ((f"`{one.name}`", _type(one), _default(one), _about(one)) for one in _described(model)),
    )


def _described(model: type[Fields]) -> Iterator[Described]:
    """The declared fields, with what is declared inside lists and maps."""
    for one in describe(model):
        yield one
        yield from _inside(model, one.name)


def _info(model: type[Fields], dotted: str) -> Any:
    """The declaration of a dotted field, or None."""
    owner: type[Fields] | None = model
    found: Any = None
    for part in dotted.split("."):
        named = {
            (info.alias or name): info for name, info in (owner or Fields).model_fields.items()
        }
        found = named.get(part)
        if found is None:
            return None
        owner = model_of(found.annotation)
    return found


def _inside(model: type[Fields], dotted: str) -> Iterator[Described]:
    """The fields of a list's or a map's entries."""
    info = _info(model, dotted)
    origin = typing.get_origin(info.annotation) if info is not None else None
    if origin not in (list, dict):
        return
    inner = typing.get_args(info.annotation)[-1]
    if isinstance(inner, type) and issubclass(inner, Fields):
        yield from describe(inner, f"{dotted}[]." if origin is list else f"{dotted}.LABEL.")


def _type(one: Described) -> str:
    return "secret, sealed" if one.sealed else one.type


def _default(one: Described) -> str:
    return one.default_text if one.needed or not one.default_text else f"`{one.default_text}`"


def _about(one: Described) -> str:
    parts = [one.help]
    if one.options:
        parts.append("One of: " + ", ".join(f"`{each}`" for each in one.options))
    if one.name == "sink.type":
        parts.append("See [sinks](sinks.md)")
    if one.refers_to:
        parts.append(f"Names a {one.refers_to}")
    if one.macro:
        parts.append("[Macros](macros.md) may stand here")
    said = one.label.lower() == one.name.rpartition(".")[2].replace("_", " ")
    if not (said and any(parts)):
        parts.insert(0, one.label)
    return " ".join(f"{part.rstrip('.')}." for part in parts if part)


_HEAD = """Every credential has `name`, `type`, `description`, and the optional dates `expires_at`
(a warning from then on) and `rotate_after` (a reminder). Type `{name}` adds:
"""


def _credential(name: str, model: type[Fields]) -> str:
    label, about = about_type(name)
    how = f"Make one: `postroom credential add NAME --type {name}`"
    flags = [
        f"`--{one.name.replace('_', '-')}" + ("-from-env VARIABLE`" if one.sealed else " ...`")
        for one in describe(model)
        if one.needed
    ]
    if name == "generic":
        flags = ["`--ANY-NAME-from-env VARIABLE`"]
    return page(
        f"Credential type {name}: {label}",
        about,
        _HEAD.format(name=name),
        "" if name == "generic" else _fields(model),
        "Any names: each value is sealed unless it is given as `{value: TEXT, plain: true}`."
        if name == "generic"
        else "",
        how + (" with " + ", ".join(flags) if flags else "") + ".",
    )


def _sinks() -> str:
    parts = []
    for name, model in sinks().items():
        about, twice, told = about_sink(name)
        parts += [f"## {name}", about, f"Twice: `{twice}`. {told}", _fields(model)]
    return page("Sinks: where collected messages go", *parts)


# ------------------------------------------------------------------ errors, macros, environment


def _errors() -> str:
    rows = (
        (f"`{name}`", meaning.means, _statuses(name), meaning.again, str(CODES[name].http))
        for name, meaning in meanings.CODES.items()
    )
    each = [
        f"### {name}\n\n{meaning.means}\n\n- Usual cause: {meaning.cause}\n"
        f"- What to do: {meaning.do}\n- {meanings.AGAIN[meaning.again]}"
        for name, meaning in meanings.CODES.items()
    ]
    return page(
        "Error codes and exit statuses",
        "A code never changes its meaning. It is the same in `--json` output, in the log and in "
        "`PostroomError.code`. With `--json` an error is an object with `code`, `error` (a "
        "sentence), `hint` and `temporary`; errors of the wire also have `step` and `said` (what "
        "the other side answered).",
        "## Exit statuses",
        exits(),
        "## Codes",
        "*Again*: whether trying the same again may help. The same is told by `postroom explain CODE`.",
        table(("Code", "Means", "Exit", "Again", "HTTP"), rows),
        "## What to do",
        *each,
    )


def _statuses(code: str) -> str:
    return " or ".join(map(str, meanings.exit_statuses(code)))


def _macros() -> str:
    places = [
        (f"`{one.name}`", name)
        for name, model in by_word().items()
        for one in describe(model)
        if one.macro
    ]
    return page(
        "Macros",
        "A macro stands for a value that is looked up late. It is expanded once; values are never "
        "looked into again, and received content is never expanded. `$${` is a literal `${`.",
        table(
            ("Macro", "Stands for"),
            ((f"`{form}`", about) for form, about in meanings.MACROS.values()),
        ),
        "The [steps](../steps.md) of a job have these as well. There a text that is one macro has the "
        "value itself, a list or a record too:",
        table(
            ("Macro", "Stands for"),
            ((f"`{form}`", about) for form, about in meanings.STEP_MACROS.values()),
        ),
        "A name that nobody knows is an error when the setting is saved. A variable whose change "
        "moves a host counts as a change of host: see "
        "[destinations](../concepts.md#destinations).",
        "## Where macros may stand",
        table(("Field", "Of"), places),
    )


def _environment() -> str:
    return page(
        "Environment and key sources",
        table(
            ("Variable", "What it is"),
            ((f"`{name}`", about) for name, about in meanings.VARIABLES.items()),
        ),
        "What is said on the command line wins over the environment.",
        "## Key sources",
        "The room's key opens every secret in the room. Without it nobody can. Keep a copy, and "
        "never beside the room.",
        table(
            ("Source", "What it is"),
            ((f"`{form}`", about) for form, about in meanings.KEK_SOURCES.items()),
        ),
    )


def main() -> int:
    """Write every page that changed and remove those nobody writes any more."""
    wanted = pages()
    HERE.mkdir(exist_ok=True)
    for path in HERE.glob("*.md"):
        if path.name not in wanted:
            path.unlink()
            print(f"removed {path.name}")
    for name, text in wanted.items():
        path = HERE / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
