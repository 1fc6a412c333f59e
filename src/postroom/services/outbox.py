"""The outbox: one durable row for each message to send, from the moment a caller is told "stored"."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
from collections.abc import Callable
from typing import Any, Final

from postroom import audit
from postroom.clock import rfc3339, timestamp
from postroom.db import Row, Tx, is_living
from postroom.errors import NotThere, Refused
from postroom.services import ofrun
from postroom.services.contents import content_of, keep
from postroom.services.repeats import stored_by
from postroom.services.service import Service
from postroom.services.states import ASKING, FINISHED, may_follow

__all__ = [
    "Item",
    "ItemCopy",
    "ItemRecipient",
    "ItemSettled",
    "Parcel",
    "add",
    "attempts",
    "first_id",
    "item_of",
    "new_id",
    "newest",
    "shift",
    "show",
    "waiting",
    "waiting_by",
    "waiting_count",
]


@dataclasses.dataclass(frozen=True, slots=True)
class Parcel:
    """What is stored: the exact bytes, the envelope, and what people want to see of it."""

    content: bytes
    sender: str
    recipients: tuple[str, ...]
    message_id: str
    subject: str
    utf8: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class ItemRecipient:
    """One recipient of an outbox item, with the last reply that concerns it."""

    address: str
    state: str
    code: int
    enhanced: str
    reply: str


@dataclasses.dataclass(frozen=True, slots=True)
class ItemCopy:
    """The copy for the Sent folder: waiting, kept, failed or none, and why."""

    state: str
    said: str


@dataclasses.dataclass(frozen=True, slots=True)
class ItemSettled:
    """Who has dealt with an item that failed or is in doubt, and when."""

    by: str
    at: float

    def as_json(self) -> dict[str, str]:
        """As ``--json`` shows it."""
        return {"by": self.by, "at": rfc3339(self.at)}


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """An outbox item as people see it."""

    id: str
    service: str
    state: str
    reason: str
    message_id: str
    subject: str
    sender: str
    size: int
    attempts: int
    created_at: float
    due_at: float
    finished: bool  # nothing more will happen to it by itself
    recipients: tuple[ItemRecipient, ...]
    sent_copy: ItemCopy | None = None  # None: none was wanted, or it is not sent yet
    settled: ItemSettled | None = None  # only of what failed or is in doubt
    run: str | None = None  # the run that has sent it; while it is held, under that one
    created_by: str = ""  # who stored it: an actor

    def as_json(self) -> dict[str, Any]:
        """The item as ``--json`` and the library's callers see it (DESIGN 4.8)."""
        recipients = [dataclasses.asdict(recipient) for recipient in self.recipients]
        return {
            "id": self.id,
            "service": self.service,
            "state": self.state,
            "reason": self.reason,
            "message_id": self.message_id,
            "subject": self.subject,
            "from": self.sender,
            "size": self.size,
            "attempts": self.attempts,
            "created_at": rfc3339(self.created_at),
            "created_by": self.created_by,
            "next_attempt_at": None if self.finished else rfc3339(self.due_at),
            "recipients": recipients,
            "sent_copy": dataclasses.asdict(self.sent_copy) if self.sent_copy else None,
            "settled": self.settled.as_json() if self.settled else None,
            "run": self.run,
        }


def add(
    tx: Tx,
    service: Service,
    parcel: Parcel,
    *,
    name: str = "",
    actor: str,
    idempotency_key: str | None = None,
    digest: bytes = b"",
    run: str = "",
    run_epoch: int | None = None,
) -> str:
    """Store one message; gives its id.  Durable once the transaction is.

    ``name`` is what the row carries instead of the service's own name, for an implicit service.
    ``run``: it is held until that run is over; ``run_epoch`` is of the attempt that sends, as its
    claim says, and one that was taken over can send nothing.

    With an ``idempotency_key`` known for this service, the stored item's id comes back and nothing
    is added; if its ``digest`` (of the request, before dates and ids are made) differs, that is
    Refused(``idempotency_conflict``).  Raises Refused(``queue_full``, ``claim_lost``),
    and a temporary Refused where another run holds the message of that key.
    """
    name = name or service.name
    digest = digest or hashlib.sha256(parcel.content).digest()
    reason = ofrun.under(tx, run, epoch=run_epoch) if run else ""
    if idempotency_key is not None:
        known = stored_by(tx, name, idempotency_key, digest, run=run)
        if known is not None:
            return known
    if _at_most(tx, name, service.queue_size) >= service.queue_size:
        raise Refused(
            f"The queue of service {name} is full ({service.queue_size} messages wait"
            f"{', those that this run has sent too: they go when it is over' if run else ''}).",
            code="queue_full",
            temporary=True,
            hint=f"See what holds it up: postroom outbox list --service {name}",
        )
    now = timestamp()
    item = new_id(now)
    tx.execute(
        "INSERT INTO outbox (id, service, state, reason, message_id, subject, sender, size, utf8, "
        "idempotency_key, digest, attempts, created_by, created_at, queued_at, updated_at, due_at, "
        "epoch, run) VALUES (:id, :service, :state, :reason, :message_id, :subject, :sender, :size, "
        ":utf8, :key, :digest, 0, :actor, :now, :now, :now, :now, 0, :run)",
        id=item, state="held" if run else "queued", reason=reason, run=run or None,
        service=name, message_id=parcel.message_id, subject=parcel.subject,
        sender=parcel.sender, size=len(parcel.content), utf8=int(parcel.utf8),
        key=idempotency_key, digest=digest, actor=actor, now=now,
    )  # fmt: skip
    _insert_parts(tx, item, parcel)
    return item


