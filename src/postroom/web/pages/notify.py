"""Notifications: who is told what needs a person, and how; whether that works; what was told to whom."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from postroom.errors import PostroomError
from postroom.web import notifyform
from postroom.web.controls import Options
from postroom.web.leaving import as_left, leave_for
from postroom.web.paths import get, post
from postroom.web.rebinding import agreed, pairs_of
from postroom.web.visit import Visit, at
from postroom.web.works import Work

__all__ = ["ROUTES"]


async def _list(visit: Visit) -> Response:
    return visit.page(
        "notify/list.html", items=await visit.room.notify.list(),
        told_of=await visit.room.notify.notices(), causes=notifyform.CAUSES,
    )  # fmt: skip


async def _show(visit: Visit) -> Response:
    one = await visit.room.notify.show(visit["name"])
    told = [
        {**each, "told": mine}
        for each in await visit.room.notify.notices()
        for mine in each["told"]
        if mine["notification"] == one["name"]
    ]
    return visit.page(
        "notify/show.html", one=one, told_of=told, causes=notifyform.CAUSES,
        edits=visit.may("edit") and (not one["command"] or _may_program(visit)),
    )  # fmt: skip


def _may_program(visit: Visit) -> bool:
    """Whether they may name a program: it runs as the user of the worker."""
    return visit.session is not None and visit.session.person.unrestricted


async def _new(visit: Visit) -> Response:
    return await _form(visit, {}, new=True)


async def _form(
    visit: Visit, values: dict[str, Any], *, new: bool, error: PostroomError | None = None
) -> Response:
    left = as_left(visit)
    given = visit.form.plain() if error is not None else None if left is None else left.plain()
    facts = notifyform.drawn(
        values, await _offered(visit, values.get("name", "")), given, error, new=new,
        programs=_may_program(visit),
    )  # fmt: skip
    return visit.page(
        "notify/form.html", 422 if error else 200, new=new, name=values.get("name", ""), error=error,
        pairs=pairs_of(error, visit.form), **facts,
    )  # fmt: skip


async def _offered(visit: Visit, own: str) -> dict[str, Options]:
    """What fits: secrets for an address, certificates to trust, services, and other notifications."""
    wanted = sorted({*notifyform.MAKES.values()})
    known = await visit.room.credentials.list(types=wanted)
    fits = {
        field: [one["name"] for one in known if one["type"] == wanted]
        for field, wanted in notifyform.MAKES.items()
    }
    fits["service"] = [str(one["name"]) for one in await visit.room.services.list()]
    others = [str(one["name"]) for one in await visit.room.notify.list()]
    fits["instead_of"] = [name for name in others if name != own]
    return {field: [(name, name) for name in names] for field, names in fits.items()}


def _leaving(visit: Visit, here: str) -> Response | None:
    """Off to make a credential that the form lacks; the form is kept meanwhile."""
    field = visit.form.text("make")
    return leave_for(visit, here, [notifyform.MAKES[field]]) if field in notifyform.MAKES else None


async def _add(visit: Visit) -> Response:
    if (left := _leaving(visit, "/new/notify")) is not None:
        return left
    try:
        wanted = notifyform.said(visit.form, new=True)
        made = await visit.room.notify.add(wanted, rebind=agreed(visit.form))
    except PostroomError as error:
        return await _form(visit, {}, new=True, error=error)
    return visit.go(
        at("notify", made["name"]), f"Made the notification {made['name']}. Test it now."
    )


async def _edit(visit: Visit) -> Response:
    return await _form(visit, await visit.room.notify.show(visit["name"]), new=False)


async def _set(visit: Visit) -> Response:
    if (left := _leaving(visit, at("notify", visit["name"], "edit"))) is not None:
        return left
    try:
        changes = notifyform.said(visit.form, new=False)
        saved = await visit.room.notify.set(visit["name"], changes, rebind=agreed(visit.form))
    except PostroomError as error:
        return await _form(visit, {"name": visit["name"]}, new=False, error=error)
    return visit.go(at("notify", saved["name"]), "Saved.")


async def _copy(visit: Visit) -> Response:
    made = await visit.room.notify.copy(visit["name"], visit.form.text("name"))
    return visit.go(at("notify", made["name"]), f"Made {made['name']} with the same settings.")


async def _doomed(visit: Visit, error: PostroomError | None = None) -> Response:
    name = (await visit.room.notify.show(visit["name"]))["name"]
    return visit.page(
        "work/confirm.html", 422 if error else 200, title=f"Delete the notification {name}?",
        back=at("notify", name), back_label=name, action=at("notify", name, "delete"),
        button="Delete it", sentence="Nobody is told over it any more.", error=error,
    )  # fmt: skip


async def _delete(visit: Visit) -> Response:
    try:
        await visit.room.notify.delete(visit["name"])
    except PostroomError as error:
        return await _doomed(visit, error)
    return visit.go("/notify", f"Deleted the notification {visit['name']}.")


async def _test(visit: Visit) -> Response:
    """Tell over one, or over all of them, that somebody tries it."""
    name, room = visit.form.text("name") or None, visit.room

    async def test(work: Work) -> Any:
        return await room.notify.test(name)

    back = at("notify", name) if name else "/notify"
    work = visit.begin("notify/_tested.html", test, title="Test of notifications", back=back)
    return visit.go(f"/works/{work.id}")


ROUTES = (
    get("/notify", _list),
    get("/new/notify", _new, "edit"),
    post("/new/notify", _add, "edit"),
    post("/notify/test", _test, "use"),
    get("/notify/{name}", _show),
    get("/notify/{name}/edit", _edit, "edit"),
    post("/notify/{name}/edit", _set, "edit"),
    post("/notify/{name}/copy", _copy, "edit"),
    get("/notify/{name}/delete", _doomed, "edit", proved=True),
    post("/notify/{name}/delete", _delete, "edit", proved=True),
)
