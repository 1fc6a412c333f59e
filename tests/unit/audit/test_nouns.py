"""What rows of the record are about can be asked for: every noun that is written is one of the list."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import postroom
from postroom.operations.audit import NOUNS

__all__: list[str] = []


def _written(call: ast.Call) -> Iterator[str]:
    """The noun of a row that a call writes, where it stands there as a text."""
    if not (isinstance(call.func, ast.Attribute) and call.func.attr == "record"):
        return
    values: list[ast.expr] = [one.value for one in call.keywords if one.arg == "noun"]
    by = call.func.value
    if getattr(by, "attr", getattr(by, "id", "")).endswith("desk"):  # (tx, action, noun, name)
        values += call.args[2:3]
    for value in values:
        if isinstance(value, ast.Constant):
            yield str(value.value)


def test_every_noun_that_is_written_can_be_asked_for() -> None:
    found = {
        noun
        for file in Path(postroom.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        for noun in _written(node)
    }
    assert {"sign-in", "outbox", "room"} <= found, "the search finds what is written"
    assert found <= set(NOUNS)