def first_id(instant: float) -> str:
    """Where ids of that instant (seconds since 1970) begin.

    Ids sort as they were made: a time is a bound of ids, and an index page stays warm.
    """
    return f"{int(instant * 1000):011x}"


class _Within:
    """Numbers the ids of one millisecond.  They begin anew with the next one: from two ids of their
    own nobody counts what others stored between."""

    begin, number = "", 0

    def next(self, begin: str) -> int:
        self.begin, self.number = begin, self.number + 1 if begin == self.begin else 0
        return self.number


_WITHIN: Final = _Within()


def new_id(now: float) -> str:
    """An id of that instant; within a millisecond a process's ids sort as it made them."""
    begin = first_id(now)
    return f"{begin}{_WITHIN.next(begin) % 0x1000:03x}{secrets.token_hex(4)}"


def _insert_parts(tx: Tx, item: str, parcel: Parcel) -> None:
    tx.many(
        "INSERT INTO outbox_recipients (item, position, address, state, code, enhanced, reply) "
        "VALUES (:item, :position, :address, 'queued', 0, '', '')",
        [
            {"item": item, "position": position, "address": address}
            for position, address in enumerate(parcel.recipients)
        ],
    )
    keep(tx, item, parcel.content)


def _at_most(tx: Tx, service: str, size: int) -> int:
    """How many messages of a service wait, at the most; counted where that may be ``size``.

    What was counted once, and each message that was stored since, is as many as there can be while
    nobody else writes: a long queue is not counted for each message.
    """
    known: int | None = tx.kept.get(("waiting", service))
    if known is None or known >= size:
        known = waiting_count(tx, service)
    tx.kept["waiting", service] = known + 1
    return known


def waiting_count(tx: Tx, service: str) -> int:
    """How many messages of a service are stored and not finished."""
    count: int = tx.value(
        "SELECT count(*) FROM outbox WHERE service = :service AND finished_at IS NULL",
        service=service,
    )
    return count


def waiting(tx: Tx, service: str | None) -> dict[str, int]:
    """How many messages of a service (None: of all) are stored and not finished, by state.

    Those of a connection count with whichever mailbox a command named.
    """
    rows = tx.all(
        "SELECT state, count(*) AS n FROM outbox WHERE finished_at IS NULL "
        "AND (:service IS NULL OR service = :service COLLATE NOCASE "
        "OR substr(service, 1, length(:service) + 1) = :service || '/' COLLATE NOCASE) "
        "GROUP BY state ORDER BY state",
        service=service,
    )
    return {row["state"]: row["n"] for row in rows}


def waiting_by(tx: Tx) -> list[tuple[str, str]]:
    """The services of messages that are stored and not finished, each with each state of them."""
    rows = tx.all(
        "SELECT service, state FROM outbox WHERE finished_at IS NULL GROUP BY service, state"
    )
    return [(row["service"], row["state"]) for row in rows]


def newest(tx: Tx, service: str) -> Row | None:
    """When the newest message of a service was stored, and by whom; None when there is none."""
    return tx.one(
        "SELECT created_at, created_by FROM outbox WHERE service = :service "
        "ORDER BY created_at DESC LIMIT 1",
        service=service,
    )


_BEGIN: Final = (
    "SELECT * FROM outbox WHERE id >= :item AND id < :end "
    "AND instr(:hidden, char(10) || service || char(10)) = 0 LIMIT 2"
)


