"""Lists page by page, in the browser: nothing is lost on the way, and no page has everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postroom.secret import Secret

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from postroom.app import Room
    from tests.web.site import Site
    from tests.web.visitor import Visitor


def walked(page: Page, rows: str, onward: str) -> list[str]:
    """The heads of all rows, from page to page."""
    found: list[str] = []
    while True:
        found += page.locator(rows).all_inner_texts()
        way = page.get_by_role("link", name=onward, exact=True)
        if not way.count():
            return found
        assert page.locator(rows).count() == 50
        way.click()
        page.get_by_role("link", name="From the beginning").wait_for()


def test_credentials_come_by_pages_also_where_some_are_looked_for(
    admin: Visitor, site: Site
) -> None:
    async def fill(room: Room) -> None:
        for number in range(120):
            kind = "secret" if number % 2 else "generic"
            details = {"value": Secret(f"value {number}")} if number % 2 else {}
            await room.credentials.create(
                f"c{number:03}", kind, description=f"Of {number % 3}", details=details
            )

    site.do(fill)
    page = admin.go("/credentials")
    head = "tbody th a"
    assert admin.serious() == []
    assert walked(page, head, "Further on") == [f"c{number:03}" for number in range(120)]
    page.goto("/credentials?type=secret")
    assert walked(page, head, "Further on") == [f"c{number:03}" for number in range(1, 120, 2)]
    page.goto("/credentials?only=incomplete")
    assert walked(page, head, "Further on") == [f"c{number:03}" for number in range(0, 120, 2)]
    page.goto("/credentials")
    page.get_by_label("Find").fill("oF 2")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**q=oF**")
    assert walked(page, head, "Further on") == [f"c{number:03}" for number in range(2, 120, 3)]
    page.goto("/credentials?q=nothing")
    page.get_by_text("Nothing fits.").wait_for()


def test_audit_and_runs_have_older_ones(admin: Visitor, site: Site) -> None:
    async def fill(room: Room) -> None:
        await room.jobs.add({"name": "tidy", "command": {"words": ["/bin/true"]}})
        for number in range(60):
            await room.variables.set(f"A{number:02}", "1")
            await room.runs.begin("tidy")

    site.do(fill)
    page = admin.go("/audit?noun=variable")
    named = walked(page, "tbody td:nth-of-type(3)", "Older")
    assert named == [f"variable A{number:02}" for number in reversed(range(60))]
    page.get_by_role("link", name="From the beginning").click()
    page.get_by_text("variable A59").wait_for()
    page.goto("/runs?job=tidy")
    assert len(set(walked(page, "tbody th .under", "Older"))) == 60
    assert admin.serious() == []
    page.goto("/runs?after=no-run")
    page.get_by_role("alert").wait_for()
    page.goto("/audit?after=-1")
    page.get_by_role("alert").wait_for()
