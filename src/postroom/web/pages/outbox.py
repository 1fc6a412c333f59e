"""The outbox: what waits, what was sent, what failed and why; and what an operator decides about it."""

from __future__ import annotations

import asyncio
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from postroom.errors import InvalidValue
from postroom.web.paging import ways
from postroom.web.paths import get, post
from postroom.web.reading import Letter, answer_part, facts_of
from postroom.web.visit import Visit, at

__all__ = ["ROUTES"]

STATES: Final = (
    "queued", "claimed", "submitting", "deferred", "held", "sent", "failed", "ambiguous", "cancelled",
)  # fmt: skip
VERBS: Final = {
    "queued": ("hold", "cancel"),
    "deferred": ("retry", "hold", "cancel"),
    "held": ("release", "cancel"),
    "failed": ("retry",),
    "ambiguous": ("retry", "cancel"),
}
"""What may be decided about an item in each state."""
TOLD: Final = {
    "hold": "It is held until somebody releases it.",
    "release": "It is let go.",
    "retry": "It is tried again.",
    "cancel": "It was taken out of the queue.",
    "settle": "It is settled: nobody is asked about it any more.",
}
MEANS: Final = {
    "queued": "It waits for its turn.",
    "claimed": "A worker has it; nothing of it is on the wire yet.",
    "submitting": "It is on the wire now.",
    "deferred": "It could not be handed over yet. It is tried again by itself.",
    "held": "It is kept back until somebody lets it go.",
    "sent": "The server has accepted it for every recipient.",
    "failed": "At least one recipient was refused for good.",
    "ambiguous": "It was handed over, and the answer never came: it may have arrived, or not. Look "
    "whether it did before you try again.",
    "cancelled": "What of it was not sent was taken out of the queue.",
}
_PARTLY: Final = "Whoever stands below as sent has it."
_FILTERS: Final = ("service", "state", "to", "from", "message_id", "since", "before", "run")


async def _list(visit: Visit) -> Response:
    given = {name: visit.query(name) for name in _FILTERS}
    asking = visit.query("unsettled") == "yes"
    error: InvalidValue | None = None
    try:
        found = await visit.room.outbox.list(
            service=given["service"] or None,
            states=[given["state"]] if given["state"] else [],
            to=given["to"],
            from_=given["from"],
            message_id=given["message_id"],
            since=given["since"] or None,
            before=given["before"] or None,
            unsettled=asking,
            run=given["run"],
            after=visit.query("after") or None,
        )
    except InvalidValue as wrong:
        error, found = wrong, await visit.room.outbox.list()
    kept = {name: value for name, value in given.items() if value}
    if asking:
        kept["unsettled"] = "yes"
    return visit.page(
        "outbox/_list.html" if visit.live else "outbox/list.html",
        items=found, given=given, kept=kept, asking=asking, states=STATES, error=error,
        services=[one["name"] for one in await visit.room.services.list()],
        unattended=await visit.room.outbox.unattended(),
        address=f"/outbox?{urlencode(kept)}",
        **ways(visit, kept, found)._asdict(),
    )  # fmt: skip


async def _show(visit: Visit) -> Response:
    item = await visit.room.outbox.show(visit["item"])
    verbs = VERBS.get(item.state, ()) if visit.may("send") else ()
    settles = item.state in ("failed", "ambiguous") and item.finished and item.settled is None
    return visit.page(
        "outbox/_item.html" if visit.live else "outbox/show.html",
        item=item, means=_means(item), attempts=await visit.room.outbox.attempts(item.id),
        verbs=verbs, settles=settles and visit.may("send"),
    )  # fmt: skip


def _means(item: Any) -> str:
    partly = item.state != "sent" and any(one.state == "sent" for one in item.recipients)
    return f"{MEANS[item.state]} {_PARTLY}" if partly else MEANS[item.state]


async def _doomed(visit: Visit) -> Response:
    """Whether it is really to be taken out of the queue: nobody can put it back."""
    item = await visit.room.outbox.show(visit["item"])
    states = {
        state: ", ".join(one.address for one in item.recipients if one.state == state)
        for state in ("sent", "ambiguous")
    }
    told = [
        f"Who has it already keeps it: {states['sent']}." if states["sent"] else "",
        f"It may have arrived already: {states['ambiguous']}." if states["ambiguous"] else "",
    ]
    return visit.page(
        "work/confirm.html", title="Cancel this message?", back=at("outbox", item.id),
        back_label=item.subject or "No subject", action=at("outbox", item.id, "cancel"),
        button="Cancel it",
        sentence="It is not sent any more, and cannot be put back into the queue. "
        + (" ".join(filter(None, told)) or "Nobody has it yet."),
    )  # fmt: skip


async def _hold(visit: Visit) -> Response:
    return _decided(visit, "hold", await visit.room.outbox.hold(visit["item"]))


async def _release(visit: Visit) -> Response:
    return _decided(visit, "release", await visit.room.outbox.release(visit["item"]))


async def _retry(visit: Visit) -> Response:
    return _decided(visit, "retry", await visit.room.outbox.retry(visit["item"]))


async def _cancel(visit: Visit) -> Response:
    return _decided(visit, "cancel", await visit.room.outbox.cancel(visit["item"]))


def _decided(visit: Visit, verb: str, item: Any) -> Response:
    return visit.go(at("outbox", item.id), TOLD[verb])


async def _settle(visit: Visit) -> Response:
    (found,) = await visit.room.outbox.settle([visit["item"]])
    return visit.go(at("outbox", found.id), TOLD["settle"])


async def _held(visit: Visit) -> Response:
    """Everything that is held, of a service or of all: let go, or cancelled."""
    service = visit.form.text("service") or None
    if visit.form.text("do") == "cancel":
        done = await visit.room.outbox.cancel_held(service=service)
        return visit.go("/outbox", f"Cancelled: {done:,}.")
    done = await visit.room.outbox.release_held(service=service)
    return visit.go("/outbox", f"Let go: {done:,}.")


async def _settle_all(visit: Visit) -> Response:
    done = await visit.room.outbox.settle_all(service=visit.form.text("service") or None)
    return visit.go("/outbox", f"Settled: {done:,}.")


async def _read(visit: Visit) -> Response:
    """What was sent, as its recipients see it."""
    item = await visit.room.outbox.show(visit["item"])
    letter = await _letter(visit)
    return visit.page(
        "messages/read.html", title=item.subject, back=at("outbox", item.id), back_label="Outbox item",
        **facts_of(letter, at("outbox", item.id)), named="",
    )  # fmt: skip


async def _part(visit: Visit) -> Response:
    return answer_part(visit, await _letter(visit), visit["part"])


async def _letter(visit: Visit) -> Letter:
    raw = await visit.room.outbox.content(visit["item"])
    return await asyncio.to_thread(Letter.of, raw)


ROUTES = (
    get("/outbox", _list),
    post("/outbox/held", _held, "send"),
    post("/outbox/settle-all", _settle_all, "send"),
    get("/outbox/{item}", _show),
    post("/outbox/{item}/hold", _hold, "send"),
    post("/outbox/{item}/release", _release, "send"),
    post("/outbox/{item}/retry", _retry, "send"),
    get("/outbox/{item}/cancel", _doomed, "send"),
    post("/outbox/{item}/cancel", _cancel, "send"),
    post("/outbox/{item}/settle", _settle, "send"),
    get("/outbox/{item}/message", _read, "read"),
    get("/outbox/{item}/message/{part}", _part, "read"),
)
