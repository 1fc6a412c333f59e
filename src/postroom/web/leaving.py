"""Leaving a form for a moment, to make what it lacks, and coming back with that chosen in it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from urllib.parse import quote

from starlette.responses import Response

from postroom.web.form import Form
from postroom.web.guard import here
from postroom.web.visit import Visit

__all__ = ["as_left", "came_from", "leave_for", "leave_to", "onward"]


def leave_for(
    visit: Visit, back: str, types: Collection[str], sealed: Iterable[str] = ()
) -> Response:
    """Off to make a credential of one of these types for the field that ``make`` names.

    The form is kept meanwhile, without what is ``sealed``; ``back`` is where somebody comes back to.
    """
    return _off(visit, f"/new/credential?types={','.join(types)}&", back, sealed)


def leave_to(visit: Visit, back: str, makes: str) -> Response:
    """Off to the form ``makes`` of what the field that ``make`` names lacks; likewise."""
    return _off(visit, f"{makes}?", back, ())


def _off(visit: Visit, makes: str, back: str, sealed: Iterable[str]) -> Response:
    draft = visit.hall.drafts.leave(visit.actor, visit.form.plain(sealed))
    mark = "&" if "?" in back else "?"
    back = f"{back}{mark}draft={draft}&for={quote(visit.form.text('make'))}"
    return visit.go(f"{makes}back={quote(back, safe='')}")


def as_left(visit: Visit) -> Form | None:
    """The form as somebody left it, with what they have made; None where they left none."""
    return visit.hall.drafts.back(
        visit.actor, visit.query("draft"), field=visit.query("for"), chosen=visit.query("chosen")
    )


def came_from(visit: Visit) -> str:
    """Where the form was left that this one makes something for; empty where there is none."""
    left = as_left(visit)
    back = visit.form.text("back") or (left.text("back") if left else "") or visit.query("back")
    return here(back) if back else ""


def onward(back: str, name: str) -> str:
    """Back to the form that somebody left to make ``name``, which has it chosen then."""
    return f"{back}{'&' if '?' in back else '?'}chosen={quote(name)}"
