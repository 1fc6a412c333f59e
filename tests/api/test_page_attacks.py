"""Requests to the pages that no browser would send: forged, without a session, of another role."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

import pytest

from postroom.access import ROLES
from postroom.app import Room
from postroom.secret import Secret
from postroom.web import make_app
from postroom.web.pages import PAGES
from postroom.web.paths import Path
from tests.api.asking import Answer, Client
from tests.api.test_matrix import CANARY, furnish

pytestmark = pytest.mark.bares("file", "log", why="what was typed is searched for in answers")
ROUTES: list[Path] = [path for page in PAGES for path in page.ROUTES]
FORMS = [path for path in ROUTES if path.method == "POST"]
HERE = "http://room"
FORM = "application/x-www-form-urlencoded"
GOOD = "correct horse battery"


class Visitor:
    """Somebody with cookies, and no browser."""

    def __init__(self, room: Room) -> None:
        self.client = Client(make_app(room), {})
        self.cookies: dict[str, str] = {}

    async def get(self, path: str, **headers: str) -> Answer:
        return await self._ask("GET", path, headers, None)

    async def post(self, path: str, form: dict[str, str], **headers: str) -> Answer:
        given = {"origin": HERE, "content-type": FORM} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        given = {name: value for name, value in given.items() if value}
        return await self._ask("POST", path, given, urlencode(form).encode())

    async def token(self, path: str) -> str:
        """What the forms of a page carry."""
        found = re.search(r'name="csrf" value="([^"]+)"', (await self.get(path)).text)
        assert found, path
        return found[1]

    async def sign_in(self, name: str) -> Answer:
        form = {"csrf": await self.token("/sign-in"), "name": name, "password": GOOD + name}
        return await self.post("/sign-in", form)

    async def _ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None
    ) -> Answer:
        sent = dict(headers)
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = await self.client.ask(method, path, content=body, headers=sent, as_=None)
        self.cookies |= answer.cookies
        self.cookies = {name: value for name, value in self.cookies.items() if value}
        return answer


Enter = Callable[[str], Awaitable[Visitor]]


@pytest.fixture
async def enter(room: Room) -> Enter:
    """Signs somebody of a role in, who has its name, in a room that is furnished."""
    await furnish(room)

    async def entered(role: str) -> Visitor:
        await room.users.add(role, role, password=Secret(GOOD + role))
        visitor = Visitor(room)
        assert (await visitor.sign_in(role)).status_code == 303
        return visitor

    return entered


def at(path: str, name: str = "acme") -> str:
    return re.sub(r"\{[^}]*\}", name, path)


FORGED: dict[str, tuple[dict[str, str], bool]] = {
    "no origin": ({"origin": ""}, True),
    "the null origin": ({"origin": "null"}, True),
    "another site": ({"origin": "http://evil.example.com"}, True),
    "another scheme": ({"origin": "https://room"}, True),
    "another port": ({"origin": "http://room:81"}, True),
    "said to be cross-site": ({"sec_fetch_site": "cross-site"}, True),
    "said to be same-site": ({"sec_fetch_site": "same-site"}, True),
    "JSON": ({"content_type": "application/json"}, True),
    "text": ({"content_type": "text/plain"}, True),
    "no token": ({}, False),
}


@pytest.mark.parametrize(("headers", "token"), FORGED.values(), ids=FORGED.keys())
async def test_no_form_of_another_site_does_anything(
    enter: Enter, room: Room, headers: dict[str, str], token: bool
) -> None:
    """T42: every form there is, as an administrator who is signed in."""
    admin = await enter("admin")
    carried = {"csrf": await admin.token("/users")} if token else {"csrf": "x" * 43}
    before = len(await room.audit.list(limit=500))
    for path in FORMS:
        answer = await admin.post(at(path.path), carried, **headers)
        assert answer.status_code == 403, path
    assert len(await room.audit.list(limit=500)) == before
    assert (await admin.get("/users")).status_code == 200


async def test_the_token_of_a_guest_is_none_of_a_session(room: Room, enter: Enter) -> None:
    """T42: sign-in forms too: a cookie that another site planted is not enough, and no session's."""
    eve = Visitor(room)
    planted = await eve.token("/sign-in")
    admin = await enter("admin")
    for path in FORMS:
        answer = await admin.post(at(path.path), {"csrf": planted})
        assert answer.status_code == 403, path
    form = {"csrf": planted, "name": "admin", "password": GOOD + "admin"}
    assert (await eve.post("/sign-in", form, origin="http://evil")).status_code == 403
    assert (await Visitor(room).post("/sign-in", form)).status_code == 403


