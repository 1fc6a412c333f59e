"""Inheritance: merged field by field, auth and lists whole, marked, bounded, never in a circle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.connections.connection import Connection
from postroom.connections.inherit import MOST_DEEP, Merged, merge
from postroom.errors import InvalidValue, NotThere
from postroom.fields import parse, shown


def _family(*bodies: dict[str, Any]) -> tuple[Connection, Callable[[str], Connection]]:
    """The first connection, and how to get the others."""
    known = {body["name"].casefold(): parse(Connection, body) for body in bodies}

    def get(name: str) -> Connection:
        if name.casefold() not in known:
            raise NotThere(f"There is no connection called {name!r}.")
        return known[name.casefold()]

    return known[bodies[0]["name"].casefold()], get


def _merged(*bodies: dict[str, Any]) -> Merged:
    return merge(*_family(*bodies))


SECRET = {"type": "secret", "credential": "login"}


def test_fields_are_merged_and_marked() -> None:
    merged = _merged(
        {"name": "child", "extends": "Parent", "incoming": {"user": "orders@example.com"}},
        {
            "name": "parent", "extends": "top", "worker_roles": ["a", "b"],
            "description": "not inherited",
            "incoming": {"host": "imap.example.com", "auth": SECRET},
        },
        {
            "name": "top",
            "incoming": {"protocol": "imap", "host": "old.example.com", "read_only": True},
            "allowed_senders": ["*@example.com"],
        },
    )  # fmt: skip
    assert merged.connection.name == "child"
    assert merged.connection.description == ""
    assert merged.connection.incoming is not None
    assert shown(merged.connection.incoming) == {
        "protocol": "imap", "host": "imap.example.com", "read_only": True,
        "user": "orders@example.com", "auth": SECRET,
    }  # fmt: skip
    assert merged.inherited == {
        "incoming.protocol": "top", "incoming.read_only": "top", "allowed_senders": "top",
        "incoming.host": "parent", "incoming.auth": "parent", "worker_roles": "parent",
    }  # fmt: skip
    assert merged.chain == ("parent", "top")


def test_auth_and_lists_are_replaced_whole() -> None:
    merged = _merged(
        {"name": "child", "extends": "parent", "worker_roles": [],
         "incoming": {"auth": {"type": "none"}}},
        {"name": "parent", "worker_roles": ["a"], "incoming": {"protocol": "imap", "auth": SECRET}},
    )  # fmt: skip
    assert merged.connection.incoming is not None
    assert merged.connection.incoming.auth is not None
    assert shown(merged.connection.incoming.auth) == {"type": "none"}
    assert merged.connection.worker_roles == []
    assert "incoming.auth" not in merged.inherited


def test_a_child_may_say_true_where_its_parent_says_false() -> None:
    merged = _merged(
        {"name": "child", "extends": "parent", "incoming": {"check_server_identity": True}},
        {"name": "parent", "incoming": {"protocol": "imap", "check_server_identity": False}},
    )
    assert merged.connection.incoming is not None
    assert merged.connection.incoming.check_server_identity is True


def test_a_child_may_empty_what_its_parent_has() -> None:
    merged = _merged(
        {"name": "child", "extends": "parent", "incoming": {"trust": ""}},
        {"name": "parent", "incoming": {"protocol": "imap", "trust": "ca"}},
    )
    assert merged.connection.incoming is not None
    assert merged.connection.incoming.trust == ""


@pytest.mark.parametrize(
    ("bodies", "sentence"),
    [
        ([{"name": "a", "extends": "A"}], "circle: a extends A"),
        ([{"name": "a", "extends": "b"}, {"name": "b", "extends": "a"}], "a extends b extends a"),
        ([{"name": "a", "extends": "nobody"}], "no connection called 'nobody'"),
    ],
)
def test_refused(bodies: list[dict[str, Any]], sentence: str) -> None:
    with pytest.raises(InvalidValue, match=sentence):
        _merged(*bodies)


@given(depth=st.integers(0, MOST_DEEP + 3))
def test_at_most_eight_deep(depth: int) -> None:
    bodies: list[dict[str, Any]] = [
        {"name": f"c{level}", "extends": f"c{level + 1}"} for level in range(depth)
    ]
    bodies.append({"name": f"c{depth}", "incoming": {"protocol": "imap"}})
    if depth <= MOST_DEEP:
        assert len(_merged(*bodies).chain) == depth
    else:
        with pytest.raises(InvalidValue, match="at most 8"):
            _merged(*bodies)


def test_without_a_parent_nothing_changes() -> None:
    body = {"name": "a", "incoming": {"protocol": "imap", "host": "h", "auth": SECRET}}
    merged = _merged(body)
    assert shown(merged.connection) == shown(parse(Connection, body))
    assert merged.inherited == {}
