"""Every operation that has a door is asked for by a verb, or stands here with the reason why not."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

from postroom import cli
from postroom.operations.doors import DOORS

OTHERWISE: Final = {
    "commands.describe": "postroom explain has it, without a room",
    "keys.damaged": "in keys.doctor",
    "roomfile.apply_text": "of a file that lies here: postroom apply reads it, and what it refers to",
    "variables.used": "of each by itself: postroom variable usage",
}
"""What no verb asks for, and what stands in its place."""


def asked() -> set[str]:
    """What the verbs ask a room for, as ``noun.method``."""
    found = set()
    for path in Path(cli.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
                found.add(f"{node.value.attr}.{node.attr}")
    return found


def test_every_operation_is_a_verb() -> None:
    doors = {f"{door.noun}.{door.method}" for door in DOORS}
    assert doors - asked() == set(OTHERWISE)
