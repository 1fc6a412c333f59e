"""Services: how mail is sent, what waits under each, and a message to try it with."""

from __future__ import annotations

import base64
from typing import Any, Final

from starlette.responses import Response

from postroom.errors import InvalidValue, PostroomError
from postroom.web.controls import controls, read
from postroom.web.definition import fields_of, groups, of_new
from postroom.web.fitting import connections_with
from postroom.web.leaving import as_left, leave_to
from postroom.web.paths import get, post
from postroom.web.visit import Visit, at
from postroom.web.works import Work

__all__ = ["ROUTES"]

_ATTACHED: Final = 25 * 1024 * 1024
"""Bytes of all files of one message."""
_WRITTEN: Final = (
    "via", "to", "cc", "bcc", "from", "reply_to", "subject", "text", "html",
)  # fmt: skip
_WAIT: Final = "30s"
_TEST: Final = {
    "subject": "A test from Postroom",
    "text": "This is a test: if you read it, sending works.",
}
_TITLES: Final = (
    ("What it is", "", ("name", "description", "connection", "from", "allowed_senders")),
    ("How fast, and how much waits", "", ("throttle", "queue_size", "worker_roles")),
    ("When the server says no", "Not now is tried again by itself; no for good is not.",
     ("retry", "on_ambiguous")),
    ("Copies", "", ("sent_copy",)),
)  # fmt: skip


async def _list(visit: Visit) -> Response:
    template = "services/_list.html" if visit.live else "services/list.html"
    return visit.page(
        template, services=await visit.room.services.list(), failing=await _failing(visit)
    )


async def _failing(visit: Visit) -> dict[str, str]:
    """What was said where the outgoing side of a connection could not be opened last, by its name."""
    tried = {
        one["name"]: one["tried"].get("outgoing") for one in await visit.room.connections.list()
    }
    return {name: last["said"] for name, last in tried.items() if last and not last["ok"]}


async def _show(visit: Visit) -> Response:
    service = await visit.room.services.show(visit["name"])
    return visit.page(
        "services/show.html",
        service=service,
        failing=await _failing(visit),
        usage=await visit.room.services.usage(service["name"]),
    )


async def _new(visit: Visit) -> Response:
    return await _form(visit, {"connection": visit.query("connection")}, new=True)


async def _form(
    visit: Visit, values: dict[str, Any], *, new: bool, error: PostroomError | None = None
) -> Response:
    left = visit.form if error is not None else as_left(visit)
    connections = await connections_with(visit, "outgoing")
    drawn = controls(
        fields_of("service"), values, given=None if left is None else left.plain(), error=error,
        offered={"connection": connections},
        makes={"connection": "connection"}, skip=() if new else ("name",),
    )  # fmt: skip
    return visit.page(
        "services/form.html", 422 if error else 200, new=new, name=values.get("name", ""),
        groups=groups("service", drawn, _TITLES), error=error, any=bool(connections),
    )  # fmt: skip


async def _add(visit: Visit) -> Response:
    if visit.form.text("make") == "connection":
        return leave_to(visit, "/new/service", "/new/connection")
    try:
        made = await visit.room.services.add(of_new(read(fields_of("service"), visit.form)))
    except PostroomError as error:
        return await _form(visit, {}, new=True, error=error)
    return visit.go(at("services", made["name"]), f"Made the service {made['name']}.")


async def _edit(visit: Visit) -> Response:
    return await _form(visit, await visit.room.services.show(visit["name"]), new=False)


async def _set(visit: Visit) -> Response:
    if visit.form.text("make") == "connection":
        return leave_to(visit, at("services", visit["name"], "edit"), "/new/connection")
    try:
        changes = read(fields_of("service"), visit.form, skip=("name",))
        saved = await visit.room.services.set(visit["name"], changes)
    except PostroomError as error:
        return await _form(visit, {"name": visit["name"]}, new=False, error=error)
    return visit.go(at("services", saved["name"]), "Saved.")


async def _hold(visit: Visit) -> Response:
    await visit.room.services.hold(visit["name"])
    return visit.go(
        at("services", visit["name"]), "Nothing is sent through it until you release it."
    )


