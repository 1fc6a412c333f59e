"""``python -m tests.web.screenshots``: every page, light and dark, into ``docs/screenshots``.

The room is a real one, with a mailbox on the mail servers of the ground, mail collected and sent.
"""

from __future__ import annotations

import base64
import re
import socket
import struct
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from playwright.sync_api import sync_playwright

from postroom.secret import Secret
from postroom.settings import Settings
from tests.ground import Ground
from tests.journeys.conftest import connect
from tests.journeys.oauth import connect as connect_app
from tests.journeys.oauth import register
from tests.web.conftest import CHROMIUM
from tests.web.gallery import pages
from tests.web.mailroom import letter
from tests.web.site import Site
from tests.web.test_connecting import begun
from tests.web.test_from_nothing import servers
from tests.web.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from postroom.app import Room

__all__ = ["main"]

FOLDER: Final = Path(__file__).parents[2] / "docs" / "screenshots"
SIZE: Final = {"width": 1200, "height": 800}
HIGHEST: Final = 1300
SCALE: Final = 0.75
"""A page of 1200 points is a picture of 900: small, and still to be read."""

NAMES: Final = {
    "/connections/{name}": "acme", "/connections/{name}/edit": "acme-archive",
    "/credentials/{name}": "relay", "/credentials/{name}/secrets/{label}/retire": "entra 2026a",
    "/credentials/{name}/versions/{version}/destroy": "relay 1",
    "/credentials/{name}/versions/{version}/restore": "relay 1", "/guide/{provider}": "microsoft",
    "/jobs/{name}": "nightly", "/ledger/{id}": "1", "/notify/{name}": "team",
    "/services/{name}": "orders-out", "/sources/{name}": "orders-in", "/users/{name}": "grace",
    "/variables/{name}": "SHOP",
}  # fmt: skip
BESIDES: Final = {
    "credentials-app": "/credentials/entra", "connect-known": "/connect?address=ann@gmail.com",
    "connect-microsoft": "/connect?address=ann@outlook.com", "messages-list": "/messages?via=acme",
    "not-there": "/nothing-here",
}  # fmt: skip
"""Pages that look otherwise with other values, by the name of their picture."""


def main() -> None:
    """Make them all anew."""
    FOLDER.mkdir(exist_ok=True)
    with (
        Ground() as ground,
        tempfile.TemporaryDirectory(prefix="postroom-") as folder,
        sync_playwright() as playwright,
    ):
        _NAMES[folder] = "/srv/postroom"
        settings = Settings(Path(folder) / "room", f"file:{folder}/keys/room.key")
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        with Site(settings, works=True) as site:
            for come, theme in _visitors(browser, site, first=True):
                _picture(come, f"overview-empty-{theme}", "/")
            user = ground.user(name="orders")
            site.do(lambda room: connect(room, ground, user))
            site.do(lambda room: _furnish(room, Path(folder), user.address))
            letters = [letter(*each) for each in _MAIL]
            ground.dovecot.fill(user, letters)
            _until(lambda: site.do(_is_ready))
            for come, theme in _visitors(browser, site):
                for name, path in (_named(site) | BESIDES).items():
                    _picture(come, f"{name}-{theme}", path)
                _tested(come, theme)
            _door(browser, site)
        with Site(Settings(Path(folder) / "other", f"file:{folder}/keys/other.key")) as site:
            _on_the_way(browser, site, ground, Path(folder))


_NAMES: Final[dict[str, str]] = {socket.gethostname(): "mailroom"}
"""What is of the machine that takes the pictures, and what stands in its place."""
_RENAME: Final = """names => {
  const pairs = Object.entries(names);
  const better = text => pairs.reduce((all, [one, other]) => all.replaceAll(one, other), text);
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) walk.currentNode.data = better(walk.currentNode.data);
  for (const each of document.querySelectorAll("input, textarea")) each.value = better(each.value);
}"""
_MAIL: Final = (
    ("Order 4711: three boxes", "Ada Lovelace <ada@analytical.example>", "Three boxes, please."),
    ("Invoice 2026-118", "Accounts <accounts@supplier.example>", "Please find it attached."),
    ("Re: delivery on Thursday", "Grace Hopper <grace@compiler.example>", "Thursday suits us."),
)


