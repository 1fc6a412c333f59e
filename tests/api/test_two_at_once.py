"""Two people have the same form open: whoever saves second is told, and undoes nothing."""

from __future__ import annotations

import html
import re
import typing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from postroom.app import Room
from postroom.operations import models
from postroom.operations.doors import DOORS
from postroom.operations.models.shown import Shown
from postroom.operations.unchanged import PASSING
from postroom.secret import Secret
from postroom.web.pages import PAGES
from postroom.web.seen import FORMS
from tests.api.test_page_attacks import Enter, Visitor, enter

__all__ = ["enter"]

EDITED = {
    path.path: path.path.split("/")[1]
    for page in PAGES
    for path in page.ROUTES
    if path.path.endswith(FORMS) and path.method == "POST"
}
TYPED = {
    "/credentials/{name}/details": "user_name",
    "/users/{name}": "address",
    "/variables/{name}": "value",
}
"""What is typed where there is no description."""
_FIELD = re.compile(
    r"<(input|textarea|select)\b([^>]*)>(.*?)(?=<(?:input|textarea|select|/form)\b)", re.S
)


def filled(page: str, typed: str = "description") -> dict[str, str]:
    """What a browser would send of the form that changes a definition, as it stands there."""
    form = next(one for one in re.split(r"(?=<form\b)", page) if f'name="{typed}"' in one)
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
    details = {"user_name": "a", "password": Secret("never told to anybody")}
    await room.credentials.create("thing", "password", details=details)
    await room.users.add("thing", "viewer")
    await room.variables.add("thing", "a")
    await room.jobs.add({"name": "thing", "steps": [{"test-connection": {"via": "thing"}}]})
    await room.notify.add({"name": "thing", "service": "thing", "to": ["a@example.com"]})
    return admin, editor


async def stands(room: Room, path: str) -> str:
    """What is there now of what is typed in the form of a path."""
    noun, typed = EDITED[path], TYPED.get(path, "description")
    if noun == "variables":
        return await room.variables.get("thing")
    shown = await getattr(room, noun).show("thing")
    return str((shown["fields"] if path.endswith("details") else shown)[typed])


@pytest.mark.parametrize("path", EDITED)
async def test_what_somebody_saved_meanwhile_is_not_undone(
    two: tuple[Visitor, Visitor], room: Room, path: str
) -> None:
    admin, editor = two
    if path.startswith("/users"):
        editor = admin  # in two windows
    typed, url = TYPED.get(path, "description"), path.format(name="thing")
    first, second = [filled((await one.get(url)).text, typed) for one in (admin, editor)]
    assert {"csrf", "seen", typed} <= first.keys()

    saved = await admin.post(url, {**first, typed: "first@example.com"})
    assert saved.status_code == 303, saved.text
    late = await editor.post(url, {**second, typed: "second@example.com"})
    assert late.status_code == 422, late.text
    assert "It was changed since you looked at it." in html.unescape(late.text)
    assert "second@example.com" in late.text  # what they typed is not lost
    again = filled(late.text, typed)
    assert (await editor.post(url, again)).status_code == 422  # until they have looked
    assert await stands(room, path) == "first@example.com"

    anew = filled((await editor.get(url)).text, typed)
    assert anew[typed] == "first@example.com"
    if path != "/sources/{name}/edit":  # who may not write files leaves where it writes as it is
        done = await editor.post(url, {**anew, typed: "second@example.com"})
        assert done.status_code == 303, done.text
        assert await stands(room, path) == "second@example.com"


def test_every_form_that_changes_what_is_there_has_seen_it() -> None:
    nouns = {door.noun for door in DOORS if door.method == "set"}
    assert nouns - set(EDITED.values()) == set()
    assert TYPED.keys() <= EDITED.keys()


async def test_a_form_that_was_left_for_a_moment_has_seen_what_it_had_seen(
    two: tuple[Visitor, Visitor], room: Room
) -> None:
    """Off to make a credential, and back: what somebody else saved meanwhile is not undone either."""
    admin, _ = two
    url = "/connections/thing/edit"
    form = filled((await admin.get(url)).text)
    left = await admin.post(url, {**form, "description": "mine", "make": "incoming.trust"})
    assert left.status_code == 303, left.text
    back = parse_qs(urlsplit(left.headers["location"]).query)["back"][0]
    await room.connections.set("thing", {"description": "theirs"})
    again = filled((await admin.get(back)).text)
    assert again["description"] == "mine"
    assert (await admin.post(url, again)).status_code == 422
    assert (await room.connections.show("thing"))["description"] == "theirs"


def test_what_a_tag_is_made_of_is_decided_field_by_field() -> None:
    """Beside what is declared a definition shows how it stands, which is no part of its tag."""
    beside = {
        field
        for one in vars(models).values()
        for shown in getattr(one, "__metadata__", ())
        if isinstance(shown, Shown)
        for field in typing.get_type_hints(shown.beside)
    }
    assert beside - PASSING == {
        "effective", "does", "way", "where", "error", "moved", "saved_by",
    }  # fmt: skip


async def test_what_one_saves_and_stays_is_saved_again(two: tuple[Visitor, Visitor]) -> None:
    """Save & refresh: the form that comes back has seen what it saved itself."""
    _, editor = two
    url = "/credentials/thing/details"
    form = filled((await editor.get(url)).text, "user_name")
    for name in ("ann@example.com", "bob@example.com"):
        page = await editor.post(url, {**form, "user_name": name, "then": "refresh"})
        assert page.status_code == 200, page.text
        form = filled(page.text, "user_name")
        assert form["user_name"] == name
