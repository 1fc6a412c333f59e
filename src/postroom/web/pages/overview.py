"""Overview: what needs a person now, and what is there; an empty room begins with an account."""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from urllib.parse import quote

from starlette.responses import Response

from postroom.web.paths import get
from postroom.web.visit import Visit, at

__all__ = ["ROUTES"]

_FAILING: Final = ("failed", "backing off", "waiting for sign-in")
_SOURCES: Final = 8
_RUNS: Final = 200
"""Runs that are looked through for those that failed: the newest."""
_KINDS: Final = {
    "sign-in": "Sign-in", "expiry": "Ends", "source": "Stuck", "ledger": "Not delivered",
    "outbox": "Not sent", "worker": "No worker", "audit": "Audit",
}  # fmt: skip


class _Need(NamedTuple):
    """One thing that needs a person: what it is, the sentence, whether it is broken, where to go."""

    kind: str
    said: str
    broken: bool
    label: str
    path: str


async def _overview(visit: Visit) -> Response:
    room = visit.room
    counts = await room.health.counts()
    if not counts["connections"] and not counts["credentials"]:
        return visit.page("overview.html", empty=True)
    sources = await room.sources.list(counted=False)
    needs = [_need(one) for one in await room.notify.needs()]
    return visit.page(
        "overview.html",
        empty=False,
        needs=sorted(needs, key=lambda one: not one.broken),
        counts=counts,
        sources=sorted(sources, key=lambda one: (one.state not in _FAILING, one.name))[:_SOURCES],
        waiting=await room.outbox.waiting(),
        health=await room.health.ready(),
        failed=await _failed(visit),
        broken=[one for one in await room.connections.list() if "error" in one],
        told=bool(await room.notify.list()),
    )


async def _failed(visit: Visit) -> list[Any]:
    """The newest run of each job, of the last day, where it failed."""
    newest: dict[str, Any] = {}
    for run in await visit.room.runs.list(since="1d", limit=_RUNS):
        if run.finished:
            newest.setdefault(run.job.casefold(), run)
    return [run for run in newest.values() if run.state in ("failed", "lost")]


def _need(one: dict[str, Any]) -> _Need:
    name, word = one["name"], _KINDS.get(one["kind"], one["kind"])
    places = {
        "sign-in": ("Sign in", at("connections", name, "sign-in")),
        "expiry": ("Give it a new one", at("credentials", name)),
        "source": ("Look", at("sources", name)),
        "ledger": ("See why", f"/ledger?source={quote(name)}&state=failed"),
        "outbox": ("See and settle", f"/outbox?service={quote(name)}"),
        "audit": ("Look", "/audit"),
    }
    label, path = places.get(one["kind"], ("", ""))
    if one["kind"] == "expiry":
        said = one["said"].removeprefix(f"Credential {name}: ")
        return _Need(word, f"{name}: {said}", one["broken"], label, path)
    return _Need(word, one["said"], one["broken"], label, path)


ROUTES = (get("/", _overview),)
