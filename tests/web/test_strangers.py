"""T47: what strangers can set is text wherever it is shown, and every page is fit to be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest

from tests.web.gallery import addresses, hang
from tests.web.mailroom import PAYLOADS
from tests.web.test_from_nothing import servers

if TYPE_CHECKING:
    from playwright.sync_api import Page, ViewportSize

    from tests.ground import Ground
    from tests.web.site import Site
    from tests.web.visitor import Visitor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(360)]

PHONE: Final[ViewportSize] = {"width": 360, "height": 740}
DESK: Final[ViewportSize] = {"width": 1280, "height": 720}
_WIDE: Final = """() => document.documentElement.scrollWidth <= 360 ? [] :
  [...document.querySelectorAll("main *")]
    .filter(one => one.getBoundingClientRect().right > 361 && !one.closest(".table, pre"))
    .map(one => one.outerHTML.slice(0, 90)).slice(0, 5)"""
"""What sticks out where a page is wider than a phone."""
_LOADED: Final = """() => [...document.querySelectorAll("main script, main style, main svg, main img")]
  .filter(one => !one.matches("[src^='/static/']")).map(one => one.outerHTML.slice(0, 90))"""


def test_every_page_shows_text_of_strangers_as_text_and_is_fit_for_everybody(
    site: Site, visitor: Callable[..., Visitor], ground: Ground, tmp_path: Path
) -> None:
    """T47: no script runs, nothing is loaded, no policy is broken; axe-core finds nothing serious in
    light or in dark, and on a phone nothing is wider than the window but a table, which scrolls."""
    hang(site, ground, tmp_path / "orders")
    site.person("root", "admin")
    came = visitor(site, viewport=DESK)
    outside = {path: _faults(came, came.go(path)) for path in ("/sign-in", "/welcome#abc")}
    page, seen = came.sign_in("root"), ""
    inside = {}
    for path in addresses(site):
        came.go(path)
        inside[path] = _faults(came, page)
        seen += page.locator("main").inner_text()
    found = {path: faults for path, faults in (outside | inside).items() if faults}
    assert found == {}
    for each in PAYLOADS:
        assert seen.count(each) > 3, each


def test_what_is_under_way_is_fit_for_everybody(
    working: Site, visitor: Callable[..., Visitor], ground: Ground, tmp_path: Path
) -> None:
    """An account that is connected, from its first try to its end, and a work: as every other page."""
    user = ground.user()
    working.person("root", "admin")
    came = visitor(working, viewport=DESK)
    page, found = came.sign_in("root"), {}
    page.goto(f"/connect?address={user.address}&provider=plain")
    page.get_by_label("Password").fill(user.password)
    servers(page, ground)
    page.get_by_role("button", name="Test it").click()
    trust = page.get_by_role("button", name="Trust it for the incoming server")
    trust.wait_for(timeout=30_000)
    found["it failed"] = _faults(came, page)
    tried = urlsplit(page.url).path
    assert tried.startswith("/connect/")
    page.get_by_role("link", name="Change what was typed").click()
    page.wait_for_url(f"**{tried}/again")
    found["again"] = _faults(came, page)
    page.goto(tried)
    trust.click()
    page.get_by_role("button", name="Trust it for the outgoing server").click()
    page.get_by_text("Everything works").wait_for(timeout=30_000)
    found["it works"] = _faults(came, page)
    page.get_by_label("Call it").fill("orders")
    page.get_by_label("Into the directory").fill(str(tmp_path / "orders"))
    page.get_by_role("button", name="Connect it").click()
    page.get_by_role("heading", name="is connected").wait_for()
    assert page.url.endswith("/made")
    found["made"] = _faults(came, page)
    page.goto("/connections/orders")
    page.get_by_role("button", name="Test", exact=True).click()
    page.wait_for_url("**/works/*")
    page.get_by_text("Everything works").wait_for(timeout=30_000)
    found["a work"] = _faults(came, page)
    assert {where: faults for where, faults in found.items() if faults} == {}


def _faults(came: Visitor, page: Page) -> list[str]:
    """What is wrong with a page, whoever looks at it."""
    page.locator(".htmx-request").first.wait_for(state="detached")
    found = [f"loaded: {each}" for each in page.evaluate(_LOADED)]
    if page.evaluate("window.hit") is not None:
        found.append("a script ran")
    if page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 0, 0)":
        found.append("a style of a stranger's is followed")
    found += came.serious()
    page.emulate_media(color_scheme="dark")
    found += [f"dark: {each}" for each in came.serious("color-contrast")]
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(PHONE)
    found += [f"sticks out on a phone: {each}" for each in page.evaluate(_WIDE)]
    page.set_viewport_size(DESK)
    return found


def test_a_list_is_walked_and_opened_with_the_keyboard_alone(
    admin: Visitor, site: Site, ground: Ground, tmp_path: Path
) -> None:
    hang(site, ground, tmp_path / "orders")
    page = admin.go("/ledger?source=orders-in")
    page.locator("ol.letters a").first.focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('ol.letters') !== null")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="What became of it").wait_for()
