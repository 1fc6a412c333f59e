"""``postroom explain``: what a noun, a type, a sink, a preset or any error is."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from postroom.cli import show
from postroom.cli.flags import flag_for
from postroom.cli.options import OPTIONS
from postroom.cli.root import VERBS
from postroom.cli.verbs import Verbs
from postroom.errors import CODES, NotThere, UnknownField
from postroom.fields import Described, Fields, describe
from postroom.operations.commands import command_named, commands
from postroom.operations.declared import (
    about_sink,
    about_type,
    by_word,
    credential_types,
    fields_called,
    nouns,
    parts,
    run_states,
)
from postroom.operations.explaining import LONGEST, known_words
from postroom.operations.explaining import explain as explain_error
from postroom.operations.macromeanings import MACROS, STEP_MACROS
from postroom.operations.meaning import AGAIN
from postroom.operations.meanings import CODE_MEANINGS, EXIT_MEANINGS, exit_statuses
from postroom.operations.presetting import PRESETS, preset_named, presets, shown_preset

__all__ = ["app"]

app = Verbs()


@app.verb(pasted=True)
def explain(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="connection, source, service, job, step, run, a credential type, a sink, any field of "
            "these, commands or one of them, macros, an error code; or any error, of any program, in "
            "quotes. A - reads it from standard input.",
        ),
    ] = "",
) -> None:
    """List the fields of something that can be declared, or say what any error means.

    A pasted error of SMTP, IMAP, POP3, TLS, Entra, Graph or Google gets its meaning, the
    usual cause and what to do. Nothing is sent anywhere.
    """
    if what == "-":
        what = sys.stdin.read(LONGEST).strip()
    known = _known()
    what = _singular(what)
    if not what:
        _all(known)
    elif what in known:
        _fields(what, describe(known[what]))
    elif what in CODES:
        _code(what)
    elif what == "commands":
        _commands()
    elif (command := _command_called(what)) is not None:
        _command(command)
    elif what == "macros":
        _macros()
    elif what == "presets":
        _presets()
    elif what in PRESETS:
        _preset(what)
    elif what == "run":
        _run()
    elif what in VERBS:
        show.say(f"{what}: {VERBS[what][1]}", name=what, about=VERBS[what][1])
        if what == "credential":
            show.note(f"Its types, each explained by its name: {', '.join(credential_types())}")
        show.note(f"Every verb and option: postroom {what} --help")
    elif found := fields_called(what):
        _fields_called(found)
    elif _NAME.fullmatch(what):
        _named_or_error(what, [*known, *CODES, *_WORDS, *PRESETS, *_field_words()])
    else:
        _errors(what)


def _all(known: Mapping[str, type[Fields]]) -> None:
    """What there is to explain."""
    show.items(
        [
            {"name": name, "what": _what(name), "fields": len(describe(model))}
            for name, model in known.items()
        ],
        (("name", "NAME"), ("what", "WHAT"), ("fields", "FIELDS")),
        empty="",
        give=("what",),
    )
    show.note("What a run is, and its states: postroom explain run")
    show.note("Built-in commands such as send-email: postroom explain commands")
    show.note("Macros such as ${NAME}: postroom explain macros")
    show.note("Providers that are known (gmail, microsoft365 ...): postroom explain presets")
    show.note("Error codes are explained as well: postroom explain timed_out")
    show.note('So is any error, pasted: postroom explain "535 5.7.139 Authentication unsuccessful"')
    show.note(f"There are: {', '.join(CODES)}")


_NAME = re.compile(r"[\w.-]{1,40}")
"""What may be a name of ours, mistyped; anything else is an error that somebody pasted."""


_WORDS = ("commands", "macros", "presets", "run", *(one["name"] for one in commands()))


def _named_or_error(what: str, names: list[str]) -> None:
    """A word that is no name: a slip, or an error of another program (AADSTS50076)."""
    numbered = any(char.isdigit() for char in what)
    close = [] if numbered else difflib.get_close_matches(what.casefold(), names, n=3, cutoff=0.5)
    try:
        if close and what not in known_words():
            raise NotThere("")
        _errors(what)
    except NotThere as unknown:
        if numbered:
            raise
        raise NotThere(
            f"There is nothing called {what!r} to explain.",
            hint=f"Did you mean {' or '.join(close)}?" if close else "See: postroom explain",
        ) from unknown


def _errors(text: str) -> None:
    """What a pasted error means, the most telling meaning first."""
    found = explain_error(text)
    if OPTIONS.json:
        show.items([each.as_json() for each in found], (), empty="")
        return
    for at, each in enumerate(found):
        if at:
            print("\nIt also says:" if at == 1 else "")
        print(show.said(f"{each.key}: {_bare(each.sentence)}") + "\n")
        _told("Usual cause", each.cause)
        _told("What to do", each.action)
        _told("Try again?", each.told_again)


def _told(head: str, text: str) -> None:
    if text:
        print(show.said(f"{head:<13}{_bare(text)}", indent=13))


def _code(code: str) -> None:
    """A code as somebody reads it who meets it first: what, why, what to do, and again or not."""
    means, cause, do, again = CODE_MEANINGS[code]
    statuses = exit_statuses(code)
    if OPTIONS.json:
        show.record(
            {
                "code": code,
                "means": _bare(means),
                "cause": _bare(cause),
                "do": _bare(do),
                "temporary": again,
                "exit_status": statuses[0],
                "exit_statuses": list(statuses),
                "http_status": CODES[code].http,
            }
        )
        return
    print(show.said(f"{code}: {_bare(means)}") + "\n")
    for head, text in (("Usual cause", cause), ("What to do", do), ("Try again?", AGAIN[again])):
        _told(head, text)
    for status in statuses:
        _told("Exit status", f"{status} - {EXIT_MEANINGS[status]}")


def _macros() -> None:
    """Every form of macro, and the fields in which one may stand."""
    rows = [
        {"macro": form, "stands_for": _bare(about)}
        for form, about in (*MACROS.values(), *STEP_MACROS.values())
    ]
    places = [
        f"{name} {one.name}"
        for name, model in by_word().items()
        for one in describe(model)
        if one.macro
    ]
    if OPTIONS.json:
        show.items(rows, (), empty="", places=places)
        return
    for row in rows:
        print(show.said(row["macro"], indent=4))
        print(show.said(f"    {row['stands_for']}", indent=4))
    print("\n" + show.said(f"They may stand in: {', '.join(places)}.", indent=4))
    print(show.said("A literal ${ is written $${. What was received is never expanded."))


def _presets() -> None:
    """The providers whose hosts, ports, sign-ins and quirks are known."""
    show.items(
        presets(),
        (
            ("preset", "PRESET"), ("provider", "PROVIDER"), ("imap", "IMAP"), ("smtp", "SMTP"),
            ("sign_in", "SIGN-IN, THE BEST FIRST"),
        ),
        empty="", give=("sign_in",),
    )  # fmt: skip
    show.note("Quirks and sources of one: postroom explain gmail")
    show.note(
        "Use one: postroom connection add NAME --preset gmail --user ADDRESS --credential NAME"
    )


def _preset(key: str) -> None:
    """One provider: what is known of it, since when, and from where."""
    found = shown_preset(preset_named(key))
    show.record(found, {name.replace("_", "-"): value for name, value in found.items()})


def _commands() -> None:
    """The built-in commands, each with a sentence."""
    show.items(
        [{"name": one["name"], "about": one["about"]} for one in commands()],
        (("name", "COMMAND"), ("about", "WHAT IT DOES")),
        empty="",
        give=("about",),
    )
    show.note("The parameters and the result of one: postroom explain send-email")


def _command_called(what: str) -> str | None:
    """The command of that name, in any of its spellings."""
    try:
        return command_named(what).name
    except UnknownField:
        return None


def _command(name: str) -> None:
    """One command: what it takes, and what it gives."""
    [found] = [one for one in commands() if one["name"] == name]
    if OPTIONS.json:
        show.record(found)
        return
    print(show.said(found["about"]) + "\n")
    for one in found["parameters"]:
        told = one["default"] if one["needed"] else one["default"] and f"default {one['default']}"
        print(
            show.said(f"{one['name']}  ({', '.join(filter(None, (one['type'], told)))})", indent=4)
        )
        print(show.said(f"    {one['about']}", indent=4))
    print("\nIt gives:")
    for key, about in found["gives"].items():
        print(show.said(f"{key}: {about}", indent=4))


def _bare(text: str) -> str:
    return text.replace("`", "")


def _known() -> Mapping[str, type[Fields]]:
    return {**by_word(), **parts()}


def _singular(what: str) -> str:
    """``jobs`` for ``job``, as it stands in a room file."""
    one = what.removesuffix("s")
    return one if one in {*nouns(), *parts(), "run"} else what


def _field_words() -> set[str]:
    """The words that fields of nouns and their parts are written with."""
    models = {**nouns(), **parts()}.values()
    return {word for model in models for one in describe(model) for word in one.name.split(".")}


def _run() -> None:
    """What a run is, and what its states mean."""
    if OPTIONS.json:
        rows = [{"state": state, "means": _bare(means)} for state, means in run_states().items()]
        show.items(rows, (), empty="")
        return
    print("run: One execution of a job; it has a state, a log and a result.\n")
    for state, means in run_states().items():
        print(f"{state}\n{show.said(f'    {_bare(means)}', indent=4)}")
    show.note("Those of a job, and their logs: postroom job runs NAME, postroom job log RUN")


def _fields_called(found: list[tuple[str, Described]]) -> None:
    """Fields of several declarations that one word names."""
    rows = [{"of": name, **_row(one)} for name, one in found]
    if OPTIONS.json:
        show.items(rows, (), empty="")
        return
    for row in rows:
        _print_row(row, f"{row['of']}: {row['field']}")
    of = dict.fromkeys(f"postroom explain {row['of']}" for row in rows)
    show.note(f"All fields there: {', '.join(of)}")


def _what(name: str) -> str:
    if name in parts():
        return "part of a job"
    if name in credential_types():
        return f"credential: {about_type(name)[0]}"
    return "noun" if name in nouns() else "sink"


def _fields(name: str, fields: list[Described]) -> None:
    rows = [_row(one) for one in fields]
    if OPTIONS.json:
        show.items(rows, (), empty="")
        return
    if name in credential_types():
        label, about = about_type(name)
        print(show.said(f"{label}: {about}") + "\n")
    elif name in parts():
        print("One command with its parameters, {COMMAND: {...}}; beside it may stand:\n")
    elif name not in nouns():
        about, _, twice = about_sink(name)
        print(show.said(f"{_bare(about)} {twice}") + "\n")
    for row in rows:
        _print_row(row, row["field"])
        if name in credential_types() and name != "generic" and row["type"] == "map":
            flag = flag_for(row["field"], credential_types()[name])
            print(show.said(f"    By label, each by a flag: {flag}", indent=4))


def _row(one: Described) -> dict[str, Any]:
    return {
        "field": one.name,
        "type": "secret" if one.sealed else one.type,
        "default": one.default_text,
        "options": list(one.options),
        "about": one.help or one.label,
    }


def _print_row(row: Mapping[str, Any], name: str) -> None:
    facts = [" | ".join(row["options"]) or row["type"]]
    if row["default"]:
        facts.append(row["default"] if row["default"] == "needed" else f"default {row['default']}")
    print(show.said(f"{name}  ({', '.join(facts)})", indent=4))
    print(show.said(f"    {row['about']}", indent=4))
