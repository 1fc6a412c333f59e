"""The overview: what needs a person, what has trouble and is tried again, and how much there is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from postroom.mail import Draft
from postroom.secret import Secret
from tests.web.mailroom import furnish

if TYPE_CHECKING:
    from playwright.sync_api import Request

    from postroom.app import Room
    from tests.ground import Ground
    from tests.web.site import Site
    from tests.web.visitor import Visitor

pytestmark = pytest.mark.slow


def test_what_fails_is_seen_at_once_and_gone_when_it_is_over(
    working: Site, admin_at_work: Visitor, ground: Ground, tmp_path: Path
) -> None:
    user = furnish(working, ground)
    sink = {"type": "directory", "path": str(tmp_path)}
    nobody = {"host": "127.0.0.1", "port": "1", "security": "none"}

    async def break_it(room: Room) -> None:
        sides = {
            "incoming": {"protocol": "imap", **nobody},
            "outgoing": {"protocol": "smtp", **nobody},
        }
        await room.connections.add({"name": "lost", **sides})
        await room.sources.add({"name": "lost-in", "connection": "lost", "sink": sink})
        await room.services.add({"name": "lost-out", "connection": "lost"})
        draft = Draft(
            from_="a@ground.test", to=["b@ground.test"], subject="Order 17", text="Hello."
        )
        await room.email.store("lost-out", draft)

    page = admin_at_work.go("/")
    page.get_by_role("heading", name="Needs a person").wait_for()
    working.do(break_it)
    troubles = page.get_by_role(
        "region", name="Having trouble"
    )  # it comes without loading the page anew
    for name in ("Source lost-in", "Service lost-out"):
        line = troubles.get_by_role("listitem").filter(has_text=name)
        line.get_by_text("tries again").wait_for(timeout=40_000)
        line.get_by_text("refused the connection").wait_for()
    needs = page.get_by_role("region", name="Needs a person")
    assert needs.get_by_text("lost").count() == 0
    assert admin_at_work.serious() == []
    page.goto("/services")  # and nobody is told there that it sends
    row = page.get_by_role("row").filter(has_text="lost-out")
    row.get_by_text("has trouble").wait_for()
    assert row.get_by_text("sends", exact=True).count() == 0
    page.goto("/")
    line.get_by_role("link", name="Look").click()
    page.get_by_role("link", name="Order 17").wait_for()

    page.goto("/")
    wrong, right = {"password": Secret("not the right one")}, {"password": Secret(user.password)}
    working.do(lambda room: room.credentials.set("acme-login", wrong))
    working.do(lambda room: room.sources.set("lost-in", {"connection": "acme"}))
    needs.get_by_text("source lost-in").first.wait_for(
        timeout=40_000
    )  # trying again does not help there
    assert troubles.get_by_text("lost-in").count() == 0
    working.do(lambda room: room.credentials.set("acme-login", right))
    page.get_by_role("cell", name="listening").wait_for(timeout=40_000)
    assert needs.get_by_text("lost-in").count() == 0


def test_the_overview_counts_what_it_does_not_list(admin: Visitor, site: Site) -> None:
    async def fill(room: Room) -> None:
        for number in range(3):
            await room.credentials.create(f"c{number}", "generic", description="x")

    page = admin.go("/")
    page.get_by_role("heading", name="Welcome").wait_for()
    site.do(fill)
    page.goto("/")
    tile = page.locator(".tile").filter(has_text="credentials")
    assert tile.inner_text().split() == ["3", "credentials"]
    page.get_by_role("link", name="Nobody is told of this").click()
    page.wait_for_url("**/notify")


def live(request: Request) -> bool:
    """Whether a part of the page asked for it by itself."""
    return "postroom-live" in request.headers


def test_a_part_that_asks_for_itself_takes_no_focus_and_no_selection(
    site: Site, admin: Visitor, ground: Ground
) -> None:
    furnish(site, ground)
    site.do(lambda room: room.services.add({"name": "orders-out", "connection": "acme"}))
    page = admin.go("/services")
    asked: list[str] = []
    link = page.locator("#services").get_by_role("link", name="orders-out")
    link.focus()
    page.evaluate("document.querySelector('#services').dataset.old = 'yes'")
    with page.expect_request_finished(live):
        pass
    page.locator("#services:not([data-old])").wait_for()  # another part is in its place
    expect(link).to_be_focused()
    page.wait_for_timeout(200)  # it is settled
    expect(link).to_be_focused()
    link.select_text()
    page.on("request", lambda one: asked.append(one.url) if live(one) else None)
    page.wait_for_timeout(6_000)
    assert asked == []
    assert page.evaluate("String(getSelection())") == "orders-out"