def show(tx: Tx, item: str, *, hidden: Callable[[Tx], str] | None = None) -> Item:
    """One item by its id, or by the beginning of it when that is enough.  Raises NotThere.

    ``hidden`` are services whose items do not make it several: their names, each between line breaks.
    """
    rows = tx.all(_BEGIN, item=item, end=item + "\x7f", hidden="")
    if len(rows) > 1 and hidden is not None:
        rows = tx.all(_BEGIN, item=item, end=item + "\x7f", hidden=hidden(tx))
    if len(rows) != 1 or not item:
        raise NotThere(
            f"There is no outbox item {item!r}."
            if not rows
            else f"Several outbox items begin with {item!r}.",
            hint="List them: postroom outbox list",
        )
    return item_of(tx, rows[0])


def item_of(tx: Tx, row: Row) -> Item:
    """What people see of a row."""
    recipients = tx.all(
        "SELECT address, state, code, enhanced, reply FROM outbox_recipients "
        "WHERE item = :item ORDER BY position",
        item=row["id"],
    )
    copy = tx.one("SELECT state, said FROM sent_copies WHERE id = :id", id=row["id"])
    finished = row["finished_at"] is not None
    return Item(
        id=row["id"],
        service=row["service"],
        state=row["state"],
        reason=row["reason"],
        message_id=row["message_id"],
        subject=row["subject"],
        sender=row["sender"],
        size=row["size"],
        attempts=row["attempts"],
        created_at=row["created_at"],
        due_at=row["due_at"],
        finished=finished,
        recipients=tuple(ItemRecipient(*each) for each in recipients),
        sent_copy=ItemCopy(*copy) if copy else None,
        settled=_settled(tx, row["id"]) if finished and row["state"] in ASKING else None,
        run=row["run"],
        created_by=row["created_by"],
    )


def _settled(tx: Tx, item: str) -> ItemSettled | None:
    """Who has settled it: the last that was done with it; whoever tries it again opens it again."""
    last = audit.last(tx, noun="outbox", name=item)
    if last is None or last["action"] != "settle":
        return None
    return ItemSettled(last["actor"], last["at"])


def shift(tx: Tx, item: str, state: str, *, reason: str) -> Item:
    """An operator's change of state: hold, release, retry or cancel, by the table of states.

    Retrying sends again to the recipients that were not accepted.  Raises Refused when the table
    does not allow it, while a living worker has the item (what a dead one had is free), and where a
    run holds it that is not over: it may be cancelled, and not sent before.
    """
    found, now = show(tx, item), timestamp()
    if state == "queued":
        ofrun.check_over(tx, found.id)
    owner = tx.value("SELECT owner FROM outbox WHERE id = :id", id=found.id)
    busy = is_living(tx, owner, now=now)
    if busy or not may_follow(found.state, state):
        why = "a worker has it right now" if busy else f"it is {found.state}"
        raise Refused(f"Outbox item {found.id} cannot become {state}: {why}.")
    if content_of(tx, found.id) is None and state == "queued":
        raise Refused(
            f"The content of outbox item {found.id} has been removed.",
            hint="It is kept for 7 days after a message is finished; send it anew.",
        )
    tx.kept.pop(("waiting", found.service), None)  # it may be one that waits again
    tx.execute(
        "UPDATE outbox SET state = :state, owner = NULL, reason = :reason, due_at = :now, "
        "updated_at = :now, finished_at = :finished, "
        "queued_at = CASE WHEN :retry THEN :now ELSE queued_at END, epoch = epoch + 1 WHERE id = :id",
        state=state,
        reason=reason,
        now=now,
        id=found.id,
        retry=int(state == "queued"),
        finished=now if state in FINISHED else None,
    )
    if state in _RECIPIENTS:
        tx.execute(_RECIPIENTS[state], id=found.id)
    return show(tx, found.id)


_RECIPIENTS: Final = {
    "queued": "UPDATE outbox_recipients SET state = 'queued' WHERE item = :id AND state <> 'sent'",
    # whom the server has refused stays refused: nobody took that out of the queue
    "cancelled": "UPDATE outbox_recipients SET state = 'cancelled' WHERE item = :id "
    "AND state NOT IN ('sent', 'failed')",
}


def attempts(tx: Tx, item: str) -> list[dict[str, Any]]:
    """Every attempt that was made for an item, oldest first: when, how it ended, what was said."""
    rows = tx.all(
        "SELECT attempt, at, outcome, said FROM outbox_attempts WHERE item = :item "
        "ORDER BY attempt",
        item=show(tx, item).id,
    )
    return [
        {
            "attempt": row["attempt"],
            "at": rfc3339(row["at"]),
            "outcome": row["outcome"],
            "said": row["said"],
        }
        for row in rows
    ]
