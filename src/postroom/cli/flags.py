"""Flags from declared fields: ``--user-name X``, ``--set incoming.host=X``, secrets never in argv."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from postroom.cli import show
from postroom.cli.wronguse import common_flags, near_flags
from postroom.clock import parse_duration
from postroom.errors import InvalidValue, UnknownField, WrongUse
from postroom.fields import Described, Fields, assign, describe, sealed_in
from postroom.secret import Secret

__all__ = ["Given", "changes_of", "flag_for", "read_flags", "seconds_of", "secret_from"]

_SECRET_WAYS = ("-from-env", "-from-file", "-stdin")


class Given:
    """What flags gave: values by field, and the fields to clear."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.clear: list[str] = []


def read_flags(words: Sequence[str], model: type[Fields], *, open_names: bool = False) -> Given:
    """Read flags made of the top-level fields of a declaration, ``--set`` and ``--clear``.

    With ``open_names`` (custom fields) ``--NAME-from-env`` and its like take any name.  Raises
    WrongUse with the nearest flag; a sealed field as a plain value is refused, since argv is seen
    by every process of the machine.
    """
    fields = {one.name: one for one in describe(model)}
    given, rest = Given(), list(words)
    while rest:
        word, _, inline = rest.pop(0).partition("=")
        value = inline if _ else None
        if word in ("--set", "--clear"):
            text = value if value is not None else _next(word, rest)
            if text.partition("=")[0] == "name" and not open_names:
                raise _named_for_good(model)
            if word == "--clear":
                given.clear.append(text)
            else:
                _set(given, text, fields, model, open_names=open_names)
            continue
        if not word.startswith("--"):
            raise WrongUse(
                f"{word!r} is not expected here.",
                code="unknown_field",
                hint="Values belong to flags: --NAME VALUE.",
            )
        if word == "--name":
            raise _named_for_good(model)
        _flag(given, word, value, rest, fields, model, open_names=open_names)
    return given


def changes_of(given: Given) -> dict[str, Any]:
    """What flags gave as changes to a record: a cleared field is None.  Raises WrongUse for none."""
    for dotted in given.clear:
        assign(given.values, dotted, None)
    if not given.values:
        raise WrongUse(
            "Nothing to change was given.",
            hint="Such as --set FIELD=VALUE, or --clear FIELD to take a value away.",
        )
    return given.values


def _next(word: str, rest: list[str]) -> str:
    if not rest:
        raise WrongUse(f"{word} needs a value.")
    return rest.pop(0)


def _set(
    given: Given,
    text: str,
    fields: dict[str, Described],
    model: type[Fields],
    *,
    open_names: bool,
) -> None:
    dotted, equals, value = text.partition("=")
    if not equals:
        raise WrongUse(
            f"--set {text}: write FIELD=VALUE, such as --set incoming.host=imap.example.com"
        )
    read = _read(fields.get(dotted), value)
    if open_names:
        _refuse_open(dotted, read)
    elif sealed_in(model, assign({}, dotted, read)):
        raise _in_argv(_secret_place(dotted, fields))
    assign(given.values, dotted, read)


def _flag(
    given: Given,
    word: str,
    value: str | None,
    rest: list[str],
    fields: dict[str, Described],
    model: type[Fields],
    *,
    open_names: bool,
) -> None:
    name = word[2:].replace("-", "_")
    for way in _SECRET_WAYS:
        top, dot, below = word[2:].removesuffix(way).partition(".")
        base = top.replace("-", "_") + dot + below
        if word.endswith(way) and (open_names or base in fields or _in_map(base, fields)):
            if not open_names and _secret_place(base, fields) != base:
                raise _whole_map(base, fields)
            source = "" if way == "-stdin" else value if value is not None else _next(word, rest)
            secret = secret_from(way, source, flag=word.removesuffix(way))
            if not secret:
                where = {
                    "-from-env": f"the environment variable {source}",
                    "-stdin": "standard input",
                }
                show.note(
                    f"Note: {where.get(way, source)} is empty: nothing was given for {base}, and what is "
                    "stored stays."
                )
            _put(given, base, fields, secret)
            return
    negated = name.removeprefix("no_")
    if name not in fields and negated in fields and fields[negated].type == "yes or no":
        assign(given.values, negated, False)
        return
    field = fields.get(name)
    if field is None:
        raise _unknown(word, fields)
    if field.sealed:
        raise _in_argv(name)
    if field.type == "yes or no" and value is None:
        assign(given.values, name, True)
        return
    read = _read(field, value if value is not None else _next(word, rest))
    if sealed_in(model, assign({}, name, read)):
        raise _in_argv(_secret_place(name, fields))
    assign(given.values, name, read)


def _named_for_good(model: type[Fields]) -> WrongUse:
    noun = model.__name__.lower() if "name" in model.model_fields else "credential"
    return WrongUse(
        "A name is the word behind the verb, and it never changes.",
        hint=f"To have it under another name as well: postroom {noun} copy NAME NEW_NAME",
    )


def _unknown(word: str, fields: dict[str, Described]) -> UnknownField:
    group = word[2:].replace("-", "_") + "."
    inside = [one for one in fields if one.startswith(group)]
    flags = _flags_there(fields)
    close = _near(word, flags)
    if inside:
        hint = f"It is a group of fields: {' '.join(f'--set {one}=...' for one in inside[:3])}"
    elif close:
        hint = f"Did you mean {close}?"
    else:
        hint = f"Flags here: {', '.join(flags)}, and --set FIELD=VALUE."
    return UnknownField(f"There is no flag {word}.", hint=hint)


