"""Overview: what needs a person now, what has trouble, what is there; an empty room has a beginning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from starlette.responses import Response

from postroom.clock import timestamp
from postroom.web.paths import get
from postroom.web.templating import counted
from postroom.web.visit import Visit, at

__all__ = ["ROUTES"]

_FAILING: Final = ("failed", "backing off", "waiting for sign-in")
_AGAIN: Final = ("connecting", "signing in")
"""What a source is in as well while it is tried again after a failure."""
_SOURCES: Final = 8
_DEFERRED: Final = 200
"""Deferred messages that are looked through for the services they wait in: the newest."""
_LATE: Final = 60.0
"""Seconds behind its time from which on a try is not under way but waits for somebody."""
_KINDS: Final = {
    "sign-in": "Sign-in", "expiry": "Ends", "source": "Stuck", "ledger": "Not delivered",
    "outbox": "Not sent", "job": "Failed", "worker": "No worker", "audit": "Audit",
}  # fmt: skip


class _Trouble(NamedTuple):
    """What goes on by itself and does not work now: whose it is, why, when it is tried again, where to go."""

    noun: str
    name: str
    said: str
    next: float | None
    path: str

    @property
    def late(self) -> bool:
        """Whether that time has passed for a while: nobody is there to do it."""
        return self.next is not None and self.next < timestamp() - _LATE


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
        return visit.go("/") if visit.live else visit.page("overview.html", empty=True)
    sources = await room.sources.list(counted=False)
    needs = await room.notify.needs()
    connections = await room.connections.list()
    trying, refused = _of_sources(visit, sources, needs, connections)
    return visit.page(
        "_now.html" if visit.live else "overview.html",
        empty=False,
        needs=sorted(
            [*(_need(visit, one) for one in needs), *refused], key=lambda one: not one.broken
        ),
        troubles=[*trying, *await _of_services(visit)],
        counts=counts,
        sources=sorted(sources, key=lambda one: (one.state not in _FAILING, one.name))[:_SOURCES],
        waiting=await room.outbox.waiting(),
        health=await room.health.ready(),
        failing=_FAILING,
        broken=[one for one in connections if "error" in one],
        told=bool(await room.notify.list()),
    )


def _of_sources(
    visit: Visit,
    sources: Iterable[Any],
    needs: Iterable[Mapping[str, Any]],
    connections: Iterable[Any],
) -> tuple[list[_Trouble], list[_Need]]:
    """Sources that fail and are no need yet: those that try again soon, and those that were refused."""
    known = {one["name"] for one in needs if one["kind"] == "source"}
    asked = {one["name"].casefold() for one in needs if one["kind"] == "sign-in"}
    tried = {one["name"]: one["tried"].get("incoming") for one in connections}
    trying, refused = [], []
    for one in sources:
        if one.name in known:
            continue
        path, last = at("sources", one.name), tried.get(one.connection)
        if one.state == "backing off":
            trying.append(
                _Trouble("Source", one.name, one.note, one.next_wake or one.due_since, path)
            )
        elif one.state in _AGAIN and last and not last["ok"]:
            trying.append(_Trouble("Source", one.name, last["said"], None, path))
        elif one.state == "failed":
            refused.append(_Need("Failed", f"source {one.name}. {one.note}", True, "See why", path))
        elif one.state == "waiting for sign-in" and one.connection.casefold() not in asked:
            label, path = _sign_in(visit, one.connection)  # nobody ever has signed in
            refused.append(_Need("Sign-in", f"source {one.name}. {one.note}", True, label, path))
    return trying, refused


async def _of_services(visit: Visit) -> list[_Trouble]:
    """Services whose messages were put off: what the other side said to the newest of them."""
    found: dict[str, list[Any]] = {}
    # one that is tried again right now has left the state for that time alone
    for item in await visit.room.outbox.list(states=["deferred", "claimed"], limit=_DEFERRED):
        if item.reason and item.attempts:
            found.setdefault(item.service, []).append(item)
    return [
        _Trouble(
            "Service", name, f"{counted(len(items), 'message')} put off. {items[0].reason}",
            min(item.due_at for item in items), f"/outbox?service={quote(name)}&state=deferred",
        )
        for name, items in found.items()
    ]  # fmt: skip


def _sign_in(visit: Visit, connection: str) -> tuple[str, str]:
    """What is there to be pressed for a connection that asks for a sign-in, and where it leads."""
    if visit.may("use"):
        return "Sign in", at("connections", connection, "sign-in")
    return "Look", at("connections", connection)


def _need(visit: Visit, one: dict[str, Any]) -> _Need:
    name, word = one["name"], _KINDS.get(one["kind"], one["kind"])
    places = {
        "sign-in": _sign_in(visit, name),
        "expiry": (
            "Give it a new one" if visit.may("replace") else "Look",
            at("credentials", name),
        ),
        "source": ("Look", at("sources", name)),
        "ledger": ("See why", f"/ledger?source={quote(name)}&state=failed"),
        "outbox": ("See and settle", f"/outbox?service={quote(name)}&unsettled=yes"),
        "job": ("See why", f"/runs?job={quote(name)}"),
        "audit": ("Look", "/audit"),
    }
    label, path = places.get(one["kind"], ("", ""))
    if one["kind"] == "expiry":
        said = one["said"].removeprefix(f"Credential {name}: ")
        return _Need(word, f"{name}: {said}", one["broken"], label, path)
    return _Need(word, one["said"], one["broken"], label, path)


ROUTES = (get("/", _overview),)
