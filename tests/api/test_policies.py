"""What the answers of a served room let a browser do: nothing that a stranger's text could use."""

from __future__ import annotations

import pytest

from postroom.app import Room
from postroom.mail import Draft
from postroom.operations.doors import DOORS
from postroom.serving.border import Border
from tests.api.asking import Answer, Client
from tests.api.test_page_attacks import ROUTES, Enter, at, enter

__all__ = ["enter"]  # a fixture

pytestmark = pytest.mark.bares("file", "log", why="what was typed is searched for in answers")
LETTER = "<p style='color: red'>Hello.</p>"


def rules(answer: Answer) -> dict[str, list[str]]:
    """The policy of an answer: what each kind of thing may come from."""
    directives = [one.split() for one in answer.headers["content-security-policy"].split(";")]
    assert len({one[0] for one in directives}) == len(directives), directives  # the first one holds
    return {name: sources for name, *sources in directives}


def wrong(policy: dict[str, list[str]], *, letter: bool = False) -> list[str]:
    """What a policy should not have; ``letter``: it is of somebody's message, which has its styles."""
    found = [
        f"{name} {source}"
        for name, sources in policy.items()
        for source in sources
        if source.startswith(
            ("http:", "https:", "ws:", "blob:", "filesystem:", "'unsafe-", "'nonce-")
        )
        or "*" in source
        or (source == "data:" and name != "img-src")
    ]
    if letter:
        found.remove("style-src-attr 'unsafe-inline'")
    if policy["default-src"] != ["'none'"]:
        found.append("default-src")
    scripts = [name for name in policy if name.startswith("script-src")]
    if scripts not in ([], ["script-src"]) or policy.get("script-src", ["'self'"]) != ["'self'"]:
        found.append("script-src")
    inside = policy.get("sandbox")
    if inside is not None and ("allow-scripts" in inside or "allow-same-origin" in inside):
        found.append("sandbox")
    return found


async def test_no_page_lets_a_script_or_style_in_that_is_not_ours(enter: Enter, room: Room) -> None:
    """T46: every page, with what is not there; over the border, as it is served."""
    admin = await enter("admin")
    admin.client.app = Border(admin.client.app, names=("room",))
    paths = [at(path.path) for path in ROUTES if path.method == "GET"]
    found = {}
    for path in [*paths, "/nothing"]:
        policy = rules(await admin.get(path))
        assert policy["script-src"] == policy["style-src"] == ["'self'"], path
        assert policy["base-uri"] == policy["frame-ancestors"] == ["'none'"], path
        assert policy["form-action"] == ["'self'"], path
        found[path] = wrong(policy)
    assert len(found) > 40
    assert not [one for one in found.items() if one[1]]


async def test_no_answer_of_the_api_lets_anything_in(client: Client, room: Room) -> None:
    """T46: what a browser is made to open of it runs nothing."""
    client.app = Border(client.app, names=("room",))
    for path in {at(door.path) for door in DOORS if door.http == "GET"} | {"/openapi.json", "/x"}:
        assert wrong(rules(await client.get(path))) == [], path


async def test_a_frame_has_no_script_at_all(enter: Enter, room: Room) -> None:
    """T46, T80: a message and its parts are sandboxed, and their own styles are all they have."""
    admin = await enter("admin")
    admin.client.app = Border(admin.client.app, names=("room",))
    draft = Draft(from_=None, to=["b@example.com"], subject="x", text="x", html=LETTER)
    item = await room.email.store("service:acme", draft)
    for part, letter in (("html", True), ("text", True), ("raw", False)):
        answer = await admin.get(f"/outbox/{item}/message/{part}")
        assert answer.status_code == 200, part
        policy = rules(answer)
        assert "script-src" not in policy, part
        assert "sandbox" in policy, part
        assert wrong(policy, letter=letter) == [], part