def _flags_there(fields: dict[str, Described]) -> list[str]:
    """The flags of the fields; a secret has none without a way by which it comes."""
    return [
        _as_flag(name) + way
        for name, one in fields.items()
        if "." not in name
        for way in (_SECRET_WAYS if one.sealed else ("",))
    ]


def _near(word: str, flags: Sequence[str]) -> str:
    """The flag that was meant; a secret's name alone means the flag that takes it."""
    way = _SECRET_WAYS[0]
    bare = [flag.removesuffix(way) for flag in flags if flag.endswith(way)]
    close = next(iter(near_flags(word, [*flags, *bare, "--set", "--clear", *common_flags()])), "")
    return close + way if close in bare else close


def _in_map(dotted: str, fields: dict[str, Described]) -> bool:
    """Whether this is a place in a map by label, such as ``client_secrets.2026a.value``."""
    top, dot, _ = dotted.partition(".")
    return bool(dot) and top in fields and fields[top].type == "map"


def _secret_place(dotted: str, fields: dict[str, Described]) -> str:
    """Where a secret stands that was given at ``dotted``: a map by label has it one or two below."""
    top, _, below = dotted.partition(".")
    if top not in fields or fields[top].type != "map" or "." in below:
        return dotted
    return f"{top}.{below or 'LABEL'}.value"


def _whole_map(dotted: str, fields: dict[str, Described]) -> WrongUse:
    place = _as_flag(_secret_place(dotted, fields))
    return WrongUse(
        f"{dotted} is a map by label: each of its secrets comes by a flag of its own.",
        hint=f"Use {place}-from-env NAME, {place}-from-file PATH or {place}-stdin"
        + (", with a LABEL of yours such as 2026a." if "LABEL" in place else "."),
    )


def flag_for(dotted: str, model: type[Fields]) -> str:
    """The flag that gives one field, with what belongs behind it: ``--password-from-env NAME``."""
    fields = {one.name: one for one in describe(model)}
    field = fields.get(dotted)
    place = _as_flag(_secret_place(dotted, fields))
    if field is not None and not field.sealed and field.type != "map":
        if dotted == "certificate":
            return f"{place}-from-file PATH"
        return f"{place} {dotted.rpartition('_')[2].upper()}"
    return f"{place}-from-env NAME"


def _refuse_open(name: str, value: Any) -> None:
    """A custom field is sealed unless it says that it is plain."""
    if not (isinstance(value, Mapping) and value.get("plain") is True):
        raise WrongUse(
            f"{name} is a secret unless it says that it is plain: on the command line every "
            "process of this machine could read it.",
            hint=f"Use {_as_flag(name)}-from-env VARIABLE, {_as_flag(name)}-from-file PATH or "
            f"{_as_flag(name)}-stdin; for what is no secret: --set '{name}={{value: TEXT, "
            "plain: true}'.",
        )


def _put(given: Given, name: str, fields: dict[str, Described], secret: Secret) -> None:
    """Sealed fields get the Secret; for plain ones (a certificate) the file's text is the value."""
    field = fields.get(name)
    if field is None:
        assign(given.values, name, secret)
    else:
        given.values[name] = secret if field.sealed else str(secret.reveal())


def secret_from(way: str, source: str, *, flag: str = "--value") -> Secret:
    """A secret as a flag that ends in ``-from-env``, ``-from-file`` or ``-stdin`` says where it is."""
    if way == "-from-env":
        if source not in os.environ:
            raise InvalidValue(
                "",
                f"the environment variable {source} is not set",
                hint=f"Set it for this command, or use {flag}-from-file PATH or {flag}-stdin.",
            )
        return Secret(os.environ[source])
    if way == "-stdin":
        return Secret(sys.stdin.buffer.read().removesuffix(b"\n"))
    try:
        return Secret(Path(source).expanduser().read_bytes().removesuffix(b"\n"))
    except OSError as error:
        raise InvalidValue(
            "",
            f"{source} cannot be read: {error.strerror}",
            hint=f"Check the path and who may read it, or use {flag}-from-env NAME or {flag}-stdin.",
        ) from error


def seconds_of(text: str, flag: str) -> float:
    """The seconds that a flag gives.  Raises InvalidValue."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise InvalidValue(flag, str(error)) from None


def _in_argv(name: str) -> WrongUse:
    flag = _as_flag(name)
    return WrongUse(
        f"{name} is a secret: on the command line every process of this machine could read it.",
        hint=f"Use {flag}-from-env NAME, {flag}-from-file PATH or {flag}-stdin, or leave it out to "
        "be asked.",
    )


def _as_flag(dotted: str) -> str:
    top, dot, below = dotted.partition(".")
    return f"--{top.replace('_', '-')}{dot}{below}"


def _read(field: Described | None, text: str) -> Any:
    """A flag's text as the value its field takes."""
    kind = "value" if field is None else field.type
    if kind == "list" and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    structured = kind == "choice" and text.lstrip().startswith("{")  # start: {since: DATE}
    if kind in ("text", "choice", "duration", "size", "date", "secret") and not structured:
        return text
    # here, for every verb that gets no such flag: YAML is slow to load
    from postroom.operations.yamlfile import read_value

    return read_value(text)
