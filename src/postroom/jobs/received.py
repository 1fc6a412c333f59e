"""What was received, where it stands in a text that is read again: as a path, or as a search.

A command's parameter is read again when the server searches by it or a file is named by it.  What a
stranger wrote must not be more there than it looks like: ``../..`` in an address is no directory
above, and ``x" or all`` in a subject is no condition.
"""

from __future__ import annotations

import re
from typing import Final

from postroom.jobs.commands import Command
from postroom.jobs.values import Guard
from postroom.mail import safe_name

__all__ = ["guard_of"]


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


DIRECTORY: Final = Guard(_as_name)
FILES: Final = Guard(_as_name, whole=False)  # a path that an earlier step gave is one of ours
SEARCH: Final = Guard(_as_word)


def guard_of(command: type[Command], name: str) -> Guard | None:
    """What guards that parameter of a command; None: it is read as it is, and no more."""
    if name in command.searches:
        return SEARCH
    if name not in command.paths:
        return None
    info = command.model_fields.get(name)
    return DIRECTORY if info is not None and info.annotation is str else FILES
