"""A person signs in for a connection: by a code, in this browser, or by a link for somebody else; live."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from postroom.errors import NotThere
from postroom.operations.personal import How
from postroom.operations.presetting import presets
from postroom.web.paths import get, post
from postroom.web.person import answer, asking, callback, hows, waits_for, way_to
from postroom.web.visit import Visit, at
from postroom.web.works import Work

__all__ = ["ROUTES"]


async def _choose(visit: Visit) -> Response:
    one = await visit.room.connections.show(visit["name"])
    flow, registered = _named(one)
    return visit.page(
        "connections/sign_in.html", one=one, flow=flow, registered=registered,
        hows=_offered(visit, one, registered), callback=callback(visit),
    )  # fmt: skip


def _named(one: dict[str, Any]) -> tuple[str, str]:
    """The flow that the connection names, and the redirect URI of its app."""
    effective = one["effective"] or {}
    sides = [effective[place] for place in ("incoming", "outgoing") if effective.get(place)]
    for side in sides:
        if str(side["auth"].get("type", "")).startswith("oauth_"):
            return str(side["auth"]["type"]), str(side["auth"].get("redirect_uri", ""))
    return "", ""


def _offered(visit: Visit, one: dict[str, Any], registered: str) -> list[How]:
    """How a person can sign in, without what the provider of this server has barred for mail."""
    effective = one["effective"] or {}
    hosts = {effective[place]["host"] for place in ("incoming", "outgoing") if effective.get(place)}
    barred = any(
        "oauth_device_flow" not in each["sign_in"]
        and any(each[wire] and each[wire].partition(":")[0] in hosts for wire in ("imap", "smtp"))
        for each in presets()
    )
    return [each for each in hows(visit, registered) if each != "device" or not barred]


async def _begin(visit: Visit) -> Response:
    name = visit["name"]
    one = await visit.room.connections.show(name)
    _, registered = _named(one)
    offered: dict[str, How] = {each: each for each in _offered(visit, one, registered)}
    how = offered.get(visit.form.text("how"))

    async def run(work: Work) -> Any:
        way = way_to(visit, work, how, at("works", work.id))
        return await visit.room.signins.sign_in_by(name, way)

    work = visit.begin(
        "connections/_signing.html", run, title=f"Sign in for {name}", back=at("connections", name),
        name=name, **asking(visit),
    )  # fmt: skip
    return visit.go(at("works", work.id))


async def _pasted(visit: Visit) -> Response:
    """Where a browser ended, as somebody pasted it."""
    work = visit.works.find(visit.actor, visit.form.text("work"))
    answer(work, visit.form.text("address"))
    return visit.go(work.facts["page"])


async def _called_back(visit: Visit) -> Response:
    """Where the authorization server sends a browser back to: the sign-in with this state goes on.

    The state is of a sign-in that this very session began, open, and good once (T85).  Whoever is not
    signed in here was given a link: they are told to hand the address back.
    """
    if visit.session is None:
        return visit.page("connections/elsewhere.html")
    work = waits_for(visit, visit.query("state"))
    if (work is None or not visit.may("use")) and visit.request.url.query:
        return visit.go("/callback")  # no page of ours has the code in it, or in its address
    if work is None:
        raise NotThere(
            "No sign-in of yours waits for this answer: it has one already, it was begun in another "
            "window or by somebody else, or Postroom was started anew since. Nothing was stored.",
            hint="Begin it again: open the connection and choose Sign in, or connect the account anew.",
        )
    answer(work, str(visit.request.url))
    return visit.go(work.facts["page"])


ROUTES = (
    get("/connections/{name}/sign-in", _choose, "use"),
    post("/connections/{name}/sign-in", _begin, "use"),
    post("/sign-ins/answer", _pasted, "use"),
    get("/callback", _called_back, "use", open=True),
)
