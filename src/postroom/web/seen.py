"""What a form has seen: it changes nothing that somebody else has changed since it was opened."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from postroom.app import NOUNS
from postroom.operations.documents import encoded
from postroom.operations.unchanged import only_unchanged, tag_of
from postroom.web.leaving import as_left

if TYPE_CHECKING:
    from postroom.web.visit import Visit

__all__ = ["FORMS", "keep_what_was_seen", "look"]

FORMS: Final = (
    "/{name}/edit", "/{name}/about", "/{name}/details", "/users/{name}", "/variables/{name}",
)  # fmt: skip
"""How the paths of forms end that change what is there already; they begin with its noun."""
_SHOWN_BY: Final = {"variables": "get"}


async def look(visit: Visit, noun: str) -> None:
    """Let the page's forms carry what the definition is now; or was when somebody left this form, to
    make what it lacks: it comes back as they left it."""
    if (left := as_left(visit)) is not None and left.text("seen"):
        visit.seen = left.text("seen")
        return
    show = getattr(getattr(visit.room, noun), _SHOWN_BY.get(noun, "show"))
    visit.seen = tag_of(encoded(await show(visit["name"])))


def keep_what_was_seen(visit: Visit, noun: str) -> None:
    """Let the form that was sent change the definition only while it is what the form has seen.

    The next change of this visit raises Refused (``changed_since``) otherwise, and saves nothing.
    """
    visit.seen = visit.form.text("seen")
    if not visit.seen:
        return
    module, kind = NOUNS[noun]
    owner = getattr(import_module(f"postroom.operations.{module}"), kind)
    name, shown_by = visit["name"], _SHOWN_BY.get(noun, "show")
    only_unchanged(visit.room.desk, lambda desk: getattr(owner(desk), shown_by)(name), [visit.seen])
