"""Every operation that has a door is asked for by a page, or stands here with the reason why not."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, Final, cast

from postroom import web
from postroom.operations.doors import DOORS, OF_PAGE
from postroom.web import pages

OTHERWISE: Final = {
    "credentials.get": "the record for programs; its page draws the same out of credentials.show",
    "credentials.usage": "in credentials.show, which its page draws",
    "connections.usage": "in connections.show, which its page draws",
}
"""What no page asks for, and what stands in its place: only what a page has in another way."""


def asked() -> set[str]:
    """What the pages ask for, as ``noun.method``: ``room.NOUN.METHOD(...)`` in their syntax trees."""
    found = set()
    for path in Path(web.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Attribute)
                and _is_room(node.func.value.value)
            ):
                found.add(f"{node.func.value.attr}.{node.func.attr}")
    return found


def _is_room(node: ast.expr) -> bool:
    """``room``, or ``visit.room``: the room as whoever asks sees it."""
    return (isinstance(node, ast.Name) and node.id == "room") or (
        isinstance(node, ast.Attribute) and node.attr == "room"
    )


STANDS_FOR = {
    "accounts.attempt": "accounts.test", "accounts.complete": "accounts.connect",
    "commands.check_reads": "commands.run", "signins.sign_in_by": "signins.sign_in",
}  # fmt: skip
"""What the page asks for in its own way: a browser comes back to it."""


def test_every_operation_is_in_a_page() -> None:
    doors = {f"{door.noun}.{door.method}" for door in DOORS}
    assert {f"{noun}.{method}" for noun, method in OF_PAGE} == STANDS_FOR.keys()
    done = asked() | {STANDS_FOR[each] for each in asked() & STANDS_FOR.keys()}
    assert doors - done == set(OTHERWISE)


def test_no_page_asks_for_what_has_no_door() -> None:
    doors = {f"{door.noun}.{door.method}" for door in DOORS}
    assert asked() - doors - STANDS_FOR.keys() == set()


def test_every_file_of_pages_is_served() -> None:
    """What asks for something is a page: its routes are among those that are answered."""
    files = {one.stem for one in Path(pages.__file__).parent.glob("*.py")} - {"__init__"}
    served = {cast("Any", one).__name__.rpartition(".")[2] for one in pages.PAGES}
    assert files == served
