"""The doors: every operation has one or a reason, and nobody passes one without its right."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from postroom.access import ROLES, VERBS, Person
from postroom.app import NOUNS, Room
from postroom.errors import Refused
from postroom.operations.doors import BY_NAME, DOORS, HERE_ONLY, OF_PAGE
from postroom.operations.gate import Gate


def operations() -> set[str]:
    found = set()
    for noun, (module, kind) in NOUNS.items():
        made = getattr(import_module(f"postroom.operations.{module}"), kind)
        found |= {f"{noun}.{name}" for name in public(made)}
        for name, nested in beneath(made).items():
            found |= {f"{noun}.{name}.{each}" for each in public(nested)}
    return found


def public(made: type) -> set[str]:
    """The public methods of a class."""
    return {name for name, _ in inspect.getmembers(made, callable) if not name.startswith("_")}


def beneath(made: type) -> dict[str, type]:
    """The operations that lie in an attribute of others, as ``keys.kek``: ``self.NAME = Class(...)``."""
    module, found = import_module(made.__module__), dict[str, type]()
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(made)))):
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Attribute):
            continue
        name, value = node.targets[0].attr, node.value
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
            nested = getattr(module, value.func.id, None)
            if isinstance(nested, type) and nested.__module__.startswith("postroom.operations."):
                found |= {} if name.startswith("_") else {name: nested}
    return found


def test_every_operation_has_a_door_or_a_reason_for_none() -> None:
    """T25: a new operation is nobody's from outside before somebody has said whose it is."""
    doors = {f"{one.noun}.{one.method}" for one in DOORS}
    page = {f"{noun}.{method}" for noun, method in OF_PAGE}
    assert doors | HERE_ONLY.keys() | page == operations()
    assert not doors & HERE_ONLY.keys()
    assert not page & (doors | HERE_ONLY.keys())
    assert set(OF_PAGE.values()) <= set(VERBS)
    assert len(BY_NAME) == len(DOORS)


def test_a_door_has_a_right_and_a_place_of_its_own() -> None:
    assert {one.right for one in DOORS} <= set(VERBS)
    places = [(one.http, one.path) for one in DOORS]
    assert len(set(places)) == len(places)


def test_no_path_has_an_address_in_it() -> None:
    """Paths are written into logs, here and by every proxy: whose erasure it was would stand there."""
    named = {part for door in DOORS for part in re.findall(r"{(\w+)}", door.path)}
    assert named == {
        "name", "version", "label", "item", "run", "id", "grantee",
    }  # fmt: skip


class Noun:
    """Operations that are only asked for."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def show(self, name: str) -> str:
        self.asked.append(name)
        return name

    def set(self, name: str, changes: dict[str, Any], *, rebind: Any = False) -> str:
        self.asked.append(rebind)
        return name

    def remove(self, tx: Any) -> None:
        self.asked.append(tx)


def desk_of(person: Person) -> Any:
    """As much of a desk as a gate looks at."""
    return SimpleNamespace(person=person)


@pytest.mark.parametrize("role", ROLES)
def test_nobody_passes_a_door_without_its_right(role: str) -> None:
    """T25: role by role, and nothing of the operation has begun."""
    noun = Noun()
    gate = Gate("connections", noun, desk_of(Person(f"user:{role}", role, ROLES[role], "1")))
    assert gate.show("acme") == "acme"
    if "edit" in ROLES[role]:
        assert gate.set("acme", {}) == "acme"
    else:
        with pytest.raises(Refused, match="right to edit") as refused:
            gate.set("acme", {})
        assert (refused.value.code, noun.asked) == ("not_permitted", ["acme"])


def test_rebinding_wants_a_right_of_its_own() -> None:
    """T26: an editor changes a host, and does not send a stored secret there."""
    noun = Noun()
    gate = Gate("connections", noun, desk_of(Person("user:ed", "editor", ROLES["editor"], "1")))
    with pytest.raises(Refused, match="right to rebind"):
        gate.set("acme", {}, rebind=True)
    with pytest.raises(Refused, match="right to rebind"):
        gate.set("acme", {}, rebind=frozenset({("login", "imap://h:993")}))
    assert noun.asked == []


def test_what_has_no_door_is_not_there() -> None:
    gate = Gate("connections", Noun(), desk_of(Person("user:root", "admin", ROLES["admin"], "1")))
    with pytest.raises(AttributeError):
        gate.remove(None)


async def test_what_lies_in_an_operation_is_not_there_either(room: Room) -> None:
    """T25: nobody from outside comes to the room's keys by the noun in which they lie."""
    assert "keys.kek.retire" in operations()
    root = room.acting(Person("user:root", "admin", ROLES["admin"], "1"))
    assert await root.keys.status()
    with pytest.raises(AttributeError):
        _ = root.keys.kek
