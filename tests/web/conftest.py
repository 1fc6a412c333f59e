"""Fixtures of the page: a served room, a browser, somebody who is signed in."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Locator, Page

from postroom.net import tls
from tests.web.posts import posted, pytest_runtest_makereport
from tests.web.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from postroom.settings import Settings
    from tests.ground import Ground
    from tests.web.site import Site

__all__ = [
    "admin", "admin_at_work", "browser", "posted", "pytest_runtest_makereport", "site", "system_trusts",
    "visitor", "working",
]  # fmt: skip

CHROMIUM = Path("/usr/bin/chromium")
_ASKS_AT_ONCE = (
    (Locator, ("count", "all", "all_inner_texts", "is_visible", "is_hidden")),
    (Page, ("content",)),
)


@pytest.fixture(scope="session", autouse=True)
def _whole_pages() -> Iterator[None]:
    """What does not wait by itself is asked of a page that is whole: a click has only committed it."""

    def whole(old: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(old)
        def asked(of: Locator | Page, *given: Any, **named: Any) -> Any:
            (of.page if isinstance(of, Locator) else of).wait_for_load_state()
            return old(of, *given, **named)

        return asked

    with pytest.MonkeyPatch.context() as patch:
        for kind, names in _ASKS_AT_ONCE:
            for name in names:
                patch.setattr(kind, name, whole(getattr(kind, name)))
        yield


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; the tests that want it are skipped where there is none."""
    from playwright.sync_api import sync_playwright

    if not CHROMIUM.exists():
        pytest.skip("there is no /usr/bin/chromium: install the package chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def site(settings: Settings) -> Iterator[Site]:
    """A new room, served."""
    from tests.newroom import new_room
    from tests.web.site import Site

    new_room(settings)
    with Site(settings) as served:
        yield served


@pytest.fixture
def working(settings: Settings) -> Iterator[Site]:
    """A new room, served, with a worker beside the page."""
    from tests.newroom import new_room
    from tests.web.site import Site

    new_room(settings)
    with Site(settings, works=True) as served:
        yield served


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Callable[[Site], Visitor]]:
    """Makes visitors of a site, each with a browser of their own; afterwards they have seen no fault."""
    made: list[Visitor] = []

    def come(to: Site, **looks: object) -> Visitor:
        made.append(Visitor(browser, to, **looks))
        return made[-1]

    yield come
    for each in made:
        each.leave()


@pytest.fixture
def admin(site: Site, visitor: Callable[[Site], Visitor]) -> Visitor:
    """An administrator, signed in."""
    site.person("root", "admin")
    came = visitor(site)
    came.sign_in("root")
    return came


@pytest.fixture
def admin_at_work(working: Site, visitor: Callable[[Site], Visitor]) -> Visitor:
    """An administrator, signed in to a room whose worker runs."""
    working.person("root", "admin")
    came = visitor(working)
    came.sign_in("root")
    return came


@pytest.fixture
def system_trusts(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The system trusts the ground's authority, as it trusts Microsoft's: an app's record names none."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ground.pki.ca))
    tls._cached_context.cache_clear()
    yield
    tls._cached_context.cache_clear()
