"""What an attempt makes of an outbox row: pure decisions, and the statements that store them."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from postroom.db import Claim, Queue, Row, Tx
from postroom.errors import PostroomError
from postroom.protocols.base import Outcome, Reply
from postroom.services.service import Retry, Service
from postroom.services.states import FINISHED, row_state

__all__ = [
    "OUTBOX",
    "Decision",
    "Ending",
    "Recipients",
    "Taken",
    "backoff",
    "claim",
    "decide",
    "give_back",
    "mark_submitting",
    "put_back",
    "recipients_of",
    "settle",
    "unmark",
]

OUTBOX = Queue(
    "outbox",
    ready="finished_at IS NULL AND state IN ('queued', 'claimed', 'submitting', 'deferred') "
    "AND (:item = '' OR id = :item)",
    order="due_at, id",
    among="service",
    taken="state = CASE state WHEN 'submitting' THEN state ELSE 'claimed' END",
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
    return error.kept(error.reason) if isinstance(error, PostroomError) else str(error or "")


# ------------------------------------------------------------------ claimed, marked, given back


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
    return Taken(fresh, len(taken) - len(fresh))


def _doubt(tx: Tx, one: Claim, owner: str, now: float, service: Service) -> None:
    sentence = "The process that was sending it ended before the server's answer was known."
    to = recipients_of(tx, [one.id])[one.id]
    doubt = {at: Decision("ambiguous", 0, "", sentence) for at in to.waiting.values()}
    due_at = now + backoff(service.retry, one.row["attempts"] + 1)
    settle(tx, [Ending(one, doubt, to.states, due_at, service)], owner=owner, now=now)


def mark_submitting(tx: Tx, claims: Sequence[Claim], *, owner: str, now: float) -> list[Claim]:
    """Make it known, durably, that DATA of these is about to begin; gives those not lost since."""
    ours = OUTBOX.standing(tx, claims, owner=owner)
    tx.many(
        "UPDATE outbox SET state = 'submitting', updated_at = :now WHERE id = :id",
        [{"id": one.id, "now": now} for one in ours],
    )
    return ours


def give_back(tx: Tx, one: Claim, *, owner: str, now: float, service: Service) -> bool:
    """Give back a row whose attempt ended without an outcome, as a takeover would.

    True when that leaves it in doubt.
    """
    if not OUTBOX.holds(tx, one, owner=owner):
        return False
    state = tx.value("SELECT state FROM outbox WHERE id = :id", id=one.id)
    if state == "submitting":
        _doubt(tx, one, owner, now, service)
    elif state == "claimed":
        put_back(tx, one, owner=owner, due_at=now, now=now)
    return bool(state == "submitting")


def unmark(tx: Tx, claims: Sequence[Claim], *, owner: str) -> None:
    """Take marks back from rows that certainly had no DATA; what was lost or settled stays."""
    tx.many(
        "UPDATE outbox SET state = 'claimed' WHERE id = :id AND state = 'submitting'",
        [{"id": one.id} for one in OUTBOX.standing(tx, claims, owner=owner)],
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
    to = recipients_of(tx, [one.id])[one.id]
    outcome = {at: Decision("deferred", 0, "", said) for at in to.waiting.values()}
    settle(tx, [Ending(one, outcome, to.states, due_at, service)], owner=owner, now=now)


# ------------------------------------------------------------------ settled


class Recipients(NamedTuple):
    """To whom a row goes: the addresses that still wait, each with its position, in order; and the
    state of every recipient by its position."""

    waiting: dict[str, int]
    states: dict[int, str]


def recipients_of(tx: Tx, items: Collection[str]) -> dict[str, Recipients]:
    """The recipients of these rows.  Whoever has claimed a row is the only one to change them."""
    found = {item: Recipients({}, {}) for item in items}
    for item, position, address, state in tx.all(
        _RECIPIENTS[tx.dialect], items=json.dumps(list(items))
    ):
        found[item].states[position] = state
        if state in ("queued", "deferred"):
            found[item].waiting[address] = position
    return found


_RECIPIENTS: Final = {
    "sqlite": "SELECT item, position, address, state FROM outbox_recipients WHERE item IN "
    "(SELECT value FROM json_each(:items)) ORDER BY item, position",
    "postgresql": "SELECT item, position, address, state FROM outbox_recipients WHERE item IN "
    "(SELECT json_array_elements_text(CAST(:items AS json))) ORDER BY item, position",
}


class Ending(NamedTuple):
    """How an attempt ended: what is decided, by position, and what the ``states`` were before.

    The row is looked at again at ``due_at`` if something of it waits, or is in doubt where the
    service says resend.  ``reason`` is why a row counts as sent that nobody answered for.
    """

    claim: Claim
    decisions: Mapping[int, Decision]
    states: Mapping[int, str]
    due_at: float
    service: Service | None
    reason: str = ""


class _Result(NamedTuple):
    """What becomes of a row: its ``reason`` is for people, ``said`` goes into the attempt."""

    state: str
    reason: str
    said: str
    finished: bool
    given_up: bool
    copied: bool


def settle(tx: Tx, endings: Sequence[Ending], *, owner: str, now: float) -> dict[str, str]:
    """Store how attempts ended and give the rows back; gives the new state of each by its id.

    Of rows that were taken over meanwhile nothing is stored: they are not among those.  A row that
    is still deferred when its service's retry time is over fails, and says so.
    """
    ours = OUTBOX.standing(tx, [each.claim for each in endings], owner=owner)
    known = {one.id for one in ours}
    settled = [(each, _result(each, now)) for each in endings if each.claim.id in known]
    tx.many(
        "UPDATE outbox_recipients SET state = :state, code = :code, enhanced = :enhanced, "
        "reply = :reply WHERE item = :item AND position = :position",
        [
            {
                "item": each.claim.id,
                "position": position,
                "state": one.state,
                "code": one.code,
                "enhanced": one.enhanced,
                "reply": one.reply,
            }
            for each, _ in settled
            for position, one in each.decisions.items()
        ],
    )
    rows = [_row(each, result, now) for each, result in settled]
    tx.many(
        "UPDATE outbox SET state = :state, reason = :reason, updated_at = :now, owner = NULL, "
        "due_at = :due_at, attempts = :attempt, finished_at = :finished WHERE id = :id",
        rows,
    )
    tx.many(
        "INSERT INTO outbox_attempts (item, attempt, at, outcome, said) "
        "VALUES (:id, :attempt, :now, :state, :said)",
        rows,
    )
    _give_up(tx, [each.claim.id for each, result in settled if result.given_up])
    _want_copies(tx, [each.claim.row for each, result in settled if result.copied], now)
    return {each.claim.id: result.state for each, result in settled}


def _result(each: Ending, now: float) -> _Result:
    service = each.service
    after = {**each.states, **{at: one.state for at, one in each.decisions.items()}}
    state = row_state(after.values())
    said = next((one.reply for one in each.decisions.values() if one.state == state), "")
    over = service is None or now - each.claim.row["queued_at"] >= service.retry.for_
    given_up = state == "deferred" and service is not None and over
    if given_up:
        state, said = "failed", f"Given up after the retry time of the service. Last: {said}"
    looked = state == "ambiguous" and service is not None and service.on_ambiguous == "resend"
    return _Result(
        state=state,
        reason=each.reason if state == "sent" else said,
        said=said,
        finished=state in FINISHED and (over or not looked),
        given_up=given_up,
        copied=state == "sent"
        and not each.reason
        and service is not None
        and service.sent_copy in ("auto", "append"),
    )


def _row(each: Ending, result: _Result, now: float) -> dict[str, Any]:
    return {
        "id": each.claim.id,
        "state": result.state,
        "reason": result.reason,
        "said": result.said,
        "now": now,
        "due_at": each.due_at,
        "attempt": each.claim.row["attempts"] + 1,
        "finished": now if result.finished else None,
    }


def _give_up(tx: Tx, items: Sequence[str]) -> None:
    tx.many(
        "UPDATE outbox_recipients SET state = 'failed' WHERE item = :id "
        "AND state IN ('queued', 'deferred')",
        [{"id": item} for item in items],
    )


def _want_copies(tx: Tx, rows: Sequence[Row], now: float) -> None:
    """In the same transaction as the outcome; what makes it is in services/copies.py."""
    tx.many(
        "INSERT INTO sent_copies (id, service, state, said, attempts, created_at, due_at, epoch) "
        "VALUES (:id, :service, 'waiting', '', 0, :now, :now, 0)",
        [{"id": row["id"], "service": row["service"], "now": now} for row in rows],
    )
