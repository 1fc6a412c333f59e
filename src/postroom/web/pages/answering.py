"""What is done with a message that is read: answered, forwarded, flagged, moved, copied, deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from postroom.errors import InvalidValue, PostroomError
from postroom.web.pages.messages import opened
from postroom.web.paths import get, post
from postroom.web.visit import Visit
from postroom.web.works import Work

__all__ = ["ROUTES"]

_WAIT: Final = "30s"
_PLACE: Final = ("via", "folder", "mailbox", "id")
"""What says which message it is, in the address and in the form."""
_SHOWN: Final = 20_000
"""Characters of what is answered that are shown beside the answer."""
_FLAGS: Final[Mapping[str, tuple[str, dict[str, list[str]]]]] = {
    "seen": ("It is marked as seen.", {"add": ["seen"]}),
    "unseen": ("It is marked as unseen.", {"remove": ["seen"]}),
    "flagged": ("It is flagged.", {"add": ["flagged"]}),
    "unflagged": ("It is not flagged any more.", {"remove": ["flagged"]}),
}


async def _change(visit: Visit) -> Response:
    """One message: its flags, its folder, or its end."""
    form = visit.form
    place = {name: form.text(name) for name in ("via", "folder", "mailbox") if form.text(name)}
    named = {"folder": "INBOX", **place, "ids": [form.text("id")]}
    there = f"/messages?{urlencode(place)}"
    do = form.text("do")
    if do in _FLAGS:
        told, change = _FLAGS[do]
        await visit.room.commands.run("flag-email", {**named, **change})
        return visit.go(there, told)
    if do in ("move", "copy"):
        to = form.text("to")
        if not to:
            raise InvalidValue("to", "say into which folder")
        await visit.room.commands.run(f"{do}-email", {**named, "to": to})
        return visit.go(there, f"It was {'moved' if do == 'move' else 'copied'} to {to}.")
    if do == "delete" and not form.ticked("sure"):
        return await _doomed(visit, named)
    if do == "delete":
        done = await visit.room.commands.run("delete-email", named)
        if done["gone"]:
            return visit.go(there, "It was deleted.")
        return visit.go(there, "It is marked as deleted; this server removes it later.", "note")
    raise InvalidValue("do", "is not among what can be done with a message")


async def _doomed(visit: Visit, named: Mapping[str, Any]) -> Response:
    """The question before a message is gone for good, and the folder for what may be."""
    box = {name: named[name] for name in ("via", "mailbox") if name in named}
    found = await visit.room.commands.run("list-folders", box)
    trash = next((each["name"] for each in found["items"] if each["use"] == "\\Trash"), "")
    place = {**box, "folder": named["folder"], "id": named["ids"][0]}
    letter = await opened(visit, place)
    return visit.page(
        "messages/delete.html", place=place, back=_message(place), subject=letter.view.subject,
        trash="" if trash == named["folder"] else trash,
    )  # fmt: skip


async def _answer(visit: Visit, error: PostroomError | None = None) -> Response:
    """The form of an answer, or of a forwarded message, with what it is about; after a mistake with what
    was typed, whether the message can be read again or not."""
    said = visit.form.plain() if error else {}
    given = {name: said.get(name) or visit.query(name) for name in (*_PLACE, "kind")}
    view = None
    try:
        view = (await opened(visit, given)).view
    except PostroomError:
        if error is None:
            raise
    services = [] if given["mailbox"] else await _services(visit, given["via"])
    itself = given["via"].rpartition(":")[2] + f", as {given['mailbox'] or 'the account itself'}"
    return visit.page(
        "messages/answer.html", 422 if error else 200, error=error, text=said.get("text", ""),
        to=said.get("to", ""), every=bool(said.get("all")), back=_message(given),
        message=view, was=((view and view.text) or "").strip()[:_SHOWN], **given,
        through=[*((f"service:{name}", f"service {name}") for name in services), ("", itself)],
        send_via=said.get("send_via", f"service:{services[0]}" if services else ""),
    )  # fmt: skip


async def _services(visit: Visit, via: str) -> list[str]:
    """The services over what a message was read by: they send by its throttle."""
    name = via.removeprefix("connection:").casefold()
    return [
        one["name"]
        for one in await visit.room.services.list()
        if str(one.get("connection", "")).casefold() == name and "error" not in one
    ]


async def _send(visit: Visit) -> Response:
    form = visit.form
    forward = form.text("kind") == "forward"
    wanted: dict[str, Any] = {name: form.text(name) for name in _PLACE if form.text(name)}
    wanted |= {"text": form.raw("text"), "wait": _WAIT}
    if form.text("send_via"):
        wanted["send_via"] = form.text("send_via")
    if not forward and not form.text("text"):
        return await _answer(visit, InvalidValue("text", "write something first"))
    if forward:
        if not form.text("to"):
            return await _answer(visit, InvalidValue("to", "give at least one recipient"))
        wanted["to"] = form.text("to")
    elif form.ticked("all"):
        wanted["to_all"] = True
    room, command = visit.room, "forward-email" if forward else "reply-email"

    async def send(work: Work) -> Any:
        return await room.commands.run(command, wanted)

    work = visit.begin(
        "services/_sent.html", send, title="Sending", back=_message(wanted),
        via=wanted.get("send_via", wanted["via"]).rpartition(":")[2],
        to=wanted.get("to", "whoever wrote"),
    )  # fmt: skip
    if (wrong := await visit.works.mistake(work)) is not None:
        return await _answer(visit, wrong)
    return visit.go(f"/works/{work.id}")


def _message(given: Mapping[str, Any]) -> str:
    """Where the message itself is shown."""
    return f"/messages/read?{urlencode({name: given[name] for name in _PLACE if given.get(name)})}"


ROUTES = (
    post("/messages/change", _change, "use"),
    get("/messages/answer", _answer, "send"),
    post("/messages/answer", _send, "send"),
)
