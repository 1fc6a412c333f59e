"""Regular expressions whose time grows with the text alone: for ``matches`` on what was received.

A pattern is read into positions, each of one character or of one condition between two (``^ $ \\b``),
and what may follow each (Glushkov's construction); a text is gone through once, with the set of
positions that may come next.  So no text makes a pattern slow, and none has to be refused.  What a
pattern then cannot say (backreferences, looking around, possessive and atomic groups, inline flags)
is refused when it is read.  The answers are those of ``re.search`` without regard to case.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

__all__ = ["LONGEST", "Pattern"]

LONGEST: Final = 64 << 10
"""Characters of a text that a pattern looks at: its beginning."""
_POSITIONS: Final = 300
"""Of one pattern, counted repeats written out."""
_BUILT: Final = 10_000
_DEEPEST: Final = 20
_KEPT: Final = 4096
"""Sets of positions whose followers are remembered at a time."""

_BETWEEN: Final = {
    "^": "start", r"\A": "start", "$": "end", r"\Z": "very end", r"\b": "edge", r"\B": "inside",
}  # fmt: skip
_COUNT: Final = re.compile(r"\{(\d*)(,?)(\d*)\}")
_ESCAPE: Final = re.compile(
    r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[dDsSwWbBAZntrfva]|[^A-Za-z0-9])"
)
_CLASS: Final = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)
_GROUP: Final = re.compile(r"\((?:\?(?::|P<[A-Za-z_]\w*>))?(?!\?)")


class _Part(NamedTuple):
    """A piece of a pattern: whether nothing meets it too, and its first and last positions."""

    empty: bool
    first: int
    last: int


class Pattern:
    """A pattern, read.  Raises ValueError with a sentence for one that is none, or cannot be had."""

    def __init__(self, text: str) -> None:
        try:
            re.compile(text, re.IGNORECASE)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"is not a regular expression: {error}") from None
        self._follow: list[int] = []
        self._atoms: list[re.Pattern[str] | None] = []
        self._between: dict[str, int] = {}
        self._built = 0
        whole = _Reader(text).read()
        part = self._build(whole)
        end = self._position()
        self._end = 1 << end
        self._link(part.last, self._end)
        self._first = part.first | (self._end if part.empty else 0)
        self._meets: dict[str, int] = {}
        self._after: dict[int, int] = {}

    def search(self, text: str) -> bool:
        """Whether it matches anywhere in the first LONGEST characters of a text."""
        text = text[:LONGEST]
        nexts = 0
        for at in range(len(text) + 1):
            nexts = self._settled(nexts | self._first, text, at)
            if nexts & self._end:
                return True
            if at < len(text):
                nexts = self._followers(nexts & self._meeting(text[at]))
        return False

    # ------------------------------------------------------------------ going through

    def _settled(self, nexts: int, text: str, at: int) -> int:
        """With what follows the conditions that hold between two characters."""
        if not self._between:
            return nexts
        holding = 0
        for what in _holding(text, at):
            holding |= self._between.get(what, 0)
        done = 0
        while new := nexts & holding & ~done:
            done |= new
            nexts |= self._followers(new)
        return nexts

    def _meeting(self, char: str) -> int:
        found = self._meets.get(char)
        if found is None:
            found = sum(
                1 << at for at, atom in enumerate(self._atoms) if atom and atom.fullmatch(char)
            )
            if len(self._meets) >= _KEPT:
                self._meets.clear()
            self._meets[char] = found
        return found

    def _followers(self, positions: int) -> int:
        found = self._after.get(positions)
        if found is None:
            found, rest = 0, positions
            while rest:
                low = rest & -rest
                found |= self._follow[low.bit_length() - 1]
                rest ^= low
            if len(self._after) >= _KEPT:
                self._after.clear()
            self._after[positions] = found
        return found

    # ------------------------------------------------------------------ building

    def _position(self, atom: re.Pattern[str] | None = None) -> int:
        if len(self._atoms) >= _POSITIONS:
            raise ValueError(f"the pattern has more than {_POSITIONS} parts, repeats written out")
        self._atoms.append(atom)
        self._follow.append(0)
        return len(self._atoms) - 1

    def _link(self, last: int, first: int) -> None:
        while last:
            low = last & -last
            self._follow[low.bit_length() - 1] |= first
            last ^= low

    def _build(self, node: _Node) -> _Part:
        self._built += 1
        if self._built > _BUILT:  # repeats of nothing take no position
            raise ValueError("the pattern repeats too much")
        if node.kind == "atom":
            at = self._position(re.compile(node.text, re.IGNORECASE))
            return _Part(False, 1 << at, 1 << at)
        if node.kind == "between":
            bit = 1 << self._position()
            self._between[node.text] = self._between.get(node.text, 0) | bit
            return _Part(False, bit, bit)
        if node.kind == "either":
            parts = [self._build(one) for one in node.parts]
            return _Part(
                any(one.empty for one in parts),
                _union(one.first for one in parts),
                _union(one.last for one in parts),
            )
        if node.kind == "repeat":
            return self._repeated(node)
        return self._joined([self._build(one) for one in node.parts])

    def _joined(self, parts: list[_Part]) -> _Part:
        whole = _Part(True, 0, 0)
        for part in parts:
            self._link(whole.last, part.first)
            whole = _Part(
                whole.empty and part.empty,
                whole.first | (part.first if whole.empty else 0),
                part.last | (whole.last if part.empty else 0),
            )
        return whole

    def _repeated(self, node: _Node) -> _Part:
        [inner] = node.parts
        least, most = node.least, node.most
        copies = [self._build(inner) for _ in range(max(least, 1 if most is None else most))]
        if most is None:
            again = copies[-1]
            self._link(again.last, again.first)
        return self._joined(
            [part if at < least else part._replace(empty=True) for at, part in enumerate(copies)]
        )


def _union(sets: Any) -> int:
    found = 0
    for one in sets:
        found |= one
    return found


def _holding(text: str, at: int) -> list[str]:
    size = len(text)
    before = at > 0 and _word(text[at - 1])
    after = at < size and _word(text[at])
    found = ["edge" if before != after else "inside"] if size else []
    if at == 0:
        found.append("start")
    if at == size or (at == size - 1 and text[at] == "\n"):
        found.append("end")
    if at == size:
        found.append("very end")
    return found


def _word(char: str) -> bool:
    return char.isalnum() or char == "_"


# ------------------------------------------------------------------ reading


@dataclass(frozen=True)
class _Node:
    """``atom`` and ``between`` have a text; ``row``, ``either`` and ``repeat`` have parts."""

    kind: str
    text: str = ""
    parts: list[_Node] = field(default_factory=list)
    least: int = 0
    most: int | None = None


class _Reader:
    """Reads what ``re`` has read already, so only what it may not say is wrong here."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def read(self) -> _Node:
        return self._either(0)

    def _either(self, depth: int) -> _Node:
        if depth > _DEEPEST:
            raise ValueError(f"more than {_DEEPEST} groups stand in each other")
        parts = [self._row(depth)]
        while self._text[self._at : self._at + 1] == "|":
            self._at += 1
            parts.append(self._row(depth))
        return _Node("either", parts=parts)

    def _row(self, depth: int) -> _Node:
        parts: list[_Node] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            parts.append(self._counted(self._one(depth)))
        return _Node("row", parts=parts)

    def _one(self, depth: int) -> _Node:
        char = self._text[self._at]
        if char == "(":
            found = _GROUP.match(self._text, self._at)
            if found is None:
                raise ValueError(
                    "a group is (...), (?:...) or (?P<name>...); looking around, flags and the like "
                    "cannot be had here"
                )
            self._at = found.end()
            inner = self._either(depth + 1)
            self._at += 1
            return inner
        if char in "^$":
            return self._taken("between", char)
        if char == "\\":
            escape = _ESCAPE.match(self._text, self._at)
            if escape is None:
                raise ValueError(f"{self._text[self._at : self._at + 2]} cannot be had here")
            return self._taken("between" if escape[0] in _BETWEEN else "atom", escape[0])
        if char == "[":
            whole = _CLASS.match(self._text, self._at)
            if whole is None:
                raise ValueError("[ has no end")
            return self._taken("atom", whole[0])
        return self._taken("atom", char)

    def _taken(self, kind: str, text: str) -> _Node:
        self._at += len(text)
        if kind == "between":
            return _Node("between", _BETWEEN[text])
        return _Node("atom", text if len(text) > 1 or text == "." else re.escape(text))

    def _counted(self, node: _Node) -> _Node:
        bounds = self._bounds()
        if bounds is None:
            return node
        mark = self._text[self._at : self._at + 1]
        if mark == "+":
            raise ValueError("possessive repeats (*+ ++ ?+) cannot be had here")
        if mark == "?":  # lazy: which match is found differs, not whether there is one
            self._at += 1
        return _Node("repeat", parts=[node], least=bounds[0], most=bounds[1])

    def _bounds(self) -> tuple[int, int | None] | None:
        mark = self._text[self._at : self._at + 1]
        if mark and mark in "*+?":
            self._at += 1
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[mark]
        count = _COUNT.match(self._text, self._at) if mark == "{" else None
        if count is None or count[0] == "{}":
            return None
        self._at = count.end()
        least = int(count[1] or 0)
        return least, int(count[3]) if count[3] else (None if count[2] else least)
