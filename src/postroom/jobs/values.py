"""Values of a step: texts, lists and records with macros, read once and filled in for each use.

A text that is exactly one macro has the value itself (a list, a number, a record); within a text it
is written out: lists and records as JSON, nothing for null.  It is one pass: neither a value nor what
was received is ever looked into again, and ``${${A}}`` stays as it is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from postroom.errors import InvalidValue
from postroom.fields import nearest
from postroom.macros import SETTING, STEPS, Reference, pieces

__all__ = [
    "MESSAGE",
    "NO_ITEM",
    "RECEIVED",
    "RUN",
    "Guard",
    "Missing",
    "Scope",
    "Value",
    "look_up",
    "read_value",
    "written",
]

RUN: Final = ("id", "job", "started", "attempt")
"""The names of ``${run:...}``."""
MESSAGE: Final = ("source", "folder", "from", "subject", "received", "id", "message_id", "size")
"""The names of ``${message:...}``."""
RECEIVED: Final = frozenset({"step", "item", "message"})
"""The prefixes of what may have been written by a stranger."""
LONGEST: Final = 16 << 20
"""Characters that a text may have once its macros are written out."""
DEEPEST: Final = 32
"""Lists and records in each other."""
NO_ITEM: Final[Any] = object()
"""Instead of an item where no ``for_each`` is."""

Expand = Callable[[str, str], str]
"""The value of a macro of the room (``${var:...}`` and the like), and the field for its errors."""


class Missing(dict[str, Any]):
    """The result of a step that was passed by or failed: whatever is asked of it is null.

    An ``error`` in it is there to be read.
    """


def _nothing_known(text: str, where: str) -> str:
    raise InvalidValue(where, f"{text} may not stand here")


@dataclass(frozen=True)
class Scope:
    """Where the macros of steps look: one of a run, with an ``item`` and its ``number`` (from 0) in a
    ``for_each``.

    ``results`` are those of earlier steps by their names; ``message`` is None where none started the
    run; ``passed_on`` says that the parameters come from another run, which may have received them;
    ``expand`` gives the macros of the room, see :func:`postroom.connections.scope.expander`.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)
    message: Mapping[str, Any] | None = None
    item: Any = NO_ITEM
    number: int | None = None
    passed_on: bool = False
    expand: Expand = _nothing_known

    def received(self, prefix: str) -> bool:
        """Whether what a macro stands for may have been written by a stranger."""
        return prefix in RECEIVED or (prefix == "param" and self.passed_on)

    def within(self, results: dict[str, Any]) -> Scope:
        """With these results."""
        return replace(self, results=results)

    def with_item(self, item: Any, number: int) -> Scope:
        """With an item, the one of that number from 0, and results of its own beside those so far."""
        return replace(self, results=dict(self.results), item=item, number=number)


Piece = str | Reference


class Guard(NamedTuple):
    """Makes what was received safe for a text that is read again; given the text before it.

    ``make`` raises ValueError for a place where it may not stand.  ``whole`` are the prefixes for which
    that holds also of a text that is nothing but the macro.
    """

    make: Callable[[str, str], str]
    whole: frozenset[str] = RECEIVED


@dataclass(frozen=True)
class Value:
    """What was read: ``node`` is a list, a record, a tuple of the pieces of a text, or as it is."""

    node: Any
    where: str

    @property
    def references(self) -> list[Reference]:
        """Every macro of it, in order."""
        return list(_references(self.node))

    @property
    def fixed(self) -> bool:
        """Whether there is no macro in it."""
        return not self.references

    def fill(self, scope: Scope, guard: Guard | None = None) -> Any:
        """The value, with its macros looked up; ``guard`` is for what was received.

        Raises InvalidValue, with the place of the value, for what is not there; and what ``expand``
        of the scope raises.
        """
        return _Filling(scope, self.where, guard).fill(self.node)

    def shown(self, scope: Scope | None = None) -> Any:
        """The value with what is known before anything is done; other macros stay as they are.

        What a step gives, an item, and the facts of a message are not known before.
        """
        return _shown(self.node, scope, self.where)


def read_value(value: Any, where: str) -> Value:
    """Read a text, or a list or record of texts at any depth.  The names of a record are no texts.

    Raises InvalidValue for a macro that is not one, and for nesting without reason.
    """
    return Value(_read(value, where, 0), where)


def look_up(reference: Reference, scope: Scope, where: str) -> Any:
    """The value of one macro.  Raises InvalidValue, and what ``expand`` of the scope raises."""
    if reference.prefix in SETTING:
        return scope.expand(str(reference), where)
    if reference.prefix == "item":
        if scope.item is NO_ITEM:
            raise InvalidValue(where, f"{reference} stands only in a for_each")
        path = reference.name.split(".") if reference.name else []
        return _walk(scope.item, path, reference, where)
    if reference.prefix == "step":
        name, *path = reference.name.split(".")
        return _result(scope.results, name, path, reference, where)
    table = {"param": scope.parameters, "run": scope.run, "message": scope.message}
    found = table[reference.prefix]
    if found is None:
        raise InvalidValue(
            where, f"{reference}: no message started this run, so there is nothing to say of it"
        )
    return _named(found, reference.name, reference, where)


