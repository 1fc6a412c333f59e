"""The ledger: what sources remember of every message, like an inbox; why each is as it is."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from postroom.errors import InvalidValue, NotThere
from postroom.web.paging import number_of, ways
from postroom.web.paths import get, post
from postroom.web.visit import Visit, at

__all__ = ["ROUTES"]

STATES: Final = (
    "pending", "held", "acquired", "delivered", "done", "ignored", "failed", "vanished",
)  # fmt: skip
MEANS: Final = {
    "pending": "It is known and waits for its turn.",
    "held": "It waits for a person: release it, or leave it where it is.",
    "acquired": "It is being handed over.",
    "delivered": "It is durable where it goes; what is to happen on the server is still due.",
    "done": "It was handed over, and all is done on the server.",
    "ignored": "A filter left it out.",
    "failed": "The sink refused it.",
    "vanished": "It was gone from the server before it was read.",
}
_TAKEN: Final = ("pending", "acquired", "delivered", "done")
_FILTERS: Final = ("source", "state", "from", "subject", "message_id", "since", "until")


async def _list(visit: Visit) -> Response:
    given = {name: visit.query(name) for name in _FILTERS}
    error: InvalidValue | None = None
    try:
        found = await visit.room.ledger.list(
            given["source"] or None,
            states=[given["state"]] if given["state"] else [],
            from_=given["from"],
            subject=given["subject"],
            message_id=given["message_id"],
            since=given["since"] or None,
            until=given["until"] or None,
            after=number_of(visit.query("after")),
        )
    except InvalidValue as wrong:
        error, found = wrong, await visit.room.ledger.list()
    sources = [one.name for one in await visit.room.sources.list(counted=False)]
    counts = await visit.room.ledger.counts(given["source"]) if given["source"] else {}
    kept = {name: value for name, value in given.items() if value}
    first, more = ways(visit, kept, found)
    return visit.page(
        "ledger/list.html", entries=found, given=given, kept=kept, states=STATES, sources=sources,
        counts=counts, error=error, next=more, first=first, query=urlencode,
    )  # fmt: skip


async def _entry(visit: Visit) -> Any:
    number = number_of(visit["id"]) or 0
    for one in await visit.room.ledger.list(ids=[number]):
        return one
    raise NotThere(
        f"There is no ledger entry {number}.", hint="It is forgotten 400 days after it is gone."
    )


async def _show(visit: Visit) -> Response:
    entry = await _entry(visit)
    source = await visit.room.sources.show(entry.source)
    taken = not entry.reason and entry.state in _TAKEN
    place = {"via": source["connection"], "folder": entry.folder, "id": entry.message}
    return visit.page(
        "ledger/show.html", entry=entry, means=MEANS[entry.state],
        why=_why(entry, source) if taken else "",
        read=f"/messages/read?{urlencode(place)}" if not entry.gone_at else "",
    )  # fmt: skip


def _why(entry: Any, source: dict[str, Any]) -> str:
    """Why a message was taken: it came where the source looks, and nothing left it out."""
    told = f"It came to {entry.folder}, which {entry.source} watches"
    ignore = source.get("ignore") or {}
    rules = [
        f"{field.capitalize()} {kind} {', '.join(ignore[field][kind])}"
        for field in ("from", "subject")
        for kind in ("deny", "allow")
        if (ignore.get(field) or {}).get(kind)
    ]
    if not rules:
        return f"{told}, and no filter is set there."
    return f"{told}, and passed its filters; as they are now: {'; '.join(rules)}."


async def _release(visit: Visit) -> Response:
    entry = await _entry(visit)
    done = await visit.room.ledger.release(entry.source, [entry.id])
    told = "It is processed with the next pass." if done else "It is not held any more."
    return visit.go(at("ledger", str(entry.id)), told)


async def _reset(visit: Visit) -> Response:
    entry = await _entry(visit)
    done = await visit.room.ledger.reset(entry.source, [entry.id])
    told = (
        "It is processed anew with the next pass."
        if done
        else "Nothing was done: it is at work, or its message is gone from the server."
    )
    return visit.go(at("ledger", str(entry.id)), told, "done" if done else "note")


ROUTES = (
    get("/ledger", _list),
    get("/ledger/{id}", _show),
    post("/ledger/{id}/release", _release, "use"),
    post("/ledger/{id}/reset", _reset, "use"),
)
