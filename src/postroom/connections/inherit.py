"""Inheritance: a connection and what it extends made one, with a mark on every inherited value."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final

from postroom.connections.connection import Connection
from postroom.errors import InvalidValue, NotThere
from postroom.fields import parse, shown

__all__ = ["MOST_DEEP", "Merged", "merge"]

MOST_DEEP: Final = 8
"""Parents above a connection at the most: more is a mistake, and nobody could read it."""

_OWN: Final = frozenset({"name", "description", "type", "extends"})
"""What is never inherited."""

_WHOLE: Final = frozenset({"auth"})
"""Groups that are replaced whole: half of somebody else's sign-in is no sign-in."""


@dataclasses.dataclass(frozen=True, slots=True)
class Merged:
    """A connection with everything it inherits.

    ``inherited`` says of each dotted field from which connection its value is; ``chain`` names the
    parents, nearest first.
    """

    connection: Connection
    inherited: Mapping[str, str]
    chain: tuple[str, ...]


def merge(connection: Connection, get: Callable[[str], Connection]) -> Merged:
    """Follow ``extends`` and merge field by field; lists and ``auth`` are replaced whole.

    ``get`` finds a connection by name and raises NotThere.  Raises InvalidValue for a parent that
    is missing or of another type, for a circle, and for more than eight parents.
    """
    if not connection.extends:  # most; and everything is resolved whenever a destination may move
        return Merged(connection, {}, ())
    chain = _chain(connection, get)
    body: dict[str, Any] = {}
    inherited: dict[str, str] = {}
    for parent in reversed(chain):
        given = {key: value for key, value in shown(parent).items() if key not in _OWN}
        _lay_over(body, given, parent.name, inherited)
    _lay_over(body, shown(connection), "", inherited)
    whole = parse(Connection, body, where=f"connection {connection.name}")
    marks = {place: name for place, name in inherited.items() if name}
    return Merged(whole, marks, tuple(parent.name for parent in chain))


def _chain(connection: Connection, get: Callable[[str], Connection]) -> list[Connection]:
    chain: list[Connection] = []
    seen = [connection.name]
    current = connection
    while current.extends:
        where = f"connection {current.name}: extends"
        if current.extends.casefold() in {name.casefold() for name in seen}:
            circle = " extends ".join([*seen, current.extends])
            raise InvalidValue(where, f"this goes in a circle: {circle}")
        if len(chain) == MOST_DEEP:
            raise InvalidValue(where, f"a connection has at most {MOST_DEEP} others above it")
        try:
            parent = get(current.extends)
        except NotThere as error:
            raise InvalidValue(where, str(error)) from None
        if parent.type != connection.type:
            raise InvalidValue(where, f"{parent.name} is of type {parent.type}, not of the same")
        chain.append(parent)
        seen.append(parent.name)
        current = parent
    return chain


def _lay_over(
    body: dict[str, Any], given: Mapping[str, Any], source: str, marks: dict[str, str],
    above: str = "",
) -> None:  # fmt: skip
    """Put what is given over what is there; ``marks`` notes whose value each field now has."""
    for key, value in given.items():
        place = above + key
        if isinstance(value, dict) and key not in _WHOLE:
            inner = body.setdefault(key, {})
            _lay_over(inner, value, source, marks, f"{place}.")
        else:
            body[key] = value
            marks[place] = source
