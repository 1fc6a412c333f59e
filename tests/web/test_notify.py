"""Notifications in the browser: made, with a secret made on the way; tested; what was told is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.web.mailroom import PAYLOADS, furnish
from tests.web.test_sending import arrived

if TYPE_CHECKING:
    from tests.ground import Ground
    from tests.web.site import Site
    from tests.web.visitor import Visitor

pytestmark = pytest.mark.slow


def test_somebody_is_told_by_email_and_a_test_arrives(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    user = furnish(site, ground)
    site.do(lambda room: room.services.add({"name": "alerts", "connection": "acme"}))
    page = admin.go("/notify")
    page.get_by_role("heading", name="Nobody is told yet").wait_for()
    page.get_by_role("link", name="New notification").first.click()
    assert admin.serious() == []
    page.get_by_label("Name").fill("ops")
    page.get_by_label("Description").fill(PAYLOADS[0])
    page.get_by_label("Service", exact=True).select_option("alerts")
    page.get_by_label("To", exact=True).fill(user.address)
    page.get_by_label("messages were not sent").check()
    page.get_by_role("button", name="Make it").click()
    page.get_by_text("Made the notification ops.").wait_for()
    made = site.do(lambda room: room.notify.show("ops"))
    assert (made["to"], made["causes"]) == ([user.address], ["outbox"])
    assert admin.serious() == []
    page.get_by_role("button", name="Test it").click()
    page.get_by_text("told", exact=True).wait_for(timeout=60_000)
    arrived(user, b"This is a test of notification ops")


def test_a_webhook_gets_a_secret_that_is_made_on_the_way(admin: Visitor, site: Site) -> None:
    """The form is as it was left, with the new credential chosen; another way takes its place."""
    page = admin.go("/new/notify")
    page.get_by_label("Name").fill("chat")
    page.get_by_label("Way", exact=True).select_option("webhook")
    assert page.get_by_label("To", exact=True).is_hidden()
    page.get_by_label("Address").fill("https://127.0.0.1:9/hooks/{secret}")
    page.get_by_label("no worker runs").check()
    page.locator("button[name=make][value=credential]").click()
    page.get_by_label("Name").fill("hook")
    expect(page.get_by_role("radio")).to_have_count(1)
    page.get_by_role("button", name="Go on to its details").click()
    page.get_by_label("Value").fill("a hook that nobody guesses")
    page.get_by_role("button", name="Save", exact=True).click()
    assert page.get_by_label("Credential", exact=True).input_value() == "hook"
    assert page.get_by_label("Name").input_value() == "chat"
    assert page.get_by_label("no worker runs").is_checked()
    page.get_by_role("button", name="Make it").click()
    page.get_by_text("Made the notification chat.").wait_for()
    page.get_by_role("button", name="Test it").click()
    page.get_by_text("not told", exact=True).wait_for(timeout=60_000)

    page.goto("/notify/chat/edit")
    page.get_by_label("Way", exact=True).select_option("ping")
    page.get_by_label("Every").fill("1h")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    assert site.do(lambda room: room.notify.show("chat"))["way"] == "ping"
    page.goto("/notify")
    assert admin.serious() == []
    page.get_by_role("link", name="chat").click()
    page.get_by_text("Make another one like it").click()
    page.get_by_label("Name of the new one").fill("chat2")
    page.get_by_role("button", name="Copy").click()
    page.get_by_text("Made chat2 with the same settings.").wait_for()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete it").click()
    page.get_by_text("Deleted the notification chat2.").wait_for()
