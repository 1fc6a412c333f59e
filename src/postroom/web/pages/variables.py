"""Variables: values that settings name as macros; what uses each, and what a change would move."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from postroom.errors import PostroomError
from postroom.web.paths import get, post
from postroom.web.visit import Visit, at

__all__ = ["ROUTES"]


async def _list(visit: Visit, error: PostroomError | None = None) -> Response:
    found = await visit.room.variables.list()
    usages = await asyncio.gather(*(visit.room.variables.usage(name) for name in found))
    rows = [
        (name, value, usage) for (name, value), usage in zip(found.items(), usages, strict=True)
    ]
    given = visit.form.plain() if error else {}
    return visit.page(
        "variables/list.html", 422 if error else 200, rows=rows, error=error, given=given
    )


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
        moves=error is not None and error.code == "secret_reentry_required", **facts,
    )  # fmt: skip


async def _set(visit: Visit) -> Response:
    rebind = visit.form.ticked("rebind") and visit.may("rebind")
    try:
        done = await visit.room.variables.set(
            visit["name"], visit.form.text("value"), rebind=rebind
        )
    except PostroomError as error:
        return await _show(visit, error)
    if not done.changed:
        return visit.go(at("variables", visit["name"]), "It had that value already.", "note")
    told = f" Secrets go elsewhere now: {'; '.join(map(str, done.moved))}." if done.moved else ""
    return visit.go(at("variables", visit["name"]), f"Saved.{told}")


async def _delete(visit: Visit) -> Response:
    try:
        await visit.room.variables.delete(visit["name"])
    except PostroomError as error:
        return await _show(visit, error)
    return visit.go("/variables", f"Deleted the variable {visit['name']}.")


ROUTES = (
    get("/variables", _list),
    post("/variables", _add, "edit"),
    get("/variables/{name}", _show),
    post("/variables/{name}", _set, "edit"),
    post("/variables/{name}/delete", _delete, "edit", proved=True),
)
