"""What an attempt makes of an outbox row: pure decisions, and the statements that store them."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from postroom.db import Claim, Queue, Row, Tx
from postroom.errors import PostroomError
from postroom.protocols.base import Outcome, Reply
from postroom.services.service import Retry, Service
from postroom.services.states import FINISHED, row_state

__all__ = [
    "OUTBOX",
    "Decision",
    "Taken",
    "backoff",
    "claim",
    "decide",
    "give_back",
    "mark_submitting",
    "open_recipients",
    "put_back",
    "settle",
    "unmark",
]

OUTBOX = Queue(
    "outbox",
    ready="finished_at IS NULL AND state IN ('queued', 'claimed', 'submitting', 'deferred') "
    "AND (:item = '' OR id = :item)",
    order="due_at, id",
    among="service",
)
"""What a dispatcher may take: rows of the services named, or one ``item`` of them;
``claimed`` and ``submitting`` ones come up only when their owner is gone."""


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one recipient."""

    state: str
    code: int
    enhanced: str
    reply: str


def backoff(retry: Retry, attempts: int) -> float:
    """Seconds to wait after so many attempts: doubling from ``min`` to ``max``, a tenth at random.

    The random part keeps a thousand rows deferred by one outage from coming back in one second.
    """
    wait: float = min(retry.max, retry.min * 2.0 ** min(attempts - 1, 32))
    return wait * random.uniform(0.9, 1.0)  # noqa: S311  # spreads load, guards nothing


def decide(outcome: Outcome, waiting: Mapping[str, int]) -> dict[int, Decision]:
    """What becomes of each recipient that was tried, by its position; the others stay.

    ``waiting`` maps the addresses that were in this attempt to their positions.
    """
    if outcome.state == "ambiguous":
        said = _said(outcome.error)
        refused = {
            one.address: one.reply for one in outcome.recipients if one.reply.state != "accepted"
        }
        return {
            position: _from_reply(refused[address])
            if address in refused
            else Decision("ambiguous", 0, "", said)
            for address, position in waiting.items()
        }
    if outcome.state == "untouched":
        said = _said(outcome.error)
        return {position: Decision("deferred", 0, "", said) for position in waiting.values()}
    replies = {one.address: one.reply for one in outcome.recipients}
    return {
        position: _from_reply(replies[address])
        for address, position in waiting.items()
        if address in replies
    }


def _from_reply(reply: Reply) -> Decision:
    state = {"accepted": "sent", "deferred": "deferred", "rejected": "failed"}[reply.state]
    return Decision(state, reply.code, reply.enhanced, reply.text)


def _said(error: Exception | None) -> str:
    return error.reason if isinstance(error, PostroomError) else str(error or "")


# ------------------------------------------------------------------ statements


class Taken(NamedTuple):
    """What a claim brought: rows to send, and how many were found in doubt."""

    claims: list[Claim]
    doubted: int = 0


def claim(
    tx: Tx,
    *,
    owner: str,
    now: float,
    services: Mapping[str, Service],
    limit: int,
    item: str = "",
) -> Taken:
    """Take rows that are due.  One whose owner died while it was ``submitting`` is in doubt.

    Such a row becomes ``ambiguous`` here and now and is only counted.
    """
    taken = OUTBOX.claim(tx, owner=owner, now=now, limit=limit, names=services, item=item)
    fresh = []
    for one in taken:
        if one.row["state"] == "submitting":
            _doubt(tx, one, owner, now, services[one.row["service"]])
            continue
        fresh.append(one)
    tx.many("UPDATE outbox SET state = 'claimed' WHERE id = :id", [{"id": one.id} for one in fresh])
    return Taken(fresh, len(taken) - len(fresh))


def _doubt(tx: Tx, one: Claim, owner: str, now: float, service: Service) -> None:
    sentence = "The process that was sending it ended before the server's answer was known."
    waiting = open_recipients(tx, one.id)
    doubt = {row["position"]: Decision("ambiguous", 0, "", sentence) for row in waiting}
    due_at = now + backoff(service.retry, one.row["attempts"] + 1)
    settle(tx, one, doubt, owner=owner, due_at=due_at, now=now, service=service)


def mark_submitting(tx: Tx, one: Claim, *, owner: str, now: float) -> None:
    """Make it known, durably, that DATA is about to begin.  Raises ``claim_lost``."""
    marked = tx.execute(
        "UPDATE outbox SET state = 'submitting', updated_at = :now "
        "WHERE id = :id AND epoch = :epoch AND owner = :owner",
        id=one.id,
        epoch=one.epoch,
        owner=owner,
        now=now,
    )
    if not marked:
        OUTBOX.guard(tx, one, owner=owner)


def give_back(tx: Tx, one: Claim, *, owner: str, now: float, service: Service) -> bool:
    """Give back a row whose attempt ended without an outcome, as a takeover would.

    True when that leaves it in doubt.
    """
    state = tx.value(
        "SELECT state FROM outbox WHERE id = :id AND epoch = :epoch AND owner = :owner",
        id=one.id,
        epoch=one.epoch,
        owner=owner,
    )
    if state == "submitting":
        _doubt(tx, one, owner, now, service)
    elif state == "claimed":
        put_back(tx, one, owner=owner, due_at=now, now=now)
    return bool(state == "submitting")


