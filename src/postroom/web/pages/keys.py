"""The room's keys: what opens it, what would be needed, rotation; no page shows a key."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from postroom.web.paths import get, post
from postroom.web.visit import Visit
from postroom.web.works import Work

__all__ = ["ROUTES"]


async def _status(visit: Visit) -> Response:
    return visit.page("keys/status.html", keys=await visit.room.keys.status())


async def _rotate(visit: Visit) -> Response:
    """Begin a rotation, or finish one that was interrupted; everybody goes on working."""
    room = visit.room

    async def rotate(work: Work) -> Any:
        def tell(done: int, total: int) -> None:
            work.facts["done"], work.facts["total"] = done, total

        return await room.keys.rotate(tell=tell)

    work = visit.begin(
        "keys/_rotated.html", rotate, title="Rotation", back="/keys", done=0, total=0
    )
    return visit.go(f"/works/{work.id}")


async def _doctor(visit: Visit) -> Response:
    """Open every sealed value once; what does not open is named."""
    room = visit.room

    async def look(work: Work) -> Any:
        return {**await room.keys.doctor(), "damaged": await room.keys.damaged()}

    work = visit.begin("keys/_looked.html", look, title="Look at every key and value", back="/keys")
    return visit.go(f"/works/{work.id}")


ROUTES = (
    get("/keys", _status, "keys"),
    post("/keys/rotate", _rotate, "keys", proved=True),
    post("/keys/doctor", _doctor, "keys"),
)