async def _furnish(room: Room, folder: Path, address: str) -> None:
    """Something on every page."""
    await room.credentials.change("acme-login", description="Mailbox of the orders team")
    await room.credentials.create(
        "relay", "smtp", description="The company's relay", expires_at="2027-01-05",
        details={"host": "smtp.example.com", "port": 587, "tls": True, "user_name": "app",
                 "password": Secret("a-relay-password-wxyz")},
    )  # fmt: skip
    await room.credentials.set("relay", {"password": Secret("another-password-abcd")})
    await room.credentials.create(
        "entra", "msgraph", description="App in Entra, for the shared mailboxes",
        details={"tenant_id": "example.com", "client_id": "11111111-2222-3333-4444-555555555555",
                 "mailboxes": ["*@example.com"], "client_secrets": {
                     "2026a": {"value": Secret("abc~defgh.ijklmnop-1234"), "valid_until": "2027-03-01"}}},
    )  # fmt: skip
    await room.connections.set("acme", {"description": "Orders of the shop"})
    await room.connections.add(
        {"name": "acme-archive", "extends": "acme", "incoming": {"read_only": True}}
    )
    sink = {"type": "directory", "path": str(folder / "orders")}
    await room.sources.add({"name": "orders-in", "connection": "acme", "sink": sink})
    await room.services.add({"name": "orders-out", "connection": "acme", "from": address})
    await room.variables.add("SHOP", "https://shop.example.com")
    await room.notify.add(
        {"name": "team", "description": "The orders team", "service": "orders-out", "to": [address]}
    )
    await room.jobs.add(
        {
            "name": "nightly", "description": "Tells the team what came", "schedule": {"cron": "0 6 * * *"},
             "steps": [{"send-email": {"via": "orders-out", "to": address, "subject": "Orders of today",
                                      "text": "See the list."}}],
        }
    )  # fmt: skip
    await room.runs.begin("nightly")
    await room.users.add("grace", "operator", password=Secret("a long password of hers"))
    await room.commands.run(
        "send-email",
        {
            "via": "orders-out",
            "to": address,
            "subject": "Your order is on its way",
            "text": "Hello.",
        },
    )


async def _is_ready(room: Room) -> bool:
    """Whether mail was collected and sent."""
    ledger = [one for one in await room.ledger.list() if one.state == "done"]
    return len(ledger) >= len(_MAIL)


def _named(site: Site) -> dict[str, str]:
    """Every page there is, by the name of its picture: ``/sources/{name}/edit`` is ``sources-one-edit``."""
    found = {}
    for route, path in pages(site, NAMES).items():
        parts = [re.sub("{.*}", "one", part) for part in route.split("/") if part]
        found["-".join(parts) or "overview"] = path
    (newest, *_), of = site.do(_messages), "via=acme&folder=INBOX&id="
    return found | {
        "message": f"/messages/read?{of}{newest}", "message-answer": f"/messages/answer?{of}{newest}",
    }  # fmt: skip


async def _messages(room: Room) -> list[str]:
    found = await room.commands.run("list-email", {"via": "acme", "limit": 9})
    return [one["id"] for one in found["items"] if "Invoice" in one["subject"]]


def _visitors(
    browser: Browser, site: Site, *, first: bool = False
) -> Iterator[tuple[Visitor, str]]:
    if first:
        site.person("root", "admin")
    for theme in ("light", "dark"):
        come = Visitor(browser, site, color_scheme=theme, viewport=SIZE, device_scale_factor=SCALE)
        come.sign_in("root")
        yield come, theme
        come.context.close()


def _door(browser: Browser, site: Site) -> None:
    for theme in ("light", "dark"):
        come = Visitor(browser, site, color_scheme=theme, viewport=SIZE, device_scale_factor=SCALE)
        _picture(come, f"sign-in-{theme}", "/sign-in")
        _picture(come, f"welcome-{theme}", "/welcome")
        come.context.close()
        come = Visitor(
            browser, site, color_scheme=theme, viewport={"width": 390, "height": 800},
            device_scale_factor=SCALE,
        )  # fmt: skip
        come.sign_in("root")
        _picture(come, f"phone-overview-{theme}", "/")
        _picture(come, f"phone-connection-{theme}", "/connections/acme")
        come.context.close()