def written(value: Any) -> str:
    """A value as it stands within a text."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, default=str)


# ------------------------------------------------------------------ reading


def _read(value: Any, where: str, depth: int) -> Any:
    if depth > DEEPEST:
        raise InvalidValue(where, f"more than {DEEPEST} lists and records stand in each other")
    if isinstance(value, str):
        read = tuple(pieces(value, known=STEPS, name=where))
        return read if any(isinstance(one, Reference) for one in read) else "".join(map(str, read))
    if isinstance(value, Mapping):
        return {str(key): _read(each, where, depth + 1) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_read(each, where, depth + 1) for each in value]
    return value


def _references(node: Any) -> Iterator[Reference]:
    if isinstance(node, tuple):
        yield from (each for each in node if isinstance(each, Reference))
    elif isinstance(node, (list, dict)):
        for each in node.values() if isinstance(node, dict) else node:
            yield from _references(each)


# ------------------------------------------------------------------ filling


@dataclass(frozen=True)
class _Filling:
    scope: Scope
    where: str
    guard: Guard | None

    def fill(self, node: Any) -> Any:
        if isinstance(node, tuple):
            return self._text(node)
        if isinstance(node, dict):
            return {key: self.fill(each) for key, each in node.items()}
        if isinstance(node, list):
            return [self.fill(each) for each in node]
        return node

    def _text(self, node: tuple[Piece, ...]) -> Any:
        if len(node) == 1 and isinstance(node[0], Reference):
            value = look_up(node[0], self.scope, self.where)
            guarded = self.guard is not None and (
                node[0].prefix in self.guard.whole or self._passed_on(node[0])
            )
            return self._safe("", node[0], written(value)) if guarded else value
        out = ""
        for piece in node:
            out += piece if isinstance(piece, str) else self._written(out, piece)
            if len(out) > LONGEST:
                raise InvalidValue(
                    self.where, f"with its macros it is longer than {LONGEST} characters"
                )
        return out

    def _passed_on(self, piece: Reference) -> bool:
        return piece.prefix == "param" and self.scope.passed_on

    def _written(self, before: str, piece: Reference) -> str:
        return self._safe(before, piece, written(look_up(piece, self.scope, self.where)))

    def _safe(self, before: str, piece: Reference, text: str) -> str:
        if self.guard is None or not self.scope.received(piece.prefix):
            return text
        try:
            return self.guard.make(before, text)
        except ValueError as error:
            raise InvalidValue(self.where, f"{piece}: {error}") from None


def _shown(node: Any, scope: Scope | None, where: str) -> Any:
    if isinstance(node, dict):
        return {key: _shown(each, scope, where) for key, each in node.items()}
    if isinstance(node, list):
        return [_shown(each, scope, where) for each in node]
    if not isinstance(node, tuple):
        return node
    values = [_before(piece, scope, where) for piece in node]
    return values[0] if len(values) == 1 else "".join(map(written, values))


def _before(piece: Piece, scope: Scope | None, where: str) -> Any:
    if isinstance(piece, str):
        return piece
    known = scope is not None and piece.prefix in SETTING | {"param"}
    return look_up(piece, scope, where) if known and scope is not None else str(piece)


# ------------------------------------------------------------------ looking up


def _result(
    results: Mapping[str, Any], name: str, path: list[str], reference: Reference, where: str
) -> Any:
    if name not in results:
        raise _unknown(name, results, reference, where)
    found = results[name]
    if path and path[0] == "error" and "error" not in found:
        return None
    return _walk(found, path, reference, where)


def _named(table: Mapping[str, Any], name: str, reference: Reference, where: str) -> Any:
    if name not in table:
        raise _unknown(name, table, reference, where)
    return table[name]


def _walk(value: Any, path: list[str], reference: Reference, where: str) -> Any:
    for part in path:
        if isinstance(value, Missing) and part not in value:
            return None
        if isinstance(value, Mapping):
            value = _named(value, part, reference, where)
        elif isinstance(value, (list, tuple)) and part.isascii() and part.isdigit():
            if len(part) > 9 or int(part) >= len(value):
                raise InvalidValue(where, f"{reference}: that list has {len(value)} of them")
            value = value[int(part)]
        else:
            wanted = (
                "a list takes a number" if isinstance(value, (list, tuple)) else "it has no parts"
            )
            raise InvalidValue(where, f"{reference}: there is no {part!r} in it; {wanted}")
    return value


def _unknown(name: str, known: Mapping[str, Any], reference: Reference, where: str) -> InvalidValue:
    names = [str(one) for one in known]
    close = nearest(name, names[:1000])
    meant = f"did you mean {close}?" if close else f"there is {', '.join(names[:20]) or 'nothing'}"
    return InvalidValue(where, f"{reference}: there is no {name!r}; {meant}")
