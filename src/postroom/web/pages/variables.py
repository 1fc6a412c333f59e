"""Variables: values that settings name as macros; what uses each, and what a change would move."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from postroom.errors import PostroomError
from postroom.web.paths import get, post
from postroom.web.rebinding import agreed, pairs_of
from postroom.web.visit import Visit, at

__all__ = ["ROUTES"]


async def _list(visit: Visit, error: PostroomError | None = None) -> Response:
    found, used = await visit.room.variables.list(), await visit.room.variables.used()
    rows = [(name, value, used[name]) for name, value in found.items()]
    given = visit.form.plain() if error else {}
    return visit.page(
        "variables/list.html", 422 if error else 200, rows=rows, error=error, given=given,
        allowed=await visit.room.variables.allowed(),
    )  # fmt: skip


async def _add(visit: Visit) -> Response:
    try:
        await visit.room.variables.add(visit.form.text("name"), visit.form.text("value"))
    except PostroomError as error:
        return await _list(visit, error)
    return visit.go("/variables", f"Made the variable {visit.form.text('name')}.")


async def _show(visit: Visit, error: PostroomError | None = None) -> Response:
    name = visit["name"]
    value = await visit.room.variables.get(name)
    facts: dict[str, Any] = {"name": name, "value": value, "error": error}
    if error is not None:
        facts["value"] = visit.form.text("value")
    return visit.page(
        "variables/show.html", 422 if error else 200,
        usage=await visit.room.variables.usage(name),
        pairs=pairs_of(error, visit.form), **facts,
    )  # fmt: skip


async def _set(visit: Visit) -> Response:
    form = visit.form
    try:
        done = await visit.room.variables.set(
            visit["name"], form.text("value"), rebind=agreed(form)
        )
    except PostroomError as error:
        return await _show(visit, error)
    if not done.changed:
        return visit.go(at("variables", visit["name"]), "It had that value already.", "note")
    told = f" Secrets go elsewhere now: {'; '.join(map(str, done.moved))}." if done.moved else ""
    return visit.go(at("variables", visit["name"]), f"Saved.{told}")


async def _doomed(visit: Visit, error: PostroomError | None = None) -> Response:
    name = visit["name"]
    value = await visit.room.variables.get(name)
    return visit.page(
        "work/confirm.html", 422 if error else 200, title=f"Delete the variable {name}?",
        back=at("variables", name), back_label=name, action=at("variables", name, "delete"),
        button="Delete it", error=error,
        sentence=f"Its value is {value}, and is kept nowhere else." if value else "It is empty.",
        usage=await visit.room.variables.usage(name),
    )  # fmt: skip


async def _delete(visit: Visit) -> Response:
    try:
        await visit.room.variables.delete(visit["name"])
    except PostroomError as error:
        return await _doomed(visit, error)
    return visit.go("/variables", f"Deleted the variable {visit['name']}.")


ROUTES = (
    get("/variables", _list),
    post("/variables", _add, "edit"),
    get("/variables/{name}", _show),
    post("/variables/{name}", _set, "edit"),
    get("/variables/{name}/delete", _doomed, "edit", proved=True),
    post("/variables/{name}/delete", _delete, "edit", proved=True),
)