def _on_the_way(browser: Browser, site: Site, ground: Ground, folder: Path) -> None:
    """An account that is being connected, and somebody who signs in by a code."""
    user = ground.user(name="ann")
    site.do(lambda room: register(room, ground, ground.oauth.client()))
    site.do(lambda room: connect_app(room, ground, ground.user(), "oauth_device_flow"))
    for come, theme in _visitors(browser, site, first=not site.do(_has_people)):
        page = begun(come, user.address, "User name and password")
        page.get_by_label("Password").fill(user.password)
        servers(page, ground)
        page.get_by_role("button", name="Test it").click()
        for place in ("incoming", "outgoing"):
            page.get_by_role("button", name=f"Trust it for the {place} server").click()
        page.get_by_text("Everything works").wait_for()
        _taken(come, f"connect-tested-{theme}")
        page.get_by_label("Call it").fill(f"orders-{theme}")
        page.get_by_label("Into the directory").fill(str(folder / "mail" / theme))
        page.get_by_role("button", name="Connect it").click()
        page.get_by_role("heading", name="is connected").wait_for()
        _taken(come, f"connect-made-{theme}")
        page.goto("/connections/acme/sign-in")
        page.get_by_role("radio", name="With a code on another device").check()
        page.get_by_role("button", name="Begin").click()
        page.get_by_role("img", name="QR code").wait_for()
        _taken(come, f"sign-in-by-a-code-{theme}")
        _picture(come, f"callback-{theme}", "/callback?state=none")


async def _has_people(room: Room) -> bool:
    return bool(await room.users.list())


def _tested(come: Visitor, theme: str) -> None:
    """The live test, when it is done."""
    page = come.go("/connections/acme")
    page.get_by_role("button", name="Test", exact=True).click()
    page.get_by_text("Everything works").wait_for()
    _taken(come, f"connection-tested-{theme}")


def _picture(come: Visitor, name: str, path: str) -> None:
    come.go(path)
    come.page.wait_for_timeout(150)
    _taken(come, name)


def _taken(come: Visitor, name: str) -> None:
    come.page.evaluate(_RENAME, _NAMES)
    size = come.page.viewport_size
    if size is None:
        raise LookupError("a page has a size")
    high: Any = come.page.evaluate("document.documentElement.scrollHeight")
    clip: Any = {
        "x": 0,
        "y": 0,
        "width": size["width"],
        "height": max(size["height"], min(high, HIGHEST)),
    }
    picture = come.page.screenshot(full_page=True, clip=clip)
    # by the protocol of the browser, on a page of nobody's: the policy of ours lets no script in
    paper = come.context.new_page()
    found = paper.evaluate(_COLOURS, base64.b64encode(picture).decode())
    paper.close()
    rows = base64.b64decode(found["rows"])
    colours = b"".join(bytes(each) for each in found["colours"])
    (FOLDER / f"{name}.png").write_bytes(_png(found["width"], rows, colours))


def _png(width: int, rows: bytes, colours: bytes) -> bytes:
    """A picture of at most 256 colours (PNG, third edition, 11.2): a fourth of the bytes."""
    lines = [b"\0" + rows[at : at + width] for at in range(0, len(rows), width)]
    head = struct.pack("!2I5B", width, len(lines), 8, 3, 0, 0, 0)
    chunks = [
        (b"IHDR", head),
        (b"PLTE", colours),
        (b"IDAT", zlib.compress(b"".join(lines), 9)),
        (b"IEND", b""),
    ]
    whole = [
        struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(whole)


_COLOURS: Final = """async (picture) => {
  const image = new Image();
  image.src = `data:image/png;base64,${picture}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  const brush = canvas.getContext("2d");
  brush.drawImage(image, 0, 0);
  const all = brush.getImageData(0, 0, image.width, image.height).data;
  const [count, near, rows] = [new Map(), new Map(), new Uint8Array(all.length / 4)];
  const at = (place) => all[place] << 16 | all[place + 1] << 8 | all[place + 2];
  for (let place = 0; place < all.length; place += 4)
    count.set(at(place), (count.get(at(place)) || 0) + 1);
  const most = [...count].sort((a, b) => b[1] - a[1]).slice(0, 256).map(each => each[0]);
  const parts = (one) => [one >> 16, one >> 8 & 255, one & 255];
  const colours = most.map(parts);
  const nearest = (one) => {
    const [r, g, b] = parts(one);
    let [best, least] = [0, Infinity];
    colours.forEach(([x, y, z], number) => {
      const far = (r - x) ** 2 + (g - y) ** 2 + (b - z) ** 2;
      if (far < least) [best, least] = [number, far];
    });
    return best;
  };
  for (let place = 0; place < all.length; place += 4) {
    if (!near.has(at(place))) near.set(at(place), nearest(at(place)));
    rows[place / 4] = near.get(at(place));
  }
  let text = "";
  for (let place = 0; place < rows.length; place += 8192)
    text += String.fromCharCode(...rows.subarray(place, place + 8192));
  return {width: image.width, rows: btoa(text), colours};
}"""
"""The nearest 256 colours of a picture, each of its points as the number of one."""


def _until(seen: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not seen():
        if time.monotonic() > end:
            raise TimeoutError("the room did not get ready")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
