"""Every route of the page, every role, a canary: generated from the routes, asked without a browser."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import unquote, urlencode

import pytest

from postroom.access import ROLES
from postroom.app import Room
from postroom.secret import Secret
from postroom.web import make_app
from postroom.web.pages import PAGES
from postroom.web.working import WORKING
from tests.api.asking import Answer, Client
from tests.api.test_matrix import CANARY, furnish

PASSWORD: Final = "quiet river under a stone"
ROUTES: Final = list(
    dict.fromkeys(
        (each.method, each.path, each.right, each.open)
        for page in (*PAGES, *WORKING)
        for each in page.ROUTES
    )
)
NAMES: Final = {
    "{version}": "1", "{item}": "0" * 21, "{run}": "0" * 21, "{label}": "one", "{id}": "7",
    "{part}": "1", "{work}": "none", "{provider}": "microsoft", "{name}": "acme",
}  # fmt: skip
LAST: Final = ("delete", "destroy", "retire", "erase", "rotate")
"""What leaves nothing to ask for stands at the end."""


class Browsers:
    """Asks as whoever is signed in with a role; with the token of their session and the right origin."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._sessions: dict[str, tuple[str, str]] = {}

    async def sign_in(self, room: Room) -> None:
        """Somebody of each role."""
        first = await room.people.first_address()
        assert first is not None
        await room.people.accept(first, "admin", Secret(PASSWORD))
        for role in ROLES:
            if role != "admin":
                await room.users.add(role, role, password=Secret(PASSWORD))
            came = await room.people.sign_in(role, Secret(PASSWORD))
            self._sessions[role] = (came.cookie.reveal(), came.session.csrf)

    async def ask(
        self,
        method: str,
        path: str,
        role: str | None,
        *,
        csrf: str = "",
        origin: str = "http://room",
    ) -> Answer:
        """One request, an empty form where it is POST."""
        headers, body = {}, b""
        if role is not None:
            cookie, own = self._sessions[role]
            headers["cookie"] = f"postroom={cookie}"
            csrf = csrf or own
        if method == "POST":
            body = urlencode({"csrf": csrf}).encode()
            headers |= {"origin": origin, "content-type": "application/x-www-form-urlencoded"}
        return await self.client.ask(method, path, content=body, headers=headers, as_=None)


@pytest.fixture
async def browsers(room: Room) -> AsyncIterator[Browsers]:
    app = make_app(room)
    async with contextlib.AsyncExitStack() as ends:
        await ends.enter_async_context(app.router.lifespan_context(app))
        made = Browsers(Client(app, {}))
        await made.sign_in(room)
        yield made


def address(path: str) -> str:
    for name, value in NAMES.items():
        path = path.replace(name, value)
    return path


def in_order() -> list[tuple[str, str, str, bool]]:
    return sorted(
        ROUTES, key=lambda each: (each[1] == "/sign-out", each[0] == "POST", each[1].endswith(LAST))
    )


@pytest.mark.bares(
    "file", "log", why="typed secrets are sealed; what was typed is searched for in answers"
)
@pytest.mark.parametrize("role", [*ROLES, None])
async def test_every_page_keeps_its_right_and_shows_no_secret(
    browsers: Browsers, room: Room, role: str | None
) -> None:
    """T25, T55: who has the right is answered, who has not is refused; the canary is in no answer."""
    await furnish(room)
    for method, path, right, is_open in in_order():
        answer = await browsers.ask(method, address(path), role)
        said = answer.content + json.dumps(answer.headers).encode()
        assert CANARY.encode() not in said, path
        assert answer.status_code < 500 or answer.status_code == 502, (path, answer.text)
        if is_open:
            continue
        if role is None:
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/sign-in"), path
        elif path == "/prove":
            assert answer.status_code in (200, 401)  # no password is a wrong one
        elif right not in ROLES[role]:
            assert answer.status_code == 403, path
        else:
            assert answer.status_code not in (401, 403), (path, answer.text)


async def test_no_form_is_taken_from_elsewhere_or_without_its_token(
    browsers: Browsers, room: Room
) -> None:
    """T42: every form there is, sent from another site, from nowhere, and with another's token."""
    await furnish(room)
    before = await whole(room)
    for method, path, _, _ in ROUTES:
        if method == "POST":
            for origin in ("https://evil.example", "null"):
                answer = await browsers.ask(method, address(path), "admin", origin=origin)
                assert answer.status_code == 403, path
            answer = await browsers.ask(method, address(path), "admin", csrf="x" * 32)
            assert answer.status_code == 403, path
    assert await whole(room) == before


FINAL: Final = ("delete", "destroy", "retire", "erase", "rotate", "invite")
"""What cannot be undone, or lets somebody in for good."""
WEIGHTY: Final = sorted(
    (method, path)
    for method, path, _, _ in ROUTES
    if not path.startswith("/messages")  # of one's daily work
    and (path.endswith(FINAL) or (method, path) in {
        ("POST", "/users"), ("POST", "/users/{name}"), ("POST", "/tokens"),
    })
)  # fmt: skip


@pytest.mark.bares("file", "log", why="typed secrets are sealed; what is there is compared")
async def test_what_cannot_be_undone_wants_a_proof_from_whoever_has_the_browser(
    browsers: Browsers, room: Room
) -> None:
    """T43: a session that was left open, or taken, deletes nothing and lets nobody in."""
    await furnish(room)
    await room.desk.write(lambda tx: tx.execute("UPDATE sessions SET proved_at = proved_at - 901"))
    before = await whole(room), await room.users.list(), await room.tokens.list()
    pages = {path for method, path, _, _ in ROUTES if method == "GET"}
    assert len(WEIGHTY) > 20
    for method, path in WEIGHTY:
        answer = await browsers.ask(method, address(path), "admin")
        location = answer.headers.get("location", "")
        assert (answer.status_code, location[:12]) == (303, "/prove?next="), path
        back = unquote(location[12:])
        assert address(path).startswith(back), path
        assert back in {address(page) for page in pages}, path
    assert (await whole(room), await room.users.list(), await room.tokens.list()) == before
    await room.desk.write(lambda tx: tx.execute("UPDATE sessions SET proved_at = proved_at + 901"))
    answer = await browsers.ask("POST", "/users/viewer/delete", "admin")
    assert answer.headers["location"] == "/users"


async def whole(room: Room) -> str:
    """What there is, as one text."""
    return await room.roomfile.export()
