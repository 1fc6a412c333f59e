"""Finding outbox items: by address, Message-ID, state and time, a page at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from postroom.db import Tx
from postroom.services import outbox
from postroom.services.outbox import Item

__all__ = ["Found", "Wanted", "due_by_service", "find", "lines", "names", "unsettled"]


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """Which items: all that meet every condition that is given.

    ``to`` and ``sender`` are a whole address, or a part of one (``@example.com``), compared without
    regard to case; ``message_id`` has its angle brackets; ``since`` (inclusive) and ``before`` are
    seconds since 1970 and mean when it was stored.  ``unsettled``: only what failed or is in doubt
    for good, and nobody has settled.  ``run``: sent by that run, given by its id or the beginning of it.
    ``hidden`` are services that are not there for whoever asks: of them nothing is found or counted.
    """

    service: str | None = None
    states: Sequence[str] = ()
    to: str = ""
    sender: str = ""
    message_id: str = ""
    since: float | None = None
    before: float | None = None
    unsettled: bool = False
    run: str = ""
    hidden: Sequence[str] = ()


_EVERY: Final = Wanted()


class Found(NamedTuple):
    """The items of one page.

    ``next`` is the id to go on ``after``, None on the last page; ``total`` is how many there are on
    all pages; ``unsettled`` is how many of the service (of all, where none is given) failed or are in
    doubt, and nobody has settled them.
    """

    items: list[Item]
    next: str | None
    total: int
    unsettled: int


# An id begins with the time: the order of ids is that of storing, and a time is a bound of ids.
# NULL and '' are no condition; recipients are read through once, not once a row.
_MET: Final = (
    "id > :above AND id < :below "
    "AND (:service IS NULL OR service = :service) "
    "AND instr(:hidden, char(10) || service || char(10)) = 0 "
    "AND (:states = '' OR instr(:states, ',' || state || ',') > 0) "
    "AND (:run = '' OR substr(run, 1, length(:run)) = :run) "
    "AND (:message_id = '' OR message_id = :message_id) "
    "AND (:sender = '' OR lower(sender) = :sender) "
    "AND (:sender_part = '' OR instr(lower(sender), :sender_part) > 0) "
    "AND (:to = '' OR id IN (SELECT item FROM outbox_recipients WHERE lower(address) = :to)) "
    "AND (:to_part = '' OR id IN "
    "(SELECT item FROM outbox_recipients WHERE instr(lower(address), :to_part) > 0)) "
)
# Finished, failed or in doubt, and the last that a person did with it was not to settle it: who
# tries it again opens it again.  The states stand here as they do in the index.
_UNSETTLED: Final = (
    "state IN ('failed', 'ambiguous') AND finished_at IS NOT NULL AND coalesce((SELECT action "
    "FROM audit WHERE noun = 'outbox' AND name = outbox.id ORDER BY position DESC LIMIT 1), '') "
    "<> 'settle' "
)
_NEWEST: Final = "ORDER BY id DESC LIMIT :limit"
_OLDEST: Final = "ORDER BY id LIMIT :limit"
ROWS: Final = {
    # unsettled, oldest first
    (False, False): f"SELECT * FROM outbox WHERE {_MET}{_NEWEST}",
    (False, True): f"SELECT * FROM outbox WHERE {_MET}{_OLDEST}",
    (True, False): f"SELECT * FROM outbox WHERE {_UNSETTLED}AND {_MET}{_NEWEST}",
    (True, True): f"SELECT * FROM outbox WHERE {_UNSETTLED}AND {_MET}{_OLDEST}",
}
COUNT: Final = {
    False: f"SELECT count(*) FROM outbox WHERE {_MET}",
    True: f"SELECT count(*) FROM outbox WHERE {_UNSETTLED}AND {_MET}",
}
BY_SERVICE: Final = f"SELECT service, count(*) AS n FROM outbox WHERE {_UNSETTLED}GROUP BY service"
DUE: Final = (
    "SELECT service, count(*) AS n FROM outbox "
    "WHERE finished_at IS NULL AND state IN ('queued', 'deferred') GROUP BY service"
)
DUE_OF_ONE: Final = (
    "SELECT service, count(*) AS n FROM outbox WHERE service = :service "
    "AND finished_at IS NULL AND state IN ('queued', 'deferred') GROUP BY service"
)
_BEHIND: Final = "~"
"""Greater than every id."""


def find(
    tx: Tx, wanted: Wanted = _EVERY, *, after: str = "", oldest: bool = False, limit: int = 50
) -> Found:
    """The next ``limit`` items behind the id ``after``, newest first, or ``oldest`` first."""
    values = _values(wanted)
    begin = dict(values)
    if after and oldest:
        begin["above"] = max(values["above"], after)
    elif after:
        begin["below"] = min(values["below"], after)
    rows = tx.all(ROWS[wanted.unsettled, oldest], **begin, limit=limit + 1)
    more = len(rows) > limit
    items = [outbox.item_of(tx, row) for row in rows[:limit]]
    # what fits on one page is counted
    total = tx.value(COUNT[wanted.unsettled], **values) if more or after else len(items)
    asking = {name: n for name, n in unsettled(tx).items() if name not in wanted.hidden}
    return Found(
        items,
        next=items[-1].id if more else None,
        total=total,
        unsettled=asking.get(wanted.service, 0) if wanted.service else sum(asking.values()),
    )


def unsettled(tx: Tx) -> dict[str, int]:
    """How many items failed or are in doubt, and nobody has settled them, by service."""
    return {row["service"]: row["n"] for row in tx.all(BY_SERVICE)}


def due_by_service(tx: Tx, service: str | None = None) -> dict[str, int]:
    """How many items are sent as soon as they are due, by service (None: of each that has some)."""
    rows = tx.all(DUE if service is None else DUE_OF_ONE, service=service)
    return {row["service"]: row["n"] for row in rows}


def names(tx: Tx) -> list[str]:
    """Every service that is defined or has an item."""
    rows = tx.all("SELECT name FROM services UNION SELECT service FROM outbox ORDER BY 1")
    return [row["name"] for row in rows]


def _values(wanted: Wanted) -> dict[str, Any]:
    to, sender = wanted.to.lower(), wanted.sender.lower()
    return {
        "service": wanted.service,
        "hidden": lines(wanted.hidden),
        "states": f",{','.join(wanted.states)}," if wanted.states else "",
        "message_id": wanted.message_id,
        "run": wanted.run,
        "to": to if _is_whole(to) else "",
        "to_part": "" if _is_whole(to) else to,
        "sender": sender if _is_whole(sender) else "",
        "sender_part": "" if _is_whole(sender) else sender,
        "above": "" if wanted.since is None else outbox.first_id(wanted.since),
        "below": _BEHIND if wanted.before is None else outbox.first_id(wanted.before),
    }


def lines(names: Iterable[str]) -> str:
    """Names as a statement looks for one of them: each on a line of its own, which no name has in it."""
    return "".join(f"\n{name}\n" for name in names)


def _is_whole(address: str) -> bool:
    """``ann@example.com``, and not ``@example.com``."""
    local, _, domain = address.rpartition("@")
    return bool(local and domain)