async def test_without_a_session_there_is_the_door_and_nothing_else(room: Room) -> None:
    """T55: every page leads to the sign-in; the answers of a page that there is not are no other."""
    await furnish(room)
    for path in ROUTES:
        guest = Visitor(room)
        if path.method == "GET":
            answer = await guest.get(at(path.path))
        else:
            answer = await guest.post(at(path.path), {"csrf": "x"})
        if path.open:
            assert answer.status_code in (200, 403, 404, 409), path
        else:
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/sign-in"), path
    assert {path.path for path in ROUTES if path.open} == {
        "/sign-in", "/sign-in/to-provider", "/sign-in/provider", "/callback", "/welcome", "/sign-out",
        "/theme",
    }  # fmt: skip
    assert (await Visitor(room).get("/no/such/page")).headers["location"].startswith("/sign-in")


@pytest.mark.parametrize("role", ROLES)
async def test_every_page_keeps_its_right_and_shows_no_secret(enter: Enter, role: str) -> None:
    """T25: page by page, and form by form."""
    visitor = await enter(role)
    csrf = await visitor.token("/tokens")
    last = ("delete", "destroy", "retire", "erase", "rotate", "session")
    for path in sorted(ROUTES, key=lambda one: (one.method, one.path.endswith(last))):
        if path.open:
            continue
        if path.method == "GET":
            answer = await visitor.get(at(path.path))
        else:  # of what is permitted an empty form: it is understood, or told what it lacks
            answer = await visitor.post(at(path.path), {"csrf": csrf})
        assert CANARY not in answer.text + str(answer.headers), path
        if path.right not in ROLES[role]:
            assert answer.status_code == 403, path
        assert answer.status_code != 500, path
        assert "/sign-in" not in answer.headers.get("location", ""), path


FINAL = ("delete", "destroy", "retire", "erase", "rotate", "invite")
"""What cannot be undone, or lets somebody in for good."""
WEIGHTY = [
    path.path
    for path in FORMS
    if not path.path.startswith("/messages")  # of one's daily work
    and (path.path.endswith(FINAL) or path.path in ("/users", "/users/{name}", "/tokens"))
]


async def test_what_cannot_be_undone_wants_a_proof_from_whoever_has_the_browser(
    enter: Enter, room: Room
) -> None:
    """T43: a session that was left open, or taken, deletes nothing and lets nobody in."""
    admin = await enter("admin")
    csrf = await admin.token("/users")

    async def there() -> tuple[object, ...]:
        return await room.roomfile.export(), await room.users.list(), await room.tokens.list()

    before = await there()
    await room.desk.write(lambda tx: tx.execute("UPDATE sessions SET proved_at = proved_at - 901"))
    assert len(WEIGHTY) > 15
    for path in WEIGHTY:
        answer = await admin.post(at(path), {"csrf": csrf})
        to, _, back = answer.headers.get("location", "").partition("?next=")
        assert (answer.status_code, to) == (303, "/prove"), path
        assert back in {at(page.path) for page in ROUTES if page.method == "GET"}, path
    assert await there() == before
    await room.desk.write(lambda tx: tx.execute("UPDATE sessions SET proved_at = proved_at + 901"))
    answer = await admin.post("/variables/acme/delete", {"csrf": csrf})
    assert answer.headers["location"] == "/variables"


