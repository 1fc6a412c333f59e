"""One room in which every text that somebody may set is a stranger's markup, and where its pages are."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from postroom.mail import Draft
from postroom.secret import Secret
from postroom.web.pages import PAGES
from tests.web.mailroom import PAYLOADS, furnish, letter

if TYPE_CHECKING:
    from postroom.app import Room
    from tests.ground import Ground
    from tests.web.site import Site

__all__ = ["addresses", "hang", "pages"]

NAMES: Final = {
    "/compose": "", "/connections/{name}": "acme", "/credentials/{name}": "login",
    "/credentials/{name}/secrets/{label}/retire": "app 2026a",
    "/credentials/{name}/versions/{version}/destroy": "login 1",
    "/credentials/{name}/versions/{version}/restore": "login 1",
    "/guide/{provider}": "microsoft", "/jobs/{name}": "tidy", "/ledger/{id}": "1", "/notify/{name}": "chat",
    "/services/{name}": "orders-out", "/sources/{name}": "orders-in", "/users/{name}": "root",
    "/variables/{name}": "A",
}  # fmt: skip
"""What stands for the parts in braces, by the longest beginning of a route."""
BESIDES: Final = (
    "/connect?address=ann@gmail.com", "/connect?address=ann@firm.invalid", "/connections/child/edit",
    "/credentials/app", "/credentials/app/details", "/credentials/keys", "/credentials/keys/details",
    "/guide/google", "/ledger?source=orders-in&state=done", "/messages?via=acme",
    "/nothing-here",
    *(f"/{noun}?q=%22%3E%3Cscript%3Ewindow.hit%3D1%3C/script%3E"
      for noun in ("credentials", "connections", "outbox", "audit")),
)  # fmt: skip
"""Pages that look otherwise with other values."""
ELSEWHERE: Final = {
    "/callback": "test_signing_in.py", "/sign-in/provider": "test_entrance.py",
    "/connect/{work}": "test_strangers.py", "/connect/{work}/again": "test_strangers.py",
    "/connect/{work}/made": "test_strangers.py", "/works/{id}": "test_strangers.py",
    "/messages/read": "", "/next-times": "test_forms.py", "/messages/answer": "test_reading.py",
    "/messages/message/{part}": "test_reading.py", "/outbox/{item}/message/{part}": "test_sending.py",
}  # fmt: skip
"""What is a file, leads on at once, or needs what is under way: and the tests that go there."""


def hang(site: Site, ground: Ground, place: Path) -> None:
    """Fill the room of a site; mail is collected to ``place``."""
    user = furnish(site, ground)
    ground.dovecot.fill(
        user, [letter(each, f'"{each}" <s@bad.example>', each) for each in PAYLOADS[:4]]
    )
    everything = " ".join(PAYLOADS)

    async def work(room: Room) -> None:
        await _credentials(room, everything)
        await _work(room, everything, place)
        await _done(room)

    site.do(work)


def addresses(site: Site) -> list[str]:
    """The addresses of every page there is."""
    letter = urlencode({"via": "acme", "folder": "INBOX", "id": site.do(_letter)})
    letters = [f"/messages/read?{letter}", f"/messages/answer?{letter}"]
    return [*pages(site, NAMES).values(), *letters, *BESIDES]


async def _letter(room: Room) -> str:
    found = await room.commands.run("list-email", {"via": "acme", "limit": 1})
    return str(found["ids"][0])


def pages(site: Site, names: Mapping[str, str]) -> dict[str, str]:
    """The address of each page by its route, with ``names`` for the parts in braces."""
    named = {
        "/outbox/{item}": site.do(lambda room: room.outbox.list())[0].id,
        "/runs/{run}": site.do(lambda room: room.runs.list())[0].id,
        **names,
    }
    routes = [path.path for page in PAGES for path in page.ROUTES if path.method == "GET"]
    return {route: _address(route, named) for route in routes if route not in ELSEWHERE}


def _address(route: str, named: Mapping[str, str]) -> str:
    if "{" not in route:
        return route
    values = named[max((each for each in named if route.startswith(each)), key=len)].split()
    for value in values:
        route = f"{route.partition('{')[0]}{value}{route.partition('}')[2]}"
    return route


async def _credentials(room: Room, text: str) -> None:
    plain = text.replace("\u202e", "")  # a user name has no signs of direction
    await room.credentials.create(
        "login", "password", description=text,
        details={"user_name": plain, "password": Secret("correct horse battery")},
    )  # fmt: skip
    await room.credentials.set("login", {"password": Secret("another horse battery")})
    await room.credentials.create(
        "keys", "generic", description=text,
        details={"key": Secret("another quiet secret"), "url": {"value": text, "plain": True}},
    )  # fmt: skip
    valid = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=20)).date().isoformat()
    secrets = {
        label: {"value": Secret("a client secret, long"), "description": text, "valid_until": valid}
        for label in ("2026a", "2026b")
    }
    details: dict[str, Any] = {
        "authority": "https://login.example.com", "client_id": text,
        "token_endpoint": "https://login.example.com/t", "client_secrets": secrets,
    }  # fmt: skip
    await room.credentials.create("app", "oauth_client", description=text, details=details)
    await room.connections.set("acme", {"description": text})
    await room.connections.add(
        {
            "name": "child", "extends": "acme", "description": text,
            "incoming": {"host": "127.0.0.2", "port": "1"},
            "outgoing": {"check_server_identity": False},
        }
    )  # fmt: skip
    await room.connections.test("child")  # its log has what went wrong


async def _work(room: Room, text: str, place: Path) -> None:
    await room.sources.add(
        {
            "name": "orders-in", "description": text, "connection": "acme",
            "sink": {"type": "directory", "path": str(place)},
            "ignore": {"subject": {"deny": ["svg|<script>"]}},
        }
    )  # fmt: skip
    await room.services.add({"name": "orders-out", "description": text, "connection": "acme"})
    step = {"list-email": {"via": "acme", "search": 'subject:"<img src=x>"'}, "name": "found"}
    parameters = {"what": {"description": text, "default": PAYLOADS[1]}}
    await room.jobs.add(
        {"name": "tidy", "description": text, "steps": [step], "parameters": parameters}
    )
    await room.variables.set("A", text)
    await room.notify.add(
        {"name": "chat", "description": text, "service": "orders-out", "to": ["a@ground.test"]}
    )


async def _done(room: Room) -> None:
    await room.collecting.run("orders-in")
    for subject in PAYLOADS[:4]:
        draft = Draft(from_=None, to=["a@ground.test"], subject=subject, text=subject, html=subject)
        await room.email.store("orders-out", draft)
    await room.runs.begin("tidy", {"what": PAYLOADS[0]})
