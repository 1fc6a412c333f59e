"""What a sign-in can send: user names and passwords of one line."""

from __future__ import annotations

import re

from postroom.errors import InvalidValue
from postroom.secret import Secret

__all__ = ["check_one_line"]

_BREAK = re.compile(r"\r\n|\r|\n")


def check_one_line(field: str, value: str | Secret | None) -> None:
    """Raise InvalidValue where a line break or NUL would end the command that carries it."""
    text = value.reveal() if isinstance(value, Secret) else value or ""
    if breaks := len(_BREAK.findall(text)):
        hint = "The file, or what was typed, may hold more than that; give this one line alone."
        raise InvalidValue(field, f"give one line; there are {breaks + 1}", hint=hint)
    if "\0" in text:
        raise InvalidValue(
            field, "holds a NUL byte, which cannot be sent", hint="Give it as plain text (UTF-8)."
        )