@pytest.mark.parametrize("role", [role for role in ROLES if role not in ("admin", "auditor")])
async def test_no_page_has_what_is_hidden(enter: Enter, room: Room, role: str) -> None:
    """T48: and the page of a name that is hidden is that of a name that is not there."""
    await room.credentials.create("payroll", "password", details={"user_name": "zz"})
    side = {"protocol": "imap", "host": "127.0.0.1", "port": "1"}
    auth = {"type": "secret", "credential": "payroll"}
    await room.connections.add({"name": "payroll", "incoming": {**side, "auth": auth}})
    await room.jobs.add(
        {"name": "payroll", "steps": [{"read-email": {"via": "payroll", "id": "1"}}]}
    )
    await room.grants.restrict("payroll")
    visitor = await enter(role)
    for path in ROUTES:
        if path.method == "POST" or path.open or path.right not in ROLES[role]:
            continue
        there, missing = [await visitor.get(at(path.path, name)) for name in ("payroll", "zzyroll")]
        assert there.status_code == missing.status_code, path
        if "{" not in path.path:
            assert "payroll" not in there.text, path
        else:
            told = there.text.replace("payroll", "NAME")
            assert told == missing.text.replace("zzyroll", "NAME"), path


async def test_a_second_sign_in_ends_the_first_session_of_the_browser(
    enter: Enter, room: Room
) -> None:
    """T43: a cookie that was there before, somebody else's or one's own, is worth nothing then."""
    visitor = await enter("viewer")
    await enter("editor")
    before = dict(visitor.cookies)
    form = {"csrf": await visitor.token("/"), "name": "editor", "password": GOOD + "editor"}
    assert (await visitor.post("/sign-in", form)).status_code == 303
    assert visitor.cookies != before
    old = Visitor(room)
    old.cookies = before
    assert (await old.get("/")).headers["location"].startswith("/sign-in")
    assert (await visitor.get("/")).status_code == 200


@pytest.mark.parametrize(
    "way", ["//evil.example.com", "https://evil.example.com", "/\\evil.example.com", "/\t/evil", "x:y"]
)  # fmt: skip
async def test_a_sign_in_leads_nowhere_else(enter: Enter, room: Room, way: str) -> None:
    """T47: what stands behind next= is a page of this room, or the first one."""
    await enter("viewer")
    visitor = Visitor(room)
    assert "evil" not in str((await visitor.get(f"/sign-in?{urlencode({'next': way})}")).headers)
    form = {"csrf": await visitor.token("/sign-in"), "name": "viewer", "password": GOOD + "viewer"}
    answer = await visitor.post("/sign-in", {**form, "next": way})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_cookies_and_names_that_are_markup_stay_text(room: Room) -> None:
    """T47: the cookies that a page says again, and what was typed at the door."""
    evil = "\"'><script>alert(1)</script>"
    visitor = Visitor(room)
    visitor.cookies = {"postroom-theme": evil, "postroom-guest": evil}
    answer = await visitor.get(f"/sign-in?{urlencode({'next': evil})}")
    assert "<script>alert" not in answer.text
    visitor = Visitor(room)
    form = {"csrf": await visitor.token("/sign-in"), "name": evil, "password": evil, "next": evil}
    answer = await visitor.post("/sign-in", form)
    assert answer.status_code == 401
    assert "<script>alert" not in answer.text


async def test_the_overview_leads_nobody_where_they_may_not_go(
    enter: Enter, room: Room, tmp_path: os.PathLike[str]
) -> None:
    """A source waits for a sign-in: the viewer is led to look at it, and whoever may to sign in."""
    sink = {"type": "directory", "path": str(tmp_path)}
    await room.sources.add({"name": "orders", "connection": "acme", "sink": sink})
    await room.desk.db.write(
        lambda tx: tx.execute("UPDATE sources SET state = 'waiting for sign-in', due_at = 9e9")
    )
    for role, leads in (("viewer", False), ("operator", True)):
        page = (await (await enter(role)).get("/")).text
        assert "source orders" in page
        assert ("/connections/acme/sign-in" in page) == leads
        assert ('href="/connections/acme"' in page) != leads
