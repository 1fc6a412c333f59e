"""What is told of stored failures to whoever is no administrator: where no server had spoken, one thing.

A source, a message and the log of a connection say why a server was not reached.  Whoever may give a
connection any host and port would read there which ports are open (T59).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from postroom.errors import NoServer
from postroom.net.veil import cut

if TYPE_CHECKING:  # a connection is listed without what loads the outbox
    from postroom.operations.desk import Desk
    from postroom.services.outbox import Item

__all__ = ["item_told", "log_told", "told"]

_SAME = ("actor", "side", "event", "step", "code", "detail")


def told(desk: Desk, text: str) -> str:
    """A stored sentence as whoever asks is told it."""
    return cut(text) if desk.veiled else text


def log_told(desk: Desk, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The log of a connection, newest first; what failed alike for whoever asks is one event, counted."""
    if not desk.veiled:
        return found
    shown: list[dict[str, Any]] = []
    newer: dict[str, dict[str, Any]] = {}
    for row in found:
        said = cut(row["detail"])
        if said != row["detail"]:
            row = {**row, "step": NoServer.step, "code": NoServer.code, "detail": said}
        after = newer.get(row["side"])
        if after is not None and all(after[key] == row[key] for key in _SAME):
            after |= {"since": row["since"], "times": after["times"] + row["times"]}
            continue
        newer[row["side"]] = row = dict(row)
        if not row["side"]:  # of all of it, such as a restart
            newer = {}
        shown.append(row)
    return shown


def item_told(desk: Desk, item: Item) -> Item:
    """A message as it stands in the outbox."""
    if not desk.veiled:
        return item
    copy = item.sent_copy
    return dataclasses.replace(
        item,
        reason=cut(item.reason),
        recipients=tuple(dataclasses.replace(one, reply=cut(one.reply)) for one in item.recipients),
        sent_copy=None if copy is None else dataclasses.replace(copy, said=cut(copy.said)),
    )
