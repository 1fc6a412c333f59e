"""T47: what strangers can set is text wherever it is shown, and every page of work is fit to be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from postroom.mail import Draft
from tests.web.mailroom import PAYLOADS, furnish, letter

if TYPE_CHECKING:
    from postroom.app import Room
    from tests.ground import Ground
    from tests.web.site import Site
    from tests.web.visitor import Visitor

PAGES = (
    "/sources", "/sources/orders-in", "/sources/orders-in/edit", "/sources/orders-in/again",
    "/sources/orders-in/delete", "/new/source", "/ledger", "/ledger?source=orders-in&state=done",
    "/ledger/1", "/services", "/services/orders-out", "/services/orders-out/edit", "/new/service", "/compose",
    "/outbox", "/room-file",
    "/messages", "/messages?via=acme", "/jobs", "/jobs/tidy", "/jobs/tidy/edit", "/new/job", "/runs",
    "/variables", "/variables/A", "/keys", "/audit", "/users", "/users/root", "/tokens",
)  # fmt: skip


def fill(site: Site, ground: Ground, place: Path) -> None:
    """A room in which every text that can be set has markup in it."""
    user = furnish(site, ground)
    ground.dovecot.fill(
        user, [letter(each, f'"{each}" <s@bad.example>', each) for each in PAYLOADS[:4]]
    )
    everything = " ".join(PAYLOADS)

    async def work(room: Room) -> None:
        sink = {"type": "directory", "path": str(place)}
        deny = {"subject": {"deny": ["svg|<script>"]}}
        await room.sources.add(
            {
                "name": "orders-in",
                "description": everything,
                "connection": "acme",
                "sink": sink,
                "ignore": deny,
            }
        )
        await room.services.add(
            {"name": "orders-out", "description": everything, "connection": "acme"}
        )
        step = {"list-email": {"via": "acme", "search": 'subject:"<img src=x>"'}, "name": "found"}
        parameters = {"what": {"description": everything, "default": PAYLOADS[1]}}
        await room.jobs.add(
            {"name": "tidy", "description": everything, "steps": [step], "parameters": parameters}
        )
        await room.variables.set("A", everything)
        await room.collecting.run("orders-in")
        for subject in PAYLOADS[:4]:
            draft = Draft(
                from_=None, to=["a@ground.test"], subject=subject, text=subject, html=subject
            )
            await room.email.store("orders-out", draft)
        await room.runs.begin("tidy", {"what": PAYLOADS[0]})

    site.do(work)


@pytest.mark.parametrize("looks", ["light", "dark"])
def test_no_text_of_a_stranger_is_more_than_text_and_no_page_has_a_serious_fault(
    site: Site, visitor: Callable[..., Visitor], ground: Ground, tmp_path: Path, looks: str
) -> None:
    """T47: no script runs, nothing is loaded, no policy is broken; axe-core finds nothing serious."""
    fill(site, ground, tmp_path / "orders")
    site.person("root", "admin")
    came = visitor(site, color_scheme=looks)
    came.sign_in("root")
    run = site.do(lambda room: room.runs.list())[0].id
    item = site.do(lambda room: room.outbox.list())[0].id
    seen, serious = "", []
    for path in (*PAGES, f"/runs/{run}", f"/outbox/{item}", f"/outbox/{item}/message"):
        page = came.go(path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("window.hit") is None, path
        assert page.locator("main").locator("script, svg, img").count() == 0, path
        serious += [f"{path}: {each}" for each in came.serious()]
        seen += page.locator("main").inner_text()
    assert serious == []
    for each in PAYLOADS[:4]:
        assert seen.count(each) > 3
    assert "{{ 7*7 }}${7*7}" in seen


def test_every_page_fits_on_a_phone(
    site: Site, visitor: Callable[..., Visitor], ground: Ground, tmp_path: Path
) -> None:
    """Nothing is wider than the window but a table, which scrolls by itself."""
    fill(site, ground, tmp_path / "orders")
    site.person("root", "admin")
    came = visitor(site, viewport={"width": 360, "height": 740})
    came.sign_in("root")
    item = site.do(lambda room: room.outbox.list())[0].id
    wide = []
    for path in (*PAGES, f"/outbox/{item}", f"/outbox/{item}/message"):
        page = came.go(path)
        page.wait_for_load_state("networkidle")
        if page.evaluate("document.documentElement.scrollWidth") > 360:
            wide.append(path)
    assert wide == []


def test_a_list_is_walked_and_opened_with_the_keyboard_alone(
    admin: Visitor, site: Site, ground: Ground, tmp_path: Path
) -> None:
    fill(site, ground, tmp_path / "orders")
    page = admin.go("/ledger?source=orders-in")
    page.locator("ol.letters a").first.focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('ol.letters') !== null")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="What became of it").wait_for()
