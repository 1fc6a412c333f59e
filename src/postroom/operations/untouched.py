"""What is not there for whoever asks stays as it is, whatever they change above or beside it.

A connection that others extend, a variable and a room file reach what rests on a restricted credential:
without its secret going elsewhere, its mail might, or it might not work any more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from postroom.connections import store as connections
from postroom.db import Tx
from postroom.errors import PostroomError, Refused
from postroom.operations.expanding import expanded
from postroom.operations.sight import NamedSight
from postroom.services import service as services
from postroom.sources import store as sources

if TYPE_CHECKING:
    from postroom.operations.desk import Desk

__all__ = ["untouched"]


@contextlib.contextmanager
def untouched(desk: Desk, tx: Tx) -> Iterator[None]:
    """What is done within changes nothing that is not there for whoever asks, or is Refused
    (``not_permitted``) without a name."""
    sight = tx.sight
    if not isinstance(sight, NamedSight) or not sight.hidden(tx):
        yield
        return
    seen = _names(tx)
    with tx.seen_by(None):
        hidden = _names(tx) - seen
        before = _come_to(desk, tx, hidden)
    yield
    with tx.seen_by(None):
        if _come_to(desk, tx, hidden) != before:
            raise Refused(
                "Something that is not there for you rests on this, and would be another; nothing was "
                "saved.",
                code="not_permitted",
                hint="Ask an administrator to make this change.",
            )


def _names(tx: Tx) -> set[tuple[str, str]]:
    return {
        (noun, one.name)
        for noun, store in (
            ("connection", connections), ("source", sources), ("service", services),
        )
        for one in store.load_all(tx)
    }  # fmt: skip


def _come_to(desk: Desk, tx: Tx, names: set[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """What each of these comes to with what it inherits and with its macros expanded, or why not."""
    resolver, expand = desk.resolver(tx), desk.expander(tx)
    ask: dict[str, Callable[[str], object]] = {
        "connection": lambda name: resolver.effective(f"connection:{name}").as_json(),
        "source": lambda name: expanded(desk, tx, sources.get(tx, name)),
        "service": lambda name: expand(services.get(tx, name).from_, ""),
    }
    found = {}
    for noun, name in names:
        try:
            found[noun, name] = repr(ask[noun](name))
        except PostroomError as error:
            found[noun, name] = str(error)
    return found
