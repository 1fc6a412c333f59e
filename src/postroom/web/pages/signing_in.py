"""A person signs in for a connection: by a code, in this browser, or by a link for somebody else; live."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import segno
from starlette.responses import Response

from postroom.clock import rfc3339
from postroom.errors import NotThere, Refused
from postroom.operations.personal import How
from postroom.web.paths import get, post
from postroom.web.visit import Visit, at
from postroom.web.works import Work

__all__ = ["ROUTES", "is_local", "show_step"]

_HERE = ("127.0.0.1", "localhost", "[::1]", "::1")


async def _choose(visit: Visit) -> Response:
    one = await visit.room.connections.show(visit["name"])
    return visit.page(
        "connections/sign_in.html", one=one, flow=_flow(one), local=is_local(visit),
        callback=_callback(visit),
    )  # fmt: skip


def _flow(one: dict[str, Any]) -> str:
    """The flow that the connection names."""
    effective = one["effective"] or {}
    sides = [effective[place] for place in ("incoming", "outgoing") if effective.get(place)]
    flows = [str(side["auth"].get("type", "")) for side in sides]
    return next((each for each in flows if each.startswith("oauth_")), "")


def is_local(visit: Visit) -> bool:
    """Whether the browser runs where the room is: then the answer comes to a port of this machine."""
    host = visit.request.url.hostname or ""
    peer = visit.request.client.host if visit.request.client else ""
    return host in _HERE and peer in _HERE


def _callback(visit: Visit) -> str:
    return f"{visit.request.url.scheme}://{visit.request.headers.get('host', '')}/callback"


async def _begin(visit: Visit) -> Response:
    name, chosen = visit["name"], visit.form.text("how")
    ways: dict[str, How] = {"device": "device", "browser": "browser", "link": "link"}
    how = ways.get(chosen)
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def run(work: Work) -> Any:
        async def paste(_: Any) -> str:
            return await answer

        return await visit.room.signins.sign_in(
            name, lambda step: show_step(work, step, how), how=how, paste=paste
        )

    work = visit.begin(
        "connections/_signing.html", run, title=f"Sign in for {name}", back=at("connections", name),
        step=None, answer=answer, name=name,
    )  # fmt: skip
    return visit.go(f"/works/{work.id}")


def show_step(work: Work, step: Any, how: How | None) -> None:
    """What a person has to do, as the page shows it."""
    facts: dict[str, Any] = {"until": rfc3339(step.expires_at), "account": step.account}
    code = getattr(step, "user_code", "")
    if code:
        link = step.verification_uri_complete or step.verification_uri
        picture = segno.make(link, error="m").svg_data_uri(scale=4, border=2)
        facts |= {"kind": "device", "code": code, "link": step.verification_uri, "qr": picture}
    else:
        facts |= {"kind": "link" if how == "link" else "browser", "url": step.url}
        work.facts["state"] = parse_qs(urlsplit(step.url).query).get("state", [""])[0]
    work.facts["step"] = facts


async def _pasted(visit: Visit) -> Response:
    """Where a browser ended, as somebody pasted it."""
    work = visit.works.find(visit.actor, visit.form.text("work"))
    _answer(work, visit.form.text("address"))
    return visit.go(f"/works/{work.id}")


async def _called_back(visit: Visit) -> Response:
    """Where the authorization server sends a browser back to: the sign-in with this state goes on.

    The state is of this person's own sign-in, open, and good once (T85).
    """
    state = visit.query("state")
    for work in visit.works.of(visit.actor):
        if state and work.facts.get("state") == state:
            _answer(work, str(visit.request.url))
            return visit.go(f"/works/{work.id}")
    raise NotThere(
        "No sign-in of yours waits for this answer.", hint="Begin it again at the connection."
    )


def _answer(work: Work, address: str) -> None:
    answer = work.facts.get("answer")
    if not isinstance(answer, asyncio.Future) or answer.done():
        raise Refused(
            "This sign-in has its answer already.", hint="Look how it ended, or begin anew."
        )
    answer.set_result(address)


ROUTES = (
    get("/connections/{name}/sign-in", _choose, "use"),
    post("/connections/{name}/sign-in", _begin, "use"),
    post("/sign-ins/answer", _pasted, "use"),
    get("/callback", _called_back, "use"),
)
