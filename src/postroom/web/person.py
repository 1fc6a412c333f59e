"""A person signs in from the page: what they are shown, how their browser comes back, and where to."""

from __future__ import annotations

import asyncio
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import segno

from postroom.clock import rfc3339
from postroom.errors import Refused
from postroom.operations.personal import How, Way
from postroom.web.visit import Visit, origin_of, peer_of
from postroom.web.works import Work

__all__ = ["answer", "asking", "callback", "hows", "is_local", "waits_for", "way_to"]

_HERE: Final = ("127.0.0.1", "localhost", "[::1]", "::1")


def is_local(visit: Visit) -> bool:
    """Whether the browser runs where the room is: then the answer comes to a port of this machine."""
    host = visit.request.url.hostname or ""
    return host in _HERE and peer_of(visit.request) in _HERE


def callback(visit: Visit) -> str:
    """Where an authorization server can send a browser back to this page."""
    return f"{origin_of(visit.request)}/callback"


def hows(visit: Visit, registered: str) -> list[How]:
    """How a person can sign in from here, the best first; ``registered`` is the redirect URI of the
    app, empty for none of its own.

    A browser comes back to the page where that is registered, or may be; to a port of this machine
    where it runs on it; else somebody pastes where it ended.
    """
    here = callback(visit)
    secure = here.startswith("https:")
    found: list[How] = ["link", "device"]
    if registered == here or (secure and not registered and not is_local(visit)):
        return ["page", *found]
    if is_local(visit) and urlsplit(registered).scheme in ("", "http"):
        return ["browser", *found]
    return found


def asking(visit: Visit) -> dict[str, Any]:
    """The facts of a work in which somebody signs in: bound to this session, answered once."""
    answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    return {"step": None, "answer": answered, "session": visit.csrf, "gone": False}


def way_to(visit: Visit, work: Work, how: How | None, page: str) -> Way:
    """How somebody signs in, told in ``work``; their browser comes back to ``page``."""
    waiting: asyncio.Future[str] = work.facts["answer"]
    work.facts["page"] = page

    async def paste(_: Any) -> str:
        return await waiting

    return Way(
        lambda step: _told(work, step, how),
        how,
        paste,
        callback(visit),
        f"{origin_of(visit.request)}{page}",
    )


def waits_for(visit: Visit, state: str) -> Work | None:
    """The sign-in of this session that waits for the answer with this state (T85)."""
    for work in visit.works.of(visit.actor):
        mine = work.facts.get("session") == visit.csrf
        if state and mine and work.facts.get("state") == state:
            return work
    return None


def answer(work: Work, address: str) -> None:
    """Hand on where a browser ended.  Raises Refused the second time."""
    waiting = work.facts.get("answer")
    if not isinstance(waiting, asyncio.Future) or waiting.done():
        raise Refused(
            "This sign-in has its answer already.", hint="Look how it ended, or begin anew."
        )
    waiting.set_result(address)


def _told(work: Work, step: Any, how: How | None) -> None:
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
