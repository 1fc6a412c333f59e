"""What the room keeps: its definitions as a room file, and what it knows of a person, to be erased."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from postroom.errors import PostroomError
from postroom.web.paths import get, post
from postroom.web.rebinding import agreed, pairs_of
from postroom.web.safely import DOWNLOAD, disposition
from postroom.web.visit import Visit
from postroom.web.works import Work

__all__ = ["ROUTES"]


async def _room_file(visit: Visit) -> Response:
    """The definitions of the room, without a secret."""
    text = await visit.room.roomfile.export()
    if visit.query("save") == "yes":
        headers = {**DOWNLOAD, "Content-Disposition": disposition("postroom.yaml")}
        return Response(text, media_type="application/octet-stream", headers=headers)
    return visit.page(
        "keys/room_file.html", text=text, typed="", plan=None, error=None, pairs=[], done=False
    )


async def _apply(visit: Visit) -> Response:
    """What a text would make of the room; and that, once somebody has seen it."""
    form, error, plan = visit.form, None, None
    typed, done = form.raw("text"), form.text("do") == "apply"
    try:
        plan = await visit.room.roomfile.apply_text(
            {"postroom.yaml": typed}, dry_run=not done, rebind=agreed(form)
        )
    except PostroomError as wrong:
        error, done = wrong, False
    return visit.page(
        "keys/room_file.html", 422 if error else 200, text=await visit.room.roomfile.export(),
        typed="" if done else typed, plan=plan, error=error, pairs=pairs_of(error, form), done=done,
    )  # fmt: skip


async def _person(visit: Visit, error: PostroomError | None = None) -> Response:
    """What is kept of an address: asked for by a form, since an address stands in no log."""
    address, found = visit.form.text("address"), None
    if address and error is None:
        try:
            found = await visit.room.erasing.plan(address)
        except PostroomError as wrong:
            error = wrong
    return visit.page(
        "keys/person.html", 422 if error else 200, address=address, found=found, error=error
    )


async def _erase(visit: Visit) -> Response:
    address, room = visit.form.text("address"), visit.room

    async def erase(work: Work) -> Any:
        return await room.erasing.erase(address)

    work = visit.begin("keys/_erased.html", erase, title="Erase", back="/erasures")
    return visit.go(f"/works/{work.id}")


ROUTES = (
    get("/room-file", _room_file),
    post("/room-file", _apply, "edit"),
    get("/erasures", _person, "destroy"),
    post("/erasures", _person, "destroy"),
    post("/erasures/erase", _erase, "destroy", proved=True),
)
