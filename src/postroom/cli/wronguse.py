"""What the parser does not understand, said in the words of the house and with the nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Final

from postroom.cli.options import EVERY_OPTION
from postroom.errors import WrongUse

__all__ = ["common_flags", "near_flags", "no_such_verb", "wrong_use"]


def common_flags() -> list[str]:
    """The flags that every verb takes: ``--room``, ``--json`` ..."""
    return [
        word.partition(" ")[0] for words in EVERY_OPTION for word in words.split(", ") if word[2:]
    ]


_OTHER_WORDS: Final = {
    "reprocess": "reset", "replay": "reset", "remove": "delete", "rm": "delete", "create": "add",
    "new": "add", "change": "set", "edit": "set", "update": "set", "ls": "list", "get": "show",
}  # fmt: skip
"""What other programs call verbs of ours."""


def no_such_verb(name: str, known: Iterable[str], path: str) -> WrongUse:
    """There is no verb of that name; ``path`` is the command so far (``postroom source``)."""
    what = "verb or noun" if " " not in path else "verb"
    verbs = {each: each for each in known}
    verbs |= {word: verb for word, verb in _OTHER_WORDS.items() if verb in verbs}
    close = [verbs[word] for word in difflib.get_close_matches(name, verbs, n=1)]
    of = "" if " " not in path else f" of {path}"
    hint = f"Did you mean {path} {close[0]}?" if close else f"See them all: {path} --help"
    return WrongUse(f"There is no {what} {name!r}{of}.", hint=hint)


def wrong_use(error: Any) -> WrongUse:
    """A usage error of the parser.  Its releases are told apart by what an error carries."""
    context = getattr(error, "ctx", None)
    help_ = "" if context is None else f"See: {context.command_path} --help"
    kind = type(error).__name__
    if kind == "NoSuchOption":
        return _no_such_flag(str(error.option_name), context, help_)
    param = getattr(error, "param", None)
    if kind == "MissingParameter" and param is not None:
        return WrongUse(f"{_name(param)} is needed.", hint=help_)
    if kind == "BadOptionUsage":
        return WrongUse(f"{error.option_name} needs a value.", hint=help_)
    if kind == "BadParameter" and param is not None:
        return WrongUse(f"{_name(param)}: {_plain(str(error.message))}.", hint=help_)
    said = str(error.format_message())
    return WrongUse(said if said.endswith(("?", "!")) else said.rstrip(".") + ".", hint=help_)


def _no_such_flag(flag: str, context: Any, help_: str) -> WrongUse:
    own = [] if context is None else [word for one in context.command.params for word in one.opts]
    flags = [word for word in (*own, *common_flags(), "--help") if word.startswith("--")]
    close = near_flags(flag, flags)
    return WrongUse(
        f"There is no flag {flag}.", hint=f"Did you mean {close[0]}? {help_}" if close else help_
    )


def near_flags(word: str, flags: Iterable[str]) -> list[str]:
    """The flag most like ``word``, if one is near: what they all begin with says nothing."""
    by_name = {flag.lstrip("-"): flag for flag in flags}
    close = difflib.get_close_matches(word.lstrip("-"), by_name, n=1)
    return [by_name[one] for one in close]


def _plain(message: str) -> str:
    """The parser's words, but for its jargon."""
    kinds = {"valid integer": "give a whole number", "valid number": "give a number"}
    words = next((told for said, told in kinds.items() if said in message), message)
    return words.replace("Input should be", "give a number").rstrip(".")


def _name(param: Any) -> str:
    """``--via``, or ``NAME`` of an argument."""
    if param.param_type_name == "argument":
        return str(param.metavar or str(param.name).upper().removesuffix("_"))
    return str(param.opts[0])
