"""Fixtures of the page: a served room, a browser, somebody who is signed in."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from postroom.net import tls
from tests.web.posts import SENT, watch
from tests.web.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from postroom.app import Room
    from postroom.settings import Settings
    from tests.ground import Ground
    from tests.web.reader import Reader
    from tests.web.site import Site

__all__ = [
    "admin", "admin_at_work", "browser", "posted", "reader", "site", "system_trusts", "visitor",
    "working",
]  # fmt: skip

CHROMIUM = Path("/usr/bin/chromium")
_PASSED = pytest.StashKey[bool]()


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


@pytest.fixture(autouse=True)
def posted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test is said to send (``tests/web/posts.py``) it has sent, and it was taken."""
    said = {
        path for path, test in SENT.items() if test == f"{request.path.name}::{request.node.name}"
    }
    if not said:
        yield
        return
    taken = watch(monkeypatch)
    yield
    if request.node.stash.get(_PASSED, False):
        assert said <= taken, f"not taken, though SENT says so: {sorted(said - taken)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Whether the test itself passed: what failed or was left out has sent nothing to be counted."""
    report = yield
    item.stash[_PASSED] = report.when == "call" and report.passed
    return report


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
async def reader(room: Room) -> Reader:
    """An administrator who is signed in, in a browser without scripts, in this process."""
    from postroom.secret import Secret
    from tests.web.reader import Reader
    from tests.web.site import PASSWORD

    first = await room.people.first_address()
    assert first is not None
    await room.people.accept(first, "root", Secret(PASSWORD))
    came = Reader(room)
    await came.sign_in("root")
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
