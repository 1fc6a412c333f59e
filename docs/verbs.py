"""The page of the command line, from the verbs themselves."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import typer

from docs import meanings
from docs.markup import page, table
from postroom.cli.options import GLOBAL_HELP
from postroom.cli.root import VERBS
from postroom.cli.verbs import default_of

__all__ = ["cli_page", "commands", "exits"]


def commands() -> Iterator[tuple[str, Any]]:
    """Every verb by its full name: ``send``, ``source run``, ``keys kek add``."""
    for verb, (module, _) in VERBS.items():
        command: Any = typer.main.get_command(import_module(f"postroom.cli.{module}").app)
        yield from _within(verb, getattr(command, "commands", {}).get(verb, command))


def _within(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for word, each in inner.items():
        yield from _within(f"{name} {word}", each)


def cli_page() -> str:
    parts = [GLOBAL_HELP, exits()]
    noun = ""
    for name, command in commands():
        first = name.partition(" ")[0]
        if first != noun:
            noun = first
            parts += [f"## {first}"] + ([VERBS[first][1]] if " " in name else [])
        parts += _command(name, command, deep=" " in name)
    return page("The command line", *parts)


def _command(name: str, command: Any, *, deep: bool) -> list[str]:
    params = [one for one in command.params if one.name != "help"]
    words = [_argument(one) for one in params if one.param_type_name == "argument"]
    parts = [f"### {name}"] if deep else []
    parts += [f"`{' '.join(['postroom', name, *words])}`", " ".join((command.help or "").split())]
    if command.context_settings.get("allow_extra_args"):
        parts.append(_flags(name))
    rows = [_option(one) for one in params if one.param_type_name != "argument"]
    if rows:
        parts.append(table(("Option", "What it does"), rows))
    return parts


def _argument(one: Any) -> str:
    """NAME, [NAME], NAME..."""
    word = str(one.name).upper() + ("..." if one.nargs == -1 or one.multiple else "")
    return word if one.required else f"[{word}]"


def _option(one: Any) -> tuple[str, str]:
    """Written here and not by the parser's help, whose form changes between its releases."""
    flag = ", ".join([*one.opts, *one.secondary_opts])
    about = [one.help or ""]
    if one.required:
        about.append("Needed.")
    if one.default and not one.is_flag:
        about.append(f"Default: {default_of(one)}.")
    value = "" if one.is_flag else " ..."
    return f"`{flag}{value}`", " ".join(
        part if part.endswith(".") else f"{part}." for part in about if part
    )


def _flags(name: str) -> str:
    noun = name.partition(" ")[0]
    if noun == "credential":
        where = "the fields of its type ([types](index.md))"
        secret = (
            " A sealed field comes by `--FIELD-from-env VARIABLE`, `--FIELD-from-file PATH` or "
            "`--FIELD-stdin`, or is asked for; never as a plain argument."
        )
    else:
        where, secret = f"the [fields of a {noun}]({noun}.md)", ""
    clear = " `--clear FIELD` takes a value away." if name.endswith(" set") else ""
    return (
        f"Takes {where} as flags as well: `--FIELD VALUE` for a top-level one, "
        f"`--set FIELD=VALUE` for any (`--set incoming.host=imap.example.com`).{secret}{clear}"
    )


def exits() -> str:
    rows = ((str(status), about) for status, about in meanings.EXITS.items())
    return table(("Exit status", "Means"), rows)
