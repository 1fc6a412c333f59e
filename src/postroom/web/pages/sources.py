"""Sources: what is collected, how each stands, a look ahead, and what is done with the ledger at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from starlette.responses import Response

from postroom.clock import parse_instant
from postroom.errors import PostroomError
from postroom.settings import mail_beside
from postroom.web.fitting import connections_with
from postroom.web.leaving import as_left, leave_to
from postroom.web.paths import get, post
from postroom.web.sourceform import drawn, said
from postroom.web.times import next_times
from postroom.web.visit import Visit, at
from postroom.web.works import Work

__all__ = ["ROUTES"]

_LATEST: Final = 5


async def _list(visit: Visit) -> Response:
    template = "sources/_list.html" if visit.live else "sources/list.html"
    return visit.page(template, sources=await visit.room.sources.list())


async def _show(visit: Visit) -> Response:
    source = await visit.room.sources.show(visit["name"])
    if visit.live:
        return visit.page(
            "sources/_status.html", standing=source["status"], name=source["name"],
            latest=await _latest(visit, source["name"]),
        )  # fmt: skip
    wake = source["status"]["next_wake"]
    return visit.page(
        "sources/show.html", source=source, name=source["name"], standing=source["status"],
        usage=await visit.room.sources.usage(source["name"]),
        latest=await _latest(visit, source["name"]),
        times=next_times(source["schedule"], None if wake is None else parse_instant(wake)),
    )  # fmt: skip


async def _latest(visit: Visit, name: str) -> list[Any]:
    """The messages that it saw last, the newest first."""
    return [*await visit.room.ledger.list(name, limit=_LATEST)]


async def _new(visit: Visit) -> Response:
    return await _form(visit, {"connection": visit.query("connection")}, new=True)


async def _form(
    visit: Visit, values: dict[str, Any], *, new: bool, error: PostroomError | None = None
) -> Response:
    """The definition as a form; after a mistake as it was typed, with the mistake beside its field."""
    connections = await connections_with(visit, "incoming")
    jobs = [str(one["name"]) for one in await visit.room.jobs.list()]
    shown = drawn(values, _given(visit, error), error, connections, jobs, new=new)
    return visit.page(
        "sources/form.html", 422 if error else 200, new=new, name=values.get("name", ""), error=error,
        any=bool(connections), beside=str(_beside(visit)), **shown,
    )  # fmt: skip


def _beside(visit: Visit) -> Path:
    return mail_beside(visit.hall.room.settings.room)


def _given(visit: Visit, error: PostroomError | None) -> dict[str, str] | None:
    """What was typed: refused, or left for a moment; None: what is saved."""
    left = visit.form if error is not None else as_left(visit)
    return None if left is None else left.plain()


_MAKES: Final = {"connection": "/new/connection", "sink.job": "/new/job"}
"""Where that is made which a field lacks."""


async def _add(visit: Visit) -> Response:
    if makes := _MAKES.get(visit.form.text("make")):
        return leave_to(visit, "/new/source", makes)
    try:
        made = await visit.room.sources.add(said(visit.form, new=True, beside=_beside(visit)))
    except PostroomError as error:
        return await _form(visit, {}, new=True, error=error)
    return visit.go(
        at("sources", made["name"]),
        f"Made the source {made['name']}. A worker begins to collect for it.",
    )


async def _edit(visit: Visit) -> Response:
    return await _form(visit, await visit.room.sources.show(visit["name"]), new=False)


async def _set(visit: Visit) -> Response:
    if makes := _MAKES.get(visit.form.text("make")):
        return leave_to(visit, at("sources", visit["name"], "edit"), makes)
    try:
        saved = await visit.room.sources.set(visit["name"], said(visit.form, new=False))
    except PostroomError as error:
        return await _form(visit, {"name": visit["name"]}, new=False, error=error)
    return visit.go(at("sources", saved["name"]), "Saved.")


async def _copy(visit: Visit) -> Response:
    made = await visit.room.sources.copy(visit["name"], visit.form.text("name"))
    return visit.go(at("sources", made["name"]), f"Made {made['name']} with the same settings.")


async def _doomed(visit: Visit, error: PostroomError | None = None) -> Response:
    name = (await visit.room.sources.show(visit["name"]))["name"]
    return visit.page(
        "work/confirm.html", 422 if error else 200, title=f"Delete the source {name}?",
        back=at("sources", name), back_label=name, action=at("sources", name, "delete"),
        button="Delete it",
        sentence="What it remembers of every message goes with it. What it delivered stays where it is, "
        "and so does the mail on the server.",
        usage=await visit.room.sources.usage(name), error=error,
    )  # fmt: skip


async def _delete(visit: Visit) -> Response:
    try:
        await visit.room.sources.delete(visit["name"])
    except PostroomError as error:
        return await _doomed(visit, error)
    return visit.go("/sources", f"Deleted the source {visit['name']}.")


# ------------------------------------------------------------------ at work


async def _run(visit: Visit) -> Response:
    """One pass, here and now; where a worker has the source, that one looks at once."""
    room, name = visit.room, visit["name"]

    async def collect(work: Work) -> Any:
        def tell(tally: Any) -> None:
            work.facts["tally"] = tally

        tally = await room.collecting.run(name, progress=tell)
        if tally is None:
            work.facts["standing"] = (await room.sources.show(name))["status"]
        return tally

    work = visit.begin(
        "sources/_collected.html", collect, title=f"Collect for {name}", back=at("sources", name),
        name=name, tally=None, standing=None,
    )  # fmt: skip
    return visit.go(f"/works/{work.id}")


async def _preview(visit: Visit) -> Response:
    """What a pass would do with the newest messages on the server; nothing is changed."""
    room, name = visit.room, visit["name"]

    async def look(work: Work) -> Any:
        return await room.collecting.preview(name, last=50)

    work = visit.begin(
        "sources/_preview.html",
        look,
        title=f"What {name} would do",
        back=at("sources", name),
        name=name,
    )
    return visit.go(f"/works/{work.id}")


async def _again(visit: Visit) -> Response:
    """Which messages are to be processed again is asked first: it may be all of them."""
    name = visit["name"]
    return visit.page("sources/again.html", name=name, counts=await visit.room.ledger.counts(name))


async def _reset(visit: Visit) -> Response:
    name, states = visit["name"], visit.form.texts("state")
    if not states:
        return visit.go(at("sources", name, "again"), "Choose what to process again.", "note")
    done = await visit.room.ledger.reset(name, states=states)
    return visit.go(at("sources", name), f"To be processed again: {done:,}.")


async def _release(visit: Visit) -> Response:
    done = await visit.room.ledger.release(visit["name"])
    return visit.go(at("sources", visit["name"]), f"Released: {done:,}.")


ROUTES = (
    get("/sources", _list),
    get("/new/source", _new, "edit"),
    post("/new/source", _add, "edit"),
    get("/sources/{name}", _show),
    get("/sources/{name}/edit", _edit, "edit"),
    post("/sources/{name}/edit", _set, "edit"),
    post("/sources/{name}/copy", _copy, "edit"),
    get("/sources/{name}/delete", _doomed, "edit", proved=True),
    post("/sources/{name}/delete", _delete, "edit", proved=True),
    post("/sources/{name}/run", _run, "use"),
    post("/sources/{name}/preview", _preview, "read"),
    get("/sources/{name}/again", _again, "use"),
    post("/sources/{name}/again", _reset, "use"),
    post("/sources/{name}/release", _release, "use"),
)
