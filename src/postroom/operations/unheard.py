"""What is told of failures where no mail server has spoken yet: to whoever is no administrator, one thing.

A source, a message and the log of a connection say why a server was not reached.  Whoever may give a
connection any host and port would read there which ports are open (T59).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, cast

from postroom.connections import store as connections
from postroom.connections.boxed import bare
from postroom.connections.direct import DIRECT
from postroom.connections.effective import Effective
from postroom.connections.open import Place
from postroom.connections.veil import BEFORE, NO_PORT, NoServer
from postroom.db import Tx
from postroom.errors import PostroomError
from postroom.net.names import host_and_port
from postroom.services import service as services

if TYPE_CHECKING:  # a connection is listed without what loads sinks and jobs
    from postroom.notices.notification import Notify
    from postroom.operations.desk import Desk
    from postroom.services.outbox import Item
    from postroom.sources.standing import Status

__all__ = [
    "attempts_told", "item_told", "log_told", "said_told", "source_told", "tried_told", "unheard", "way_told",
]  # fmt: skip

_SPOKE: Final = ("signed in", "opened", "secret refused", "alert")
_ANSWERED: Final = re.compile(r"\banswered [0-9]{3}\b")
_STEPS: Final = (*BEFORE, "secret")


def unheard(tx: Tx, via: str, side: Place) -> bool:
    """Whether nothing has spoken as a mail server on that side of a connection since where it leads, or
    a variable, was changed last; of a credential that is used directly: whether its secret was taken."""
    name = bare(via)
    if name.startswith(DIRECT):
        return tx.value(_TAKEN, key=name.removeprefix(DIRECT).lower()) is None
    key = name.removeprefix("connection:").casefold()
    with tx.seen_by(None):
        since = max(float(tx.value(_VARIABLES) or 0.0), *_changed(tx, key))
    for row in tx.all(_EVENTS, key=key, side=side, since=since):
        if row["event"] in _SPOKE or (row["event"] == "failed" and row["step"] not in _STEPS):
            return False
    return True


_EVENTS: Final = (
    "SELECT event, step FROM connection_events "
    "WHERE connection = :key AND side = :side AND at >= :since"
)


_VARIABLES: Final = "SELECT max(updated_at) FROM variables"
_TAKEN: Final = (
    "SELECT v.presented_at FROM credentials c JOIN credential_versions v "
    "ON v.credential = c.id AND v.version = c.version WHERE c.name_key = :key"
)


def _changed(tx: Tx, key: str) -> Iterator[float]:
    """When a connection and those above it were changed last."""
    yield 0.0
    seen: set[str] = set()
    while key and key not in seen:
        seen.add(key)
        row = tx.one("SELECT updated_at FROM connections WHERE name_key = :key", key=key)
        if row is None:
            return
        yield row["updated_at"]
        try:
            key = connections.get(tx, key).extends.casefold()
        except PostroomError:
            return


def source_told(desk: Desk, tx: Tx, status: Status) -> Status:
    """How a source stands, without what its failure says of a port."""
    from postroom.sources.standing import FAILING

    if desk.person.unrestricted or status.state not in FAILING or not status.connection:
        return status
    if not unheard(tx, status.connection, "incoming"):
        return status
    return dataclasses.replace(
        status, note=str(NoServer(_where(desk, tx, status.connection, "incoming")))
    )


def said_told(desk: Desk, tx: Tx, noun: str, name: str, said: str) -> str:
    """The sentence of a notice about a source, without why its server was not reached."""
    from postroom.sources import store as sources

    if desk.person.unrestricted or noun != "source":
        return said
    try:
        connection = sources.get(tx, name).connection
    except PostroomError:
        return said
    return f"{said.partition(': ')[0]}." if unheard(tx, connection, "incoming") else said


def way_told(desk: Desk, one: Notify, said: str) -> str:
    """What came of a webhook or a ping: an answer of a web server, or that there was none."""
    if desk.person.unrestricted or not one.url or not said or _ANSWERED.search(said):
        return said
    return str(NoServer(one.where, what="server"))


def log_told(desk: Desk, tx: Tx, name: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The log of a connection: why no mail server was reached is one thing, before one has spoken."""
    if desk.person.unrestricted:
        return found
    told = []
    for row in found:
        side: Place = "outgoing" if row["side"] == "outgoing" else "incoming"
        port = row["event"] == "failed" and row["step"] in BEFORE
        if port and not _is_no_port(row["code"]) and unheard(tx, name, side):
            none = NoServer(_where(desk, tx, name, side))
            row = {**row, "step": none.step, "code": none.code, "detail": none.sentence}
        told.append(row)
    return told


def tried_told(
    desk: Desk, tx: Tx, effective: Effective, tried: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """How the sides of a connection were opened last, by their place."""
    if desk.person.unrestricted:
        return tried
    told = dict(tried)
    for side in effective.sides:
        last, place = tried.get(side.place), cast("Place", side.place)
        if last and not last["ok"] and unheard(tx, effective.name, place):
            none = NoServer(host_and_port(side.host, side.port))
            told[side.place] = {**last, "said": none.sentence}
    return told


def item_told(desk: Desk, tx: Tx, item: Item, *, veiled: bool = False) -> Item:
    """A message as it stands in the outbox; ``veiled``: whoever asks for it."""
    via = _hidden(desk, tx, item, veiled=veiled)
    if not via:
        return item
    said = NoServer(_where(desk, tx, via, "outgoing")).sentence
    return dataclasses.replace(
        item,
        reason=said if item.reason and item.attempts else item.reason,
        recipients=tuple(
            dataclasses.replace(one, reply=said if one.reply else "") for one in item.recipients
        ),
    )


def attempts_told(
    desk: Desk, tx: Tx, item: Item, found: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The attempts of a message."""
    via = _hidden(desk, tx, item)
    if not via:
        return found
    said = NoServer(_where(desk, tx, via, "outgoing")).sentence
    return [{**one, "said": said if one["said"] else ""} for one in found]


def _hidden(desk: Desk, tx: Tx, item: Item, *, veiled: bool = False) -> str:
    """Through what it is sent, where no mail server has spoken there; else nothing."""
    if (desk.person.unrestricted and not veiled) or any(one.code for one in item.recipients):
        return ""
    service = services.find(tx, item.service)
    via = item.service if service is None else service.connection
    return via if unheard(tx, via, "outgoing") else ""


def _where(desk: Desk, tx: Tx, via: str, place: Place) -> str:
    """Host and port of that side, or the name of what cannot be resolved."""
    try:
        found = desk.resolver(tx).effective(via)
    except PostroomError:
        return via
    side = found.incoming if place == "incoming" else found.outgoing
    return via if side is None else host_and_port(side.host, side.port)


def _is_no_port(code: str) -> bool:
    return code in NO_PORT or code.startswith("certificate_")
