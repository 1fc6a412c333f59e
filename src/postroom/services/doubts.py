"""Rows in doubt whose service says `resend`: look for evidence, then decide (RFC 1047)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Literal

from postroom.clock import timestamp
from postroom.db import Claim, Database, Owe, Queue, Tx, write_or_owe
from postroom.db.claims import claim_lost
from postroom.errors import PostroomError
from postroom.services import settle as rows
from postroom.services.service import Service
from postroom.services.settling import Drained

__all__ = ["DOUBTS", "Evidence", "Look", "Ruling", "resolve", "rule"]

Evidence = Literal["found", "absent", "unknown"]
"""Whether the message lies in the Sent folder; ``absent`` also where there is no such folder to
look into, ``unknown`` when looking failed or said nothing."""

Ruling = Literal["sent", "resend", "wait", "hold"]
"""``wait``: look again later.  ``hold``: a person decides."""

Look = Callable[[str, Sequence[str]], Awaitable[Mapping[str, Evidence]]]
"""Gives the evidence for these Message-IDs on a connection; those that it does not name are absent.
Raises PostroomError when it could not look."""

DOUBTS: Final = Queue(
    "outbox",
    ready="finished_at IS NULL AND state = 'ambiguous' AND (:item = '' OR id = :item)",
    order="due_at, id",
    among="service",
)
_FOUND: Final = "No answer came, but the server put the message into the Sent folder: it took it."
_NOWHERE: Final = "It lies neither in the Sent folder nor among the drafts."
_BATCH: Final = 100


def rule(
    policy: Literal["hold", "resend"], evidence: Evidence, *, accepted: bool, over: bool
) -> Ruling:
    """What becomes of a message in doubt (pure).

    ``accepted``: the server took the message before, for other recipients, so the copy in the
    Sent folder may be of that time and proves nothing.  ``over``: its retry time has passed.
    """
    if policy == "hold":
        return "hold"
    if evidence == "found" and not accepted:
        return "sent"
    if over:
        return "hold"
    return "wait" if evidence == "unknown" else "resend"


async def resolve(
    db: Database,
    connection: str,
    by_name: Mapping[str, Service],
    *,
    owner: str,
    item: str,
    look: Look,
    done: Drained,
    owe: Owe | None = None,
) -> int:
    """Decide the rows in doubt that are due; gives how many are to be sent again."""
    named: dict[str, Any] = {"names": by_name, "item": item}
    due = await db.read(lambda tx: DOUBTS.next_due(tx, now=timestamp(), **named))
    if due is None or due > timestamp():
        return 0
    claims = await db.write(
        lambda tx: DOUBTS.claim(tx, owner=owner, now=timestamp(), limit=_BATCH, **named)
    )
    failure: PostroomError | None = None
    there: Mapping[str, Evidence] = {}
    try:
        asked = [one for one in claims if by_name[one.row["service"]].on_ambiguous == "resend"]
        if asked:
            there = await look(connection, [one.row["message_id"] for one in asked])
    except PostroomError as error:
        failure = error
        done.error = done.error or error

    def body(tx: Tx) -> list[Ruling]:
        return [
            _decide(tx, one, by_name[one.row["service"]], owner, there, failure)
            for one in claims
            if DOUBTS.holds(tx, one, owner=owner)  # else somebody else decides
        ]

    rulings = await write_or_owe(db, body, owe)
    done.sent += rulings.count("sent")
    done.ambiguous += rulings.count("hold")
    return rulings.count("resend")


def _decide(
    tx: Tx,
    one: Claim,
    service: Service,
    owner: str,
    there: Mapping[str, Evidence],
    failure: PostroomError | None,
) -> Ruling:
    now = timestamp()
    found: Evidence = there.get(one.row["message_id"], "absent")
    states = rows.recipients_of(tx, [one.id])[one.id].states
    ruling = rule(
        service.on_ambiguous,
        "unknown" if failure else found,
        accepted="sent" in states.values(),
        over=now - one.row["queued_at"] >= service.retry.for_,
    )
    if ruling == "resend":
        _reopen(tx, one, owner, now)
        return ruling
    why = failure.kept(failure.sentence) if failure else _NOWHERE
    said = {
        "sent": _FOUND,
        "wait": f"Whether it arrived is not known yet: {why}",
        "hold": one.row["reason"],
    }[ruling]
    state = "sent" if ruling == "sent" else "ambiguous"
    wait = rows.backoff(service.retry, one.row["attempts"] + 1) if ruling == "wait" else 0.0
    decisions = {
        position: rows.Decision(state, 0, "", said)
        for position, before in states.items()
        if before == "ambiguous"
    }
    ending = rows.Ending(one, decisions, states, now + wait, service, reason=said)
    if not rows.settle(tx, [ending], owner=owner, now=now):
        raise claim_lost()
    return ruling


def _reopen(tx: Tx, one: Claim, owner: str, now: float) -> None:
    """Due again for those in doubt, with the same bytes and so the same Message-ID."""
    DOUBTS.guard(tx, one, owner=owner)
    tx.execute(
        "UPDATE outbox_recipients SET state = 'deferred' WHERE item = :id AND state = 'ambiguous'",
        id=one.id,
    )
    tx.execute(
        "UPDATE outbox SET state = 'deferred', updated_at = :now WHERE id = :id", id=one.id, now=now
    )
    DOUBTS.release(tx, one, owner=owner, due_at=now)
