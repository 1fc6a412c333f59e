"""Messages in the folders of a connection: look for them, read one safely, save what is attached."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from postroom.errors import InvalidValue, PostroomError, WrongUse
from postroom.web.letters import Letters
from postroom.web.paging import number_of
from postroom.web.paths import get
from postroom.web.reading import Letter, answer_part, facts_of
from postroom.web.visit import Visit

__all__ = ["ROUTES", "opened"]

_MORE: Final = 50
"""Messages that are listed at first, and that each step shows more."""
_MOST: Final = 1000
_OWN: Final = ("\\Sent", "\\Drafts")
"""Uses of folders (RFC 6154) that hold what is from oneself: there the recipient tells more."""


async def _list(visit: Visit) -> Response:
    """Which mailbox, which folder, which messages; what comes from the server is asked for by parts."""
    place = _place(visit)
    via, search, part = place["via"], visit.query("search"), visit.query("part")
    facts: dict[str, Any] = {
        "via": via, "folder": place["folder"], "mailbox": place.get("mailbox", ""), "search": search,
        "place": place, "many": _many(visit), "use": visit.query("use"),
    }  # fmt: skip
    if via and part == "folders":
        wanted = {name: value for name, value in place.items() if name != "folder"}
        try:
            found = await visit.room.commands.run("list-folders", wanted)
        except PostroomError:  # beside it the list of messages says what is wrong
            return visit.page("messages/_folders.html", folders=[], query=urlencode, **facts)
        folders = sorted(found["items"], key=lambda each: each["name"].upper() != "INBOX")
        return visit.page("messages/_folders.html", folders=folders, query=urlencode, **facts)
    if via and part == "list":
        return await _found(visit, facts)
    boxes, apps = await _boxes(visit), await _apps(visit)
    if not via and len(boxes) == 1 and not apps:
        return visit.go(f"/messages?{urlencode({'via': boxes[0][0]})}")
    return visit.page(
        "messages/list.html", boxes=[(via, name) for via, name, _ in boxes] + apps,
        several=bool(apps) or any(graph for _, _, graph in boxes), query=urlencode,
        now=part == "now", **facts,
    )  # fmt: skip


def _place(visit: Visit) -> dict[str, str]:
    """Which folder of what, as the address says it; ``mailbox`` where an app may open several."""
    place = {"via": visit.query("via"), "folder": visit.query("folder", "INBOX") or "INBOX"}
    return place | ({"mailbox": mailbox} if (mailbox := visit.query("mailbox")) else {})


async def _found(visit: Visit, facts: dict[str, Any]) -> Response:
    many, error = facts["many"], None
    found: dict[str, Any] = {"items": [], "next": None}
    wanted: dict[str, Any] = {**facts["place"], "limit": many}
    if facts["search"]:
        wanted["search"] = facts["search"]
    try:
        found = await visit.room.commands.run("list-email", wanted)
    except (InvalidValue, WrongUse) as wrong:
        error = wrong
    further = found["next"] is not None
    return visit.page(
        "messages/_list.html", error=error, items=found["items"], further=further, query=urlencode,
        more=min(many + _MORE, _MOST) if further and many < _MOST else 0,
        own=facts["use"] in _OWN or f"\\{facts['folder'].title()}" in _OWN, **facts,
    )  # fmt: skip


def _many(visit: Visit) -> int:
    return max(_MORE, min(number_of(visit.query("many"), "many") or _MORE, _MOST))


async def _boxes(visit: Visit) -> list[tuple[str, str, bool]]:
    """What can be read from: connections with an incoming side, and whether at Microsoft by Graph."""
    return [
        (f"connection:{one['name']}", one["name"], one.get("type") == "microsoft365")
        for one in await visit.room.connections.list()
        if "incoming" in one
    ]


async def _apps(visit: Visit) -> list[tuple[str, str]]:
    """And apps at Microsoft, whose credential names what is needed to read with it."""
    known = await visit.room.credentials.list(types=["msgraph"])
    return [
        (f"credential:{one['name']}", f"{one['name']} (app at Microsoft)")
        for one in known
        if one["state"] == "complete"
    ]


async def _read(visit: Visit) -> Response:
    letter = await _letter(visit)
    there = _place(visit)
    place = {**there, "id": visit.query("id")}
    return visit.page(
        "messages/read.html", title=letter.view.subject, back=f"/messages?{urlencode(there)}",
        back_label=f"{there['via'].rpartition(':')[2]}, {there['folder']}", named=urlencode(place),
        place=place, **facts_of(letter, "/messages", urlencode(place)),
    )  # fmt: skip


async def _part(visit: Visit) -> Response:
    return answer_part(visit, await _letter(visit), visit["part"])


async def _letter(visit: Visit) -> Letter:
    """The message that the address names."""
    return await opened(visit, {**_place(visit), "id": visit.query("id")})


async def opened(visit: Visit, place: Mapping[str, str]) -> Letter:
    """A message by ``via``, ``folder``, ``id``, and ``mailbox`` where that is said; what is asked for again
    within a minute comes out of a short memory.  Raises InvalidValue where they name none."""
    named = {
        "via": place["via"], "folder": place["folder"] or "INBOX", "id": place["id"],
        **({"mailbox": place["mailbox"]} if place.get("mailbox") else {}),
    }  # fmt: skip
    if not named["via"] or not named["id"]:
        raise InvalidValue("id", "the address names no message", hint="Choose one from the list.")

    async def fetch() -> Letter:
        found = await visit.room.commands.run("read-email", {**named, "raw": True})
        return await asyncio.to_thread(Letter.of, base64.b64decode(found["raw"]))

    async def check() -> None:
        await visit.room.commands.check_reads(named["via"], named.get("mailbox", ""))

    letters: Letters = visit.hall.letters
    return await letters.get((visit.actor, *named.values()), fetch, check)


ROUTES = (
    get("/messages", _list, "read"),
    get("/messages/read", _read, "read"),
    get("/messages/message/{part}", _part, "read"),
)
