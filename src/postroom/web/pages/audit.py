"""The audit record: who did what to which record; verified against what is kept outside."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from postroom.errors import InvalidValue
from postroom.web.paging import number_of, ways
from postroom.web.paths import get, post
from postroom.web.visit import Visit
from postroom.web.works import Work

__all__ = ["ROUTES"]

_FILTERS: Final = ("noun", "name", "action", "actor", "since")
_MANY: Final = ("50", "200", "1000")


async def _list(visit: Visit) -> Response:
    from postroom.operations.audit import NOUNS  # with what it records by

    given = {name: visit.query(name) for name in _FILTERS}
    kept = {name: value for name, value in given.items() if value}
    many = visit.query("many") if visit.query("many") in _MANY else _MANY[0]
    if many != _MANY[0]:
        kept["many"] = many
    error: InvalidValue | None = None
    wanted: dict[str, Any] = {name: value or None for name, value in given.items()}
    try:
        after = number_of(visit.query("after"))
        found = await visit.room.audit.list(**wanted, limit=int(many), after=after)
    except InvalidValue as wrong:
        error, found = wrong, await visit.room.audit.list()
    return visit.page(
        "audit/list.html", rows=found, given=given, many=many, choices=_MANY, nouns=NOUNS, error=error,
        kept=await visit.room.audit.kept(), filtered=any(given.values()),
        **ways(visit, kept, found)._asdict(),
    )  # fmt: skip


async def _verify(visit: Visit) -> Response:
    room = visit.room

    async def verify(work: Work) -> Any:
        return await room.audit.verify()

    work = visit.begin("audit/_verified.html", verify, title="Verify the record", back="/audit")
    return visit.go(f"/works/{work.id}")


ROUTES = (
    get("/audit", _list, "audit"),
    post("/audit/verify", _verify, "audit"),
)
