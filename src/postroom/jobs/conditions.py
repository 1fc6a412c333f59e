"""Conditions: what stands in ``when``, read once and asked of a scope.

    when: ${step:found.count} > 0 and not ${item:subject} contains "out of office"

Operands are macros, texts in quotation marks (macros in them are written out), numbers, true, false
and null; what compares is ``== != < <= > >= contains matches``; ``not`` binds most, ``or`` least,
brackets group.  A macro stands for its value and is never read as a part of the condition, so what was
received cannot change it.
An empty text, list or record, 0, false and null do not hold; everything else does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from postroom.errors import InvalidValue
from postroom.fields import nearest
from postroom.jobs.patterns import Pattern
from postroom.jobs.values import Scope, Value, read_value, written
from postroom.macros import STEPS, Reference, macro_at

__all__ = ["Condition", "read_condition"]

LONGEST: Final = 4096
"""Characters of a condition."""
DEEPEST: Final = 20
"""Brackets and ``not`` in each other."""

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)|(?P<text>"[^"]*"|'[^']*')|(?P<number>-?\d+(?:\.\d+)?(?![\w.]))"""
    r"""|(?P<sign>==|!=|<=|>=|<|>|\(|\))|(?P<word>[A-Za-z_]\w*)"""
)
_VALUES: Final[dict[str, Any]] = {"true": True, "false": False, "null": None}
_COMPARES: Final = ("==", "!=", "<", "<=", ">", ">=", "contains", "matches")
_WORDS: Final = ("and", "or", "not", "contains", "matches", *_VALUES)


class _Token(NamedTuple):
    kind: str  # text, number, sign, word, macro, end
    text: str
    at: int
    end: int


@dataclass(frozen=True)
class _Node:
    """``value``, and ``text`` (one in quotation marks); ``not``, ``and``, ``or`` and what compares."""

    kind: str
    parts: tuple[_Node, ...] = ()
    value: Value | None = None
    pattern: Pattern | None = None


@dataclass(frozen=True)
class Condition:
    """A condition that was read; ``text`` is how it is written."""

    text: str
    where: str
    node: _Node

    @property
    def references(self) -> list[Reference]:
        """Every macro of it, in order."""
        return list(_references(self.node))

    def holds(self, scope: Scope) -> bool:
        """Whether it holds.

        Raises InvalidValue for a comparison that cannot be made, and as :meth:`Value.fill` does.
        """
        return _true(_asked(self.node, scope, self.where))


def read_condition(text: str, where: str) -> Condition:
    """Read a condition.  Raises InvalidValue with the place in the text."""
    if len(text) > LONGEST:
        raise InvalidValue(where, f"a condition has at most {LONGEST} characters")
    return Condition(text, where, _Reader(text, where).read())


# ------------------------------------------------------------------ reading


