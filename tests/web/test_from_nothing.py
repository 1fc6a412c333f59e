"""Somebody who has never read the docs: an account connected, mail collected and sent, by clicking alone."""

from __future__ import annotations

import re
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.api.test_serve import Served
from tests.ground import maildir
from tests.web.site import PASSWORD, Site
from tests.web.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from postroom.settings import Settings
    from tests.ground import Ground, User

pytestmark = pytest.mark.slow


def servers(page: Page, ground: Ground) -> None:
    """Type where the servers are."""
    incoming = page.get_by_role("group", name="Incoming mail")
    incoming.get_by_label("Host").fill("127.0.0.1")
    incoming.get_by_label("Port").fill(str(ground.dovecot.imaps))
    outgoing = page.get_by_role("group", name="Outgoing mail")
    outgoing.get_by_label("Host").fill("127.0.0.1")
    outgoing.get_by_label("Port").fill(str(ground.postfix.submission))
    outgoing.get_by_label("Security").select_option("starttls")


def eventually(seen: Callable[[], bool]) -> None:
    """Wait until it is so; the test's own limit is the longest."""
    while not seen():
        time.sleep(0.1)


@pytest.fixture
def at_the_door(settings: Settings, browser: Browser) -> Iterator[tuple[Visitor, str]]:
    """A new room behind ``postroom serve``, a browser, and the address that it has printed."""
    own = ["--room", str(settings.room), "--kek", str(settings.kek)]
    subprocess.run(
        [sys.executable, "-m", "postroom", "init", *own], check=True, capture_output=True
    )
    with Served(settings) as served:
        url = f"http://127.0.0.1:{served.port}"
        printed = re.search(rf"{url}(/welcome#[\w-]+)", served.child.complaint_with("/welcome#"))
        assert printed
        came = Visitor(browser, url)
        yield came, printed[1]
        came.leave()


def test_from_the_first_sign_in_to_a_collected_and_a_sent_message(
    working: Site, visitor: Callable[[Site], Visitor], ground: Ground, tmp_path: Path
) -> None:
    code = working.do(lambda room: room.people.first_address())
    by_clicking_alone(visitor(working).go(f"/welcome#{code}"), ground, tmp_path)


def test_by_what_postroom_serve_has_printed(
    at_the_door: tuple[Visitor, str], ground: Ground, tmp_path: Path
) -> None:
    """The same in one process with worker, API and everything that stands before the page."""
    came, printed = at_the_door
    by_clicking_alone(came.go(printed), ground, tmp_path)


def by_clicking_alone(page: Page, ground: Ground, tmp_path: Path) -> None:
    user, friend = ground.user(), ground.user()
    page.get_by_label("Name", exact=True).fill("ann")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("The same once more").fill(PASSWORD)
    page.get_by_role("button", name="Begin").click()

    page.get_by_role("link", name="Connect an account").click()
    page.get_by_label("Email address").fill(user.address)
    page.get_by_role("button", name="Go on").click()
    page.get_by_text("not one of those that are known").wait_for()
    page.get_by_label("Password").fill(user.password)
    servers(page, ground)
    page.get_by_role("button", name="Test it").click()
    for place in ("incoming", "outgoing"):
        page.get_by_role("button", name=f"Trust it for the {place} server").click()
    page.get_by_text("Everything works").wait_for(timeout=30_000)
    page.get_by_label("Call it").fill("orders")
    page.get_by_label("Into the directory").fill(str(tmp_path / "mail"))
    page.get_by_label("What is there already").select_option("all")
    page.get_by_role("button", name="Connect it").click()
    page.get_by_role("heading", name="is connected").wait_for()
    page.get_by_text("user_name: " + user.address).wait_for()

    deliver(ground, user, "Three boxes, please")
    eventually(lambda: bool(list((tmp_path / "mail").rglob("*.eml"))))
    page.get_by_role("link", name="See mail arrive").click()
    page.get_by_text("Three boxes, please").or_(
        page.get_by_role("link", name="Ledger")
    ).first.wait_for()
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Ledger").click()
    page.get_by_text("Three boxes, please").first.wait_for()

    page.get_by_role("navigation", name="Main").get_by_role("link", name="Overview").click()
    page.get_by_role("link", name="Send a message").click()
    page.locator("#f-to").fill(friend.address)
    page.locator("#f-subject").fill("Thank you")
    page.locator("#f-text").fill("They are on their way.")
    page.get_by_role("button", name="Send now").click()
    eventually(lambda: b"Thank you" in inbox(friend))
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Outbox").click()
    page.get_by_text("sent").first.wait_for()
    assert user.password not in page.content()


def deliver(ground: Ground, to: User, subject: str) -> None:
    """Somebody's mail for the account, by the mail server."""
    with smtplib.SMTP("127.0.0.1", ground.postfix.submission) as smtp:
        smtp.starttls(context=ground.pki.client_context())
        smtp.login(to.address, to.password)
        smtp.sendmail(
            to.address, [to.address],
            f"From: {to.address}\r\nTo: {to.address}\r\nSubject: {subject}\r\n\r\nHello.\r\n",
        )  # fmt: skip


def inbox(user: User) -> bytes:
    """Everything in somebody's inbox, as the mail server keeps it."""
    return b"".join(maildir.read(user.maildir))
