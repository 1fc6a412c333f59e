"""How a verb ends that stored a credential: done, or not finished while something is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from postroom.cli import show
from postroom.cli.flags import flag_for
from postroom.errors import OK, UNFINISHED
from postroom.operations.declared import credential_fields

__all__ = ["finished", "flags_of"]


def finished(found: Mapping[str, Any]) -> int:
    """The exit status, by what the record is after the call, whatever the call itself changed."""
    if found["state"] != "incomplete":
        return OK
    show.note(
        f"Incomplete, {', '.join(found['missing'])} missing. Until it is given nothing can use it: "
        f"postroom credential set {found['name']} {flags_of(found['type'], found['missing'])}"
    )
    return UNFINISHED


def flags_of(type: str, missing: Iterable[str]) -> str:
    """The flags that give what is missing; any name will do where fields are custom."""
    if type == "generic":
        return "--FIELD-from-env NAME"
    return " ".join(
        "--description TEXT" if name == "description" else flag_for(name, credential_fields(type))
        for name in missing
    )
