"""Two people have the same form open: whoever saves second is told, and undoes nothing."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from postroom.app import Room
from postroom.web.pages import PAGES
from tests.api.test_page_attacks import Enter, Visitor, enter

__all__ = ["enter"]

EDITED = {
    path.path: path.path.split("/")[1]
    for page in PAGES
    for path in page.ROUTES
    if path.path.endswith("/{name}/edit") and path.method == "POST"
}
_FIELD = re.compile(
    r"<(input|textarea|select)\b([^>]*)>(.*?)(?=<(?:input|textarea|select|/form)\b)", re.S
)


def filled(page: str) -> dict[str, str]:
    """What a browser would send of the form that changes a definition, as it stands there."""
    form = next(one for one in re.split(r"(?=<form\b)", page) if 'name="description"' in one)
    found = {}
    for kind, attributes, inside in _FIELD.findall(form + "</form"):
        said = dict(re.findall(r'([\w-]+)="([^"]*)"', attributes))
        name, value = said.get("name"), said.get("value", "")
        if not name or (said.get("type") in ("checkbox", "radio") and " checked" not in attributes):
            continue
        if kind == "textarea":
            value = inside.partition("</textarea")[0].removeprefix("\n")
        elif kind == "select":
            chosen = re.search(r'<option value="([^"]*)"[^>]* selected', inside)
            value = chosen[1] if chosen else ""
        found[html.unescape(name)] = html.unescape(value)
    return found


@pytest.fixture
async def two(enter: Enter, room: Room, tmp_path: Path) -> tuple[Visitor, Visitor]:
    """An administrator and an editor, in a room with one of each noun, called thing."""
    admin, editor = await enter("admin"), await enter("editor")
    none = {"type": "none"}
    await room.connections.add(
        {
            "name": "thing",
            "incoming": {"protocol": "imap", "host": "imap.example.com", "user": "a", "auth": none},
            "outgoing": {"protocol": "smtp", "host": "smtp.example.com", "auth": none},
        }
    )
    sink = {"type": "directory", "path": str(tmp_path / "in")}
    await room.sources.add({"name": "thing", "connection": "thing", "sink": sink})
    await room.services.add({"name": "thing", "connection": "thing"})
    await room.jobs.add({"name": "thing", "steps": [{"test-connection": {"via": "thing"}}]})
    await room.notify.add({"name": "thing", "service": "thing", "to": ["a@example.com"]})
    return admin, editor


@pytest.mark.parametrize(("path", "noun"), EDITED.items(), ids=EDITED.values())
async def test_what_somebody_saved_meanwhile_is_not_undone(
    two: tuple[Visitor, Visitor], room: Room, path: str, noun: str
) -> None:
    admin, editor = two
    path = path.format(name="thing")
    first, second = filled((await admin.get(path)).text), filled((await editor.get(path)).text)
    assert {"csrf", "seen", "description"} <= first.keys()

    saved = await admin.post(path, {**first, "description": "of the first"})
    assert saved.status_code == 303, saved.text
    late = await editor.post(path, {**second, "description": "of the second"})
    assert late.status_code == 422, late.text
    assert "It was changed since you looked at it." in html.unescape(late.text)
    assert "of the second" in late.text  # what they typed is not lost
    again = filled(late.text)
    assert (await editor.post(path, again)).status_code == 422  # until they have looked
    assert (await getattr(room, noun).show("thing"))["description"] == "of the first"

    anew = filled((await editor.get(path)).text)
    assert anew["description"] == "of the first"
    if noun != "sources":  # who may not write files leaves where it writes as it is
        done = await editor.post(path, {**anew, "description": "of the second"})
        assert done.status_code == 303, done.text
        assert (await getattr(room, noun).show("thing"))["description"] == "of the second"