async def _release(visit: Visit) -> Response:
    await visit.room.services.release(visit["name"])
    return visit.go(at("services", visit["name"]), "It sends again.")


async def _copy(visit: Visit) -> Response:
    made = await visit.room.services.copy(visit["name"], visit.form.text("name"))
    return visit.go(at("services", made["name"]), f"Made {made['name']} with the same settings.")


async def _doomed(visit: Visit, error: PostroomError | None = None) -> Response:
    name = (await visit.room.services.show(visit["name"]))["name"]
    usage = await visit.room.services.usage(name)
    return visit.page(
        "work/confirm.html", 422 if error else 200, title=f"Delete the service {name}?",
        back=at("services", name), back_label=name, action=at("services", name, "delete"),
        button="Delete it",
        sentence="Whatever sends through it will be told that it is not there.", usage=usage,
        error=error, force="Delete it although messages wait in its queue" if usage.uses else "",
    )  # fmt: skip


async def _delete(visit: Visit) -> Response:
    try:
        await visit.room.services.delete(visit["name"], force=visit.form.ticked("force"))
    except PostroomError as error:
        return await _doomed(visit, error)
    return visit.go("/services", f"Deleted the service {visit['name']}.")


# ------------------------------------------------------------------ compose


async def _compose(visit: Visit, error: PostroomError | None = None) -> Response:
    ways = [str(one["name"]) for one in await visit.room.services.list() if "error" not in one]
    given = dict.fromkeys(_WRITTEN, "")
    if error is not None:
        given |= visit.form.plain()
    else:
        via = visit.query("via") if visit.query("via") in ways else ""
        given |= {"via": via or (ways[0] if len(ways) == 1 else ""), "to": visit.query("to")}
        if visit.query("test"):
            given |= _TEST
    return visit.page(
        "services/compose.html", 422 if error else 200, ways=ways, given=given, error=error
    )


async def _send(visit: Visit) -> Response:
    """Store it and send it now: what the server says of each recipient is shown as it comes."""
    try:
        wanted = await _letter(visit)
    except PostroomError as error:
        return await _compose(visit, error)
    room = visit.room

    async def send(work: Work) -> Any:
        return await room.commands.run("send-email", {**wanted, "wait": _WAIT})

    work = visit.begin(
        "services/_sent.html",
        send,
        title="Sending",
        back="/compose",
        via=visit.form.text("via"),
        to=wanted["to"],
    )
    if (wrong := await visit.works.mistake(work)) is not None:
        return await _compose(visit, wrong)
    return visit.go(f"/works/{work.id}")


async def _letter(visit: Visit) -> dict[str, Any]:
    form = visit.form
    if not form.text("via"):
        raise InvalidValue("via", "choose a service to send through")
    # a connection may have the same name
    wanted: dict[str, Any] = {"via": f"service:{form.text('via')}", "to": form.text("to")}
    if not wanted["to"]:
        raise InvalidValue("to", "give at least one recipient")
    for name in ("cc", "bcc", "from", "reply_to", "subject", "html"):
        if value := form.text(name):
            wanted[name] = value
    if form.raw("text").strip() or "html" not in wanted:
        wanted["text"] = form.raw("text")
    attached, total = [], 0
    for file in form.files("files"):
        total += file.size or 0
        if total > _ATTACHED:
            raise InvalidValue("attachments", "the files are more than 25 MiB together")
        content = base64.b64encode(await file.read()).decode("ascii")
        kind = file.content_type or ""
        attached.append({"name": file.filename or "file", "type": kind, "content": content})
    return {**wanted, "attachments": attached} if attached else wanted


ROUTES = (
    get("/services", _list),
    get("/new/service", _new, "edit"),
    post("/new/service", _add, "edit"),
    get("/services/{name}", _show),
    get("/services/{name}/edit", _edit, "edit"),
    post("/services/{name}/edit", _set, "edit"),
    post("/services/{name}/hold", _hold, "send"),
    post("/services/{name}/release", _release, "send"),
    post("/services/{name}/copy", _copy, "edit"),
    get("/services/{name}/delete", _doomed, "edit", proved=True),
    post("/services/{name}/delete", _delete, "edit", proved=True),
    get("/compose", _compose, "send"),
    post("/compose", _send, "send"),
)