class _Reader:
    def __init__(self, text: str, where: str) -> None:
        self._text = text
        self._where = where
        self._tokens = list(self._split())
        self._next = 0

    def read(self) -> _Node:
        node = self._or(0)
        left = self._tokens[self._next]
        if left.kind != "end":
            near = "" if left.kind != "word" else _meant(left.text)
            raise self._wrong(left, f"{left.text} does not belong here{near}")
        return node

    def _split(self) -> Iterator[_Token]:
        at, text = 0, self._text
        while at < len(text):
            if text.startswith("${", at):
                _, end = macro_at(text, at, known=STEPS, name=self._where)
                yield _Token("macro", text[at:end], at, end)
                at = end
                continue
            found = _TOKEN.match(text, at)
            if found is None:
                raise self._unreadable(at)
            kind = str(found.lastgroup)
            if kind != "space":
                yield _Token(kind, found[0], at, found.end())
            at = found.end()
        yield _Token("end", "the end", len(text), len(text))

    def _unreadable(self, at: int) -> InvalidValue:
        char = self._text[at]
        token = _Token("", char if char.isprintable() else "a control character", at, at)
        if char in "\"'":
            return self._wrong(token, "a quotation mark has no partner")
        if char == "=":
            return self._wrong(token, "write == to compare")
        return self._wrong(token, f"{token.text} does not belong into a condition")

    def _wrong(self, token: _Token, sentence: str) -> InvalidValue:
        return InvalidValue(self._where, f"at character {token.at + 1}: {sentence}")

    def _joins(self, *words: str) -> bool:
        token = self._tokens[self._next]
        if token.kind not in ("word", "sign") or token.text.lower() not in words:
            return False
        self._next += 1
        return True

    def _or(self, depth: int) -> _Node:
        return self._row("or", self._and, depth)

    def _and(self, depth: int) -> _Node:
        return self._row("and", self._not, depth)

    def _row(self, word: str, part: Callable[[int], _Node], depth: int) -> _Node:
        parts = [part(depth)]
        while self._joins(word):
            parts.append(part(depth))
        return parts[0] if len(parts) == 1 else _Node(word, tuple(parts))

    def _not(self, depth: int) -> _Node:
        if depth > DEEPEST:
            raise self._wrong(
                self._tokens[self._next],
                f"more than {DEEPEST} brackets or nots stand in each other",
            )
        if self._joins("not"):
            return _Node("not", (self._not(depth + 1),))
        return self._compared(depth)

    def _compared(self, depth: int) -> _Node:
        left = self._operand(depth)
        sign = self._tokens[self._next]
        if not self._joins(*_COMPARES):
            return left
        kind = sign.text.lower()
        if kind == "matches":
            return _Node(kind, (left,), pattern=self._pattern())
        node = _Node(kind, (left, self._operand(depth)))
        after = self._tokens[self._next]
        if self._joins(*_COMPARES):
            raise self._wrong(after, "join two comparisons by and")
        return node

    def _operand(self, depth: int) -> _Node:
        token = self._tokens[self._next]
        if self._joins("("):
            inner = self._or(depth + 1)
            if not self._joins(")"):
                raise self._wrong(token, "the bracket is not closed")
            return inner
        self._next += token.kind != "end"
        if token.kind == "macro":
            return self._value(token.text)
        if token.kind == "text":
            return self._value(token.text[1:-1], "text")
        if token.kind == "number":
            number = float(token.text) if "." in token.text else int(token.text)
            return self._value(number)
        if token.kind == "word" and token.text.lower() in _VALUES:
            return self._value(_VALUES[token.text.lower()])
        raise self._no_operand(token)

    def _no_operand(self, token: _Token) -> InvalidValue:
        if token.kind == "word" and token.text.lower() not in _WORDS:
            return self._wrong(
                token,
                f"{token.text} is no value: texts stand in quotation marks, macros are ${{...}}"
                f"{_meant(token.text)}",
            )
        return self._wrong(token, f"a value is missing before {token.text}")

    def _pattern(self) -> Pattern:
        token = self._tokens[self._next]
        if token.kind != "text" or "${" in token.text:
            raise self._wrong(token, "matches takes a regular expression in quotation marks")
        self._next += 1
        try:
            return Pattern(token.text[1:-1])
        except ValueError as error:
            raise self._wrong(token, f"{token.text} {error}") from None

    def _value(self, value: Any, kind: str = "value") -> _Node:
        return _Node(kind, value=read_value(value, self._where))


def _meant(word: str) -> str:
    close = nearest(word.lower(), _WORDS)
    return f"; did you mean {close}?" if close and close != word.lower() else ""


def _references(node: _Node) -> Iterator[Reference]:
    if node.value is not None:
        yield from node.value.references
    for part in node.parts:
        yield from _references(part)


# ------------------------------------------------------------------ asking


def _asked(node: _Node, scope: Scope, where: str) -> Any:
    if node.value is not None:
        value = node.value.fill(scope)
        return written(value) if node.kind == "text" else value
    if node.kind == "and":
        return all(_true(_asked(part, scope, where)) for part in node.parts)
    if node.kind == "or":
        return any(_true(_asked(part, scope, where)) for part in node.parts)
    values = [_asked(part, scope, where) for part in node.parts]
    if node.kind == "not":
        return not _true(values[0])
    if node.pattern is not None:
        if not isinstance(values[0], str):
            raise InvalidValue(where, f"matches looks at a text, not at {_kind(values[0])}")
        return node.pattern.search(values[0])
    return _compare(node.kind, values[0], values[1], where)


def _true(value: Any) -> bool:
    return bool(value)


def _compare(sign: str, left: Any, right: Any, where: str) -> bool:
    if sign in ("==", "!="):
        return _same(left, right) == (sign == "==")
    if sign == "contains":
        return _contains(left, right, where)
    kinds = _kind(left), _kind(right)
    if kinds[0] != kinds[1] or kinds[0] not in ("a number", "a text"):
        raise InvalidValue(
            where, f"{sign} compares two numbers or two texts, not {kinds[0]} and {kinds[1]}"
        )
    if sign in ("<", ">="):
        return bool(left < right) == (sign == "<")
    return bool(left > right) == (sign == ">")


def _same(left: Any, right: Any) -> bool:
    return _kind(left) == _kind(right) and bool(left == right)


def _contains(left: Any, right: Any, where: str) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return right.casefold() in left.casefold()
    if isinstance(left, (list, tuple)):
        return any(_same(each, right) for each in left)
    if isinstance(left, Mapping) and isinstance(right, str):
        return right in left
    raise InvalidValue(
        where,
        "contains looks for a text in a text, for a value in a list or for a name in a record, not "
        f"for {_kind(right)} in {_kind(left)}",
    )


def _kind(value: Any) -> str:
    """What a value is called in a sentence."""
    if value is None:
        return "null"
    kinds: tuple[tuple[Any, str], ...] = (
        (bool, "true or false"),
        ((int, float), "a number"),
        (str, "a text"),
        ((list, tuple), "a list"),
        (Mapping, "a record"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), type(value).__name__)
