"""How a verb ends that stored credentials: done, or not finished while something is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from postroom.cli import show
from postroom.cli.flags import flag_for
from postroom.errors import OK, UNFINISHED
from postroom.operations.declared import credential_fields

if TYPE_CHECKING:
    from postroom.operations.roomplan import Lacking

__all__ = ["all_finished", "finished", "flags_of"]


def finished(found: Mapping[str, Any]) -> int:
    """The exit status, by what the record is after the call, whatever the call itself changed."""
    if found["state"] != "incomplete":
        return OK
    show.note(f"Incomplete, {_lacks(found['name'], found['type'], found['missing'])}")
    return UNFINISHED


def all_finished(incomplete: Iterable[Lacking]) -> int:
    """The same for the credentials of a room file."""
    status = OK
    for one in incomplete:
        show.note(f"Credential {one.name} is incomplete, {_lacks(*one)}")
        status = UNFINISHED
    return status


def _lacks(name: str, type: str, missing: Iterable[str]) -> str:
    return (
        f"{', '.join(missing)} missing. Until it is given nothing can use it: "
        f"postroom credential set {name} {flags_of(type, missing)}"
    )


def flags_of(type: str, missing: Iterable[str]) -> str:
    """The flags that give what is missing; any name will do where fields are custom."""
    if type == "generic":
        return "--FIELD-from-env NAME"
    return " ".join(
        "--description TEXT" if name == "description" else flag_for(name, credential_fields(type))
        for name in missing
    )
