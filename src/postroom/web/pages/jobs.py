"""Jobs: what is done with mail and credentials, when; run by hand, with parameters, or planned only."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from postroom.errors import PostroomError, Refused
from postroom.web import jobform
from postroom.web.fitting import connections_with, credentials_to_hand
from postroom.web.form import Form
from postroom.web.leaving import came_from, onward
from postroom.web.paths import get, post
from postroom.web.rebinding import agreed, pairs_of
from postroom.web.visit import Visit, at

__all__ = ["ROUTES"]


async def _list(visit: Visit) -> Response:
    template = "jobs/_list.html" if visit.live else "jobs/list.html"
    return visit.page(template, jobs=await visit.room.jobs.list())


async def _show(visit: Visit, error: PostroomError | None = None) -> Response:
    job = await visit.room.jobs.show(visit["name"])
    return visit.page(
        "jobs/show.html", 422 if error else 200, job=job, error=error, plan=None,
        edits=visit.may("edit") and (job["does"] == "steps" or _may_code(visit)),
        given=visit.form.plain() if error else {}, **await _beside(visit, job),
    )  # fmt: skip


async def _beside(visit: Visit, job: dict[str, Any]) -> dict[str, Any]:
    """What the page of a job shows besides its settings."""
    return {
        "runs": await visit.room.runs.list(job["name"], limit=8),
        "usage": await visit.room.jobs.usage(job["name"]),
        "steps": jobform.written(job["steps"]),
    }


def _may_code(visit: Visit) -> bool:
    """Whether they may save a job that runs code: it runs as the user of the worker."""
    return visit.session is not None and visit.session.person.unrestricted


async def _new(visit: Visit) -> Response:
    """With steps that work as they are, over the connection and for the purpose that was chosen."""
    return await _form(
        visit, {"steps": jobform.begun(visit.query("begin"), await _via(visit))}, new=True
    )


async def _via(visit: Visit) -> str:
    """The connection that the first steps of a new job work with."""
    reads = [name for name, _ in await connections_with(visit, "incoming")]
    return visit.query("via") or (reads[0] if reads else "")


async def _form(
    visit: Visit, values: dict[str, Any], *, new: bool, error: PostroomError | None = None
) -> Response:
    given = visit.form.plain() if error is not None else None
    if given is not None:
        given["credentials"] = "\n".join(visit.form.texts("credentials"))
    code = _may_code(visit)
    facts = jobform.drawn(values, given, error, new=new, code=code)
    return visit.page(
        "jobs/form.html", 422 if error else 200, new=new, name=values.get("name", ""), error=error,
        wrong=None if error is None else jobform.misplaced(error, visit.form),
        pairs=pairs_of(error, visit.form), credentials=await credentials_to_hand(visit) if code else [],
        begin=[(key, label) for key, (label, _) in jobform.BEGINNINGS.items()],
        boxes=await connections_with(visit, "incoming") if new else [],
        chosen={name: visit.query(name) for name in ("begin", "via")},
        commands=visit.room.commands.describe(), back=came_from(visit), **facts,
    )  # fmt: skip


async def _add(visit: Visit) -> Response:
    try:
        wanted = jobform.said(visit.form, new=True, code=_may_code(visit))
        made = await visit.room.jobs.add(wanted, rebind=agreed(visit.form))
    except PostroomError as error:
        return await _form(visit, {}, new=True, error=error)
    if back := came_from(visit):
        return visit.go(
            onward(back, made["name"]), f"Made the job {made['name']}; it is chosen here."
        )
    return visit.go(at("jobs", made["name"]), f"Made the job {made['name']}.")


async def _edit(visit: Visit) -> Response:
    job = await visit.room.jobs.show(visit["name"])
    if job["does"] != "steps" and not _may_code(visit):
        raise Refused(
            f"Job {job['name']} runs code, as the user of the worker: you may not change it.",
            code="not_permitted",
            hint="An administrator may.",
        )
    return await _form(visit, job, new=False)


async def _set(visit: Visit) -> Response:
    try:
        changes = jobform.said(visit.form, new=False, code=_may_code(visit))
        saved = await visit.room.jobs.set(visit["name"], changes, rebind=agreed(visit.form))
    except PostroomError as error:
        return await _form(visit, {"name": visit["name"]}, new=False, error=error)
    return visit.go(at("jobs", saved["name"]), "Saved.")


async def _hold(visit: Visit) -> Response:
    await visit.room.jobs.hold(visit["name"])
    return visit.go(at("jobs", visit["name"]), "No run of it begins until you release it.")


async def _release(visit: Visit) -> Response:
    await visit.room.jobs.release(visit["name"])
    return visit.go(at("jobs", visit["name"]), "Its runs begin again.")


async def _copy(visit: Visit) -> Response:
    name, new, form = visit["name"], visit.form.text("name"), visit.form
    try:
        made = await visit.room.jobs.copy(name, new, rebind=agreed(form))
    except PostroomError as error:
        if not (pairs := pairs_of(error, form)):
            raise
        return visit.page(
            "work/copy.html", 422, name=name, new=new, pairs=pairs, back=at("jobs", name)
        )
    return visit.go(at("jobs", made["name"]), f"Made {made['name']} with the same settings.")


async def _doomed(visit: Visit, error: PostroomError | None = None) -> Response:
    name = (await visit.room.jobs.show(visit["name"]))["name"]
    usage = await visit.room.jobs.usage(name)
    return visit.page(
        "work/confirm.html", 422 if error else 200, title=f"Delete the job {name}?",
        back=at("jobs", name), back_label=name, action=at("jobs", name, "delete"), button="Delete it",
        usage=usage, error=error,
        sentence="Its runs stay in the history.",
        force="Delete it although runs are not finished; those that nobody has begun are cancelled"
        if usage.uses else "",
    )  # fmt: skip


async def _delete(visit: Visit) -> Response:
    try:
        await visit.room.jobs.delete(visit["name"], force=visit.form.ticked("force"))
    except PostroomError as error:
        return await _doomed(visit, error)
    return visit.go("/jobs", f"Deleted the job {visit['name']}.")


async def _run(visit: Visit) -> Response:
    """Begin a run with what was typed for its parameters, or only say what it would do."""
    given = _parameters(visit.form)
    try:
        if visit.form.text("do") != "plan":
            return visit.go(at("runs", await visit.room.runs.begin(visit["name"], given)))
        plan = await visit.room.runs.plan(visit["name"], given)
    except PostroomError as error:
        return await _show(visit, error)
    job = await visit.room.jobs.show(visit["name"])
    return visit.page(
        "jobs/show.html", job=job, error=None, plan=plan, given=visit.form.plain(),
        edits=visit.may("edit") and (job["does"] == "steps" or _may_code(visit)),
        **await _beside(visit, job),
    )  # fmt: skip


def _parameters(form: Form) -> dict[str, str]:
    """What was typed; what is empty takes its default."""
    return {
        name.removeprefix("parameter."): form.raw(name)
        for name in form
        if name.startswith("parameter.") and form.raw(name).strip()
    }


ROUTES = (
    get("/jobs", _list),
    get("/new/job", _new, "edit"),
    post("/new/job", _add, "edit"),
    get("/jobs/{name}", _show),
    get("/jobs/{name}/edit", _edit, "edit"),
    post("/jobs/{name}/edit", _set, "edit"),
    post("/jobs/{name}/copy", _copy, "edit"),
    get("/jobs/{name}/delete", _doomed, "edit", proved=True),
    post("/jobs/{name}/delete", _delete, "edit", proved=True),
    post("/jobs/{name}/hold", _hold, "use"),
    post("/jobs/{name}/release", _release, "use"),
    post("/jobs/{name}/run", _run, "use"),
)
