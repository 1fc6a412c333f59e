"""The words of one IMAP response: atoms, strings, lists (RFC 9051, section 9), for real servers.

An atom is ``str``, a quoted string or a literal is ``bytes``, NIL is None, a list is ``list``.
A section stays part of its atom: ``BODY[HEADER.FIELDS (DATE FROM)]<0>`` is one atom.  Missing and
doubled spaces are forgiven; an open quote or parenthesis is not.
"""

from __future__ import annotations

import re
from typing import Final

from postroom.errors import ProtocolError
from postroom.protocols.imap.frames import Frame, Large

__all__ = ["Value", "lex", "words"]

Value = str | bytes | Large | list["Value"] | None

# 1 open, 2 close, 3 quoted, 4 atom, 5 what fits nowhere.  In an atom a section holds no bracket of
# its own: that keeps the search linear on "[[[[[[".
_TOKEN: Final = re.compile(
    rb'(\()|(\))|"((?:[^"\\]|\\.)*)"|((?:\[[^\[\]]{0,8000}\]|[^ ()"])+)|([^ ])', re.DOTALL
)
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)


def lex(frame: Frame, nesting: int, start: int = 0) -> list[Value]:
    """The values of a response; ``start`` is where to begin in its first text.

    Raises ProtocolError: nested deeper than ``nesting``, or not closed.
    """
    current: list[Value] = []
    stack: list[list[Value]] = []
    for index, part in enumerate(frame):
        if index % 2 or isinstance(part, Large):
            current.append(part)
            continue
        for match in _TOKEN.finditer(part, 0 if index else start):
            kind = match.lastindex
            if kind == 4:
                atom = match[4].decode("latin-1")
                current.append(None if atom in _NIL else atom)
            elif kind == 3:
                text = match[3]
                current.append(_ESCAPED.sub(rb"\1", text) if b"\\" in text else text)
            elif kind == 1:
                if len(stack) >= nesting:
                    raise ProtocolError(f"The server nested a response deeper than {nesting}.")
                stack.append(current)
                inner: list[Value] = []
                current.append(inner)
                current = inner
            elif kind == 2 and stack:
                current = stack.pop()
            else:
                raise ProtocolError("The server sent a response that cannot be read.")
    if stack:
        raise ProtocolError("The server sent a response with an open parenthesis.")
    return current


_NIL: Final = frozenset({"NIL", "nil", "Nil"})


def words(value: Value) -> list[str]:
    """A list of atoms or strings as text; NIL or a single word where a list belongs is forgiven."""
    if value is None:
        return []
    if not isinstance(value, list):
        value = [value]
    return [
        item if isinstance(item, str) else item.decode("latin-1")
        for item in value
        if isinstance(item, (str, bytes))
    ]
