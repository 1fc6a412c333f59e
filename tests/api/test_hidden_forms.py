"""Forms that name what is hidden, and the same forms with a name that there is not."""

from __future__ import annotations

import pytest

from postroom.access import ROLES
from postroom.app import Room
from tests.api.reader import Reader
from tests.api.test_page_attacks import FORMS, ROUTES, Enter, at, enter

__all__ = ["enter"]  # a fixture

pytestmark = pytest.mark.bares("file", "log", why="what was typed is searched for in answers")


@pytest.mark.parametrize("role", ["editor", "operator"])
async def test_a_form_for_what_is_hidden_is_answered_as_for_what_is_not_there(
    enter: Enter, room: Room, role: str
) -> None:
    """T48: every form with a name in its address; and nothing of what is hidden is changed."""
    await room.credentials.create("payroll", "password", details={"user_name": "zz"})
    auth = {"type": "secret", "credential": "payroll"}
    side = {"protocol": "imap", "host": "127.0.0.1", "port": "1", "auth": auth}
    await room.connections.add({"name": "payroll", "incoming": side})
    await room.grants.restrict("payroll")
    visitor = await enter(role)
    csrf = await visitor.token("/tokens")
    before = await room.credentials.show("payroll"), await room.connections.show("payroll")
    asked = 0
    for path in FORMS:
        if path.open or path.right not in ROLES[role] or "{" not in path.path:
            continue
        there, missing = [
            (await visitor.post(at(path.path, name), {"csrf": csrf}), await visitor.get("/tokens"))[
                0
            ]
            for name in ("payroll", "zzyroll")
        ]  # what a redirection says is heard before the next
        assert there.status_code == missing.status_code, path
        told = there.text.replace("payroll", "NAME"), missing.text.replace("zzyroll", "NAME")
        assert told[0] == told[1], path
        asked += 1
    assert asked > 10
    assert before == (
        await room.credentials.show("payroll"),
        await room.connections.show("payroll"),
    )


@pytest.mark.parametrize("role", ["editor", "operator"])
async def test_a_form_as_it_is_filled_in_for_what_is_hidden_finds_nothing(
    enter: Enter, reader: Reader, room: Room, role: str
) -> None:
    """T48: every form that an administrator has for them, sent as it stands there by who may not."""
    visitor = await enter(role)
    await room.credentials.create("payroll", "password", details={"user_name": "zz"})
    auth = {"type": "secret", "credential": "payroll"}
    side = {"protocol": "imap", "host": "127.0.0.1", "port": "1", "auth": auth}
    await room.connections.add({"name": "payroll", "incoming": side})
    await room.grants.restrict("payroll")
    filled = await forms(reader, "payroll")
    assert len(filled) > 10, filled.keys()
    csrf = await visitor.token("/tokens")
    before = await room.credentials.show("payroll"), await room.connections.show("payroll")
    for action, form in filled.items():
        answers = []
        for name in ("payroll", "zzyroll"):
            sent = {key: value.replace("payroll", name) for key, value in form.items()}
            path = action.replace("payroll", name)
            answer = await visitor.post(path, {**sent, "csrf": csrf})
            answers.append((answer.status_code, answer.text.replace(name, "NAME")))
            await visitor.get("/tokens")  # what a redirection says is heard before the next
        assert answers[0] == answers[1], action
    assert before == (
        await room.credentials.show("payroll"),
        await room.connections.show("payroll"),
    )


async def forms(reader: Reader, name: str) -> dict[str, dict[str, str]]:
    """What stands in the forms of the pages of everything that is called ``name``, by where each is sent;
    what is empty is filled in."""
    found = {}
    for path in ROUTES:
        if path.method == "GET" and path.path.startswith(("/connections/{", "/credentials/{")):
            await reader.go(at(path.path, name))
            for one in reader.offered:
                if one.form is not None and one.form.method == "post" and name in one.to:
                    fields = {
                        each.name: each.value or ("" if each.kind == "select" else "new")
                        for each in one.form.fields
                        if each.on
                    }
                    found[one.to] = fields | ({one.name: one.value} if one.name else {})
    return found