def unmark(tx: Tx, claims: Sequence[Claim], *, owner: str) -> None:
    """Take marks back from rows that certainly had no DATA; what was lost or settled stays."""
    tx.many(
        "UPDATE outbox SET state = 'claimed' WHERE id = :id AND epoch = :epoch "
        "AND owner = :owner AND state = 'submitting'",
        [{"id": one.id, "epoch": one.epoch, "owner": owner} for one in claims],
    )


def put_back(
    tx: Tx,
    one: Claim,
    *,
    owner: str,
    due_at: float,
    now: float,
    said: str = "",
    service: Service | None = None,
) -> None:
    """Give a row back untouched: the throttle is used up, or the connection could not be opened.

    ``said`` (why the connection could not be opened) counts as an attempt; with a ``service``
    whose retry time is over, the row fails.
    """
    if not said:
        tx.execute(
            "UPDATE outbox SET state = CASE WHEN attempts = 0 THEN 'queued' "
            "ELSE 'deferred' END WHERE id = :id",
            id=one.id,
        )
        OUTBOX.release(tx, one, owner=owner, due_at=due_at)
        return
    waiting = {row["address"]: row["position"] for row in open_recipients(tx, one.id)}
    outcome = {position: Decision("deferred", 0, "", said) for position in waiting.values()}
    settle(tx, one, outcome, owner=owner, due_at=due_at, now=now, service=service)


def open_recipients(tx: Tx, item: str) -> list[Row]:
    """The recipients that still wait, in order."""
    return tx.all(
        "SELECT position, address FROM outbox_recipients WHERE item = :item "
        "AND state IN ('queued', 'deferred') ORDER BY position",
        item=item,
    )


def settle(
    tx: Tx,
    one: Claim,
    decisions: Mapping[int, Decision],
    *,
    owner: str,
    due_at: float,
    now: float,
    service: Service | None,
    reason: str = "",
) -> str:
    """Store how an attempt ended and give the row back; gives the row's new state.

    A row that is still deferred when its service's retry time is over fails, and says so; one in
    doubt is looked at again at ``due_at`` where the service says resend.  ``reason`` is why a row
    counts as sent that nobody answered for.
    """
    states = _guarded_states(tx, one, owner) | {at: each.state for at, each in decisions.items()}
    tx.many(
        "UPDATE outbox_recipients SET state = :state, code = :code, enhanced = :enhanced, "
        "reply = :reply WHERE item = :item AND position = :position",
        [
            {
                "item": one.id,
                "position": position,
                "state": each.state,
                "code": each.code,
                "enhanced": each.enhanced,
                "reply": each.reply,
            }
            for position, each in decisions.items()
        ],
    )
    state = row_state(list(states.values()))
    said = next((each.reply for each in decisions.values() if each.state == state), "")
    over = service is None or now - one.row["queued_at"] >= service.retry.for_
    if state == "deferred" and service and over:
        tx.execute(
            "UPDATE outbox_recipients SET state = 'failed' WHERE item = :id "
            "AND state IN ('queued', 'deferred')",
            id=one.id,
        )
        state, said = "failed", f"Given up after the retry time of the service. Last: {said}"
    looked = state == "ambiguous" and service is not None and service.on_ambiguous == "resend"
    finished = state in FINISHED and (over or not looked)
    why = reason if state == "sent" else said
    _finish(tx, one.id, state, why, now, due_at=due_at, finished=finished)
    _attempt(tx, one.row, state, said, now)
    if state == "sent" and not reason and service and service.sent_copy in ("auto", "append"):
        _want_copy(tx, one.row, now)
    return state


def _guarded_states(tx: Tx, one: Claim, owner: str) -> dict[int, str]:
    """The recipients' states by position, and in the same look what ``guard`` looks for."""
    found = tx.all(
        "SELECT r.position, r.state FROM outbox o JOIN outbox_recipients r ON r.item = o.id "
        "WHERE o.id = :id AND o.epoch = :epoch AND o.owner = :owner",
        id=one.id,
        epoch=one.epoch,
        owner=owner,
    )
    if not found:
        OUTBOX.guard(tx, one, owner=owner)
    return {row["position"]: row["state"] for row in found}


def _want_copy(tx: Tx, row: Row, now: float) -> None:
    """In the same transaction as the outcome; what makes it is in services/copies.py."""
    tx.execute(
        "INSERT INTO sent_copies (id, service, state, said, attempts, created_at, due_at, epoch) "
        "VALUES (:id, :service, 'waiting', '', 0, :now, :now, 0)",
        id=row["id"],
        service=row["service"],
        now=now,
    )


def _finish(
    tx: Tx, item: str, state: str, reason: str, now: float, *, due_at: float, finished: bool
) -> None:
    """The end of the attempt, and the row is given back (guarded before): one statement, not two."""
    tx.execute(
        "UPDATE outbox SET state = :state, reason = :reason, updated_at = :now, owner = NULL, "
        "due_at = :due_at, attempts = attempts + 1, finished_at = :finished WHERE id = :id",
        state=state,
        reason=reason,
        now=now,
        id=item,
        due_at=due_at,
        finished=now if finished else None,
    )


def _attempt(tx: Tx, row: Row, outcome: str, said: str, now: float) -> None:
    tx.execute(
        "INSERT INTO outbox_attempts (item, attempt, at, outcome, said) "
        "VALUES (:item, :attempt, :now, :outcome, :said)",
        item=row["id"],
        attempt=row["attempts"] + 1,
        now=now,
        outcome=outcome,
        said=said,
    )
