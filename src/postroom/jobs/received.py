"""What was received, where it stands in a text that is read again: as a path, or as a search.

A command's parameter is read again when the server searches by it or a file is named by it.  What a
stranger wrote must not be more there than it looks like: ``../..`` in an address is no directory
above, and ``x" or all`` in a subject is no condition.  A command says which parameters of it are read
again (:attr:`postroom.jobs.commands.Command.read_again`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from postroom.jobs.values import Guard
from postroom.mail import safe_name

__all__ = ["ARGUMENT", "CODE", "GUARDS", "NO_CODE", "code_word"]

_READS_CODE: Final = (
    (re.compile(r"(ba|da|z|k|mk|a|fi|c|tc)?sh"), re.compile(r"-[A-Za-z]*c[A-Za-z]*")),
    (re.compile(r"(python|pypy)[\d.]*"), re.compile(r"-[A-Za-z]*c")),
    (
        re.compile(r"(perl|ruby|node|nodejs|lua|php)[\d.]*"),
        re.compile(r"-[A-Za-z]*[eEpr]|--eval|--print"),
    ),
)
"""Programs that read one of their words as commands, and the option before it."""
NO_CODE: Final = (
    "a stranger may have written it, and it would be read as commands; hand it over behind them, as in "
    "[sh, -c, 'grep -F -- \"$1\" list', sh, '${message:subject}']"
)


def _as_name(before: str, text: str) -> str:
    return safe_name(text)


def _as_word(before: str, text: str) -> str:
    """One value of a search, whatever is in it; the language has no escapes for its marks."""
    word, quote = "", ""
    for char in before:
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        word = "" if not quote and (char.isspace() or char in "()") else word + char
    if ":" not in word:
        raise ValueError("say of what it is the text, such as from:${item:address}")
    text = re.sub(r"[\0\r\n]", " ", text)  # a line break cannot be searched for
    return text.replace(quote, " ") if quote else '"{}"'.format(text.replace('"', " "))


def _as_argument(before: str, text: str) -> str:
    if not before and text.startswith("-"):
        raise ValueError(
            f"a program would take {text[:20]!r} for an option; write something before it"
        )
    return text


def _as_code(before: str, text: str) -> str:
    raise ValueError(NO_CODE)


def code_word(words: Sequence[str]) -> int:
    """Which word an interpreter reads as commands (``sh -c WORD``, also behind ``env``); -1: none."""
    for at, word in enumerate(words):
        name = word.rpartition("/")[2]
        for program, option in _READS_CODE:
            if program.fullmatch(name):
                for place in range(at + 1, len(words) - 1):
                    if not words[place].startswith("-"):
                        break
                    if option.fullmatch(words[place]):
                        return place + 1
    return -1


ARGUMENT: Final = Guard(_as_argument)
"""For the words of a program."""
CODE: Final = Guard(_as_code)
"""For one that is read as commands."""
GUARDS: Final = {
    "directory": Guard(_as_name),
    # one that an earlier step gave is one of ours; what a message says is none
    "path": Guard(_as_name, whole=frozenset({"message"})),
    "search": Guard(_as_word),
}
