"""Verbs that stand for a built-in command: their words and flags are its declared parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Final

import typer

from postroom.errors import InvalidValue, WrongUse
from postroom.fields import Described, describe, parse
from postroom.operations.commands import Command, command_named

__all__ = ["Given", "made", "taking"]

Given = dict[str, Any]
"""What was said of a command's parameters, by their names: nothing that was not said."""

_GIVEN: Final = "given"


def taking(
    command: str,
    function: Callable[..., Any],
    *,
    leave: Collection[str] = (),
    default: Mapping[str, str] | None = None,
) -> Callable[..., Any]:
    """A function that the parser can call, with the parameters of a command.

    ``function`` gets what was said of them as ``given``; what else it takes are flags of the verb
    alone.  ``leave`` are parameters that it finds out otherwise; ``default`` has what a person at a
    terminal means who does not say it.
    """
    fields = [one for one in describe(command_named(command)) if one.name not in leave]
    usual = default or {}
    own = [
        one.replace(kind=one.KEYWORD_ONLY)
        for key, one in inspect.signature(function, eval_str=True).parameters.items()
        if key != _GIVEN
    ]

    def called(**words: Any) -> Any:
        given = {one.name: _value(one, words.pop(_key(one))) for one in fields}
        said = {key: value for key, value in given.items() if value is not None}
        return function(said, **words)

    whole = [*(_parameter(one, usual.get(one.name)) for one in fields), *own]
    whole.sort(key=lambda one: one.default is not one.empty)
    called.__signature__ = inspect.Signature(whole)  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in whole}
    called.__name__, called.__doc__ = function.__name__, function.__doc__
    return called


def made(command: str, given: Mapping[str, Any]) -> Command:
    """The command with what was said.  Raises InvalidValue, which names the flag."""
    kind = command_named(command)
    try:
        return parse(kind, given)
    except InvalidValue as error:
        top, _, rest = error.field.partition(".")
        said = error.sentence.removeprefix(f"{error.field}: ")
        for one in describe(kind):
            if one.name == top:
                raise InvalidValue(_word(one) + (f" {rest}" if rest else ""), said) from None
        raise


def _key(field: Described) -> str:
    return "from_" if field.name == "from" else field.name


def _word(field: Described) -> str:
    if field.argument:
        return field.metavar
    return field.flag or f"--{field.name.replace('_', '-')}"


def _parameter(field: Described, usual: str | None) -> inspect.Parameter:
    """A flag or a word of the verb, as the parser takes it."""
    kind: Any = {"yes or no": bool, "number": int, "list": list[str], "map": list[str]}.get(
        field.type, str
    )
    needed = field.needed or field.argument or field.name == "via"
    nothing: Any = usual if usual is not None else _default(field)
    flag, about = _word(field), field.help
    if field.type == "yes or no" and field.default is True:
        flag = f"--no-{flag[2:]}"
        about = f"Do not {about[0].lower()}{about[1:]}"
    facts: dict[str, Any] = {"metavar": field.metavar or None, "help": about}
    annotation: Any = (
        Annotated[kind, typer.Argument(**facts)]
        if field.argument
        else Annotated[kind if needed or nothing is not None else kind | None,
                       typer.Option(flag, **facts)]
    )  # fmt: skip
    return inspect.Parameter(
        _key(field),
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if needed else nothing,
        annotation=annotation,
    )


def _default(field: Described) -> Any:
    if field.type == "yes or no":
        return False
    return field.default if isinstance(field.default, str) and field.default else None


def _value(field: Described, word: Any) -> Any:
    """What was said, as the command takes it; None for what was not said."""
    if field.type == "yes or no":
        return (not field.default) if word else None
    if field.type == "map" and word is not None:
        return dict(_pair(_word(field), one) for one in word)
    return word or None if isinstance(word, list) else word


def _pair(flag: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise WrongUse(f"{flag} {text}: write NAME=VALUE.")
    return name, value
