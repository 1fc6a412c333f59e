"""Who may use a credential, on its own page: restricted, granted, taken back, opened again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from postroom.secret import Secret
from tests.web.mailroom import furnish, letter

if TYPE_CHECKING:
    from postroom.app import Room
    from tests.ground import Ground
    from tests.web.site import Site
    from tests.web.visitor import Visitor

pytestmark = pytest.mark.slow


async def payroll(room: Room) -> None:
    """A credential that not everybody is to have, and a service over it."""
    await room.credentials.create(
        "payroll", "password",
        details={"user_name": "pay", "password": Secret("a wage for every day")},
    )  # fmt: skip
    auth = {"type": "secret", "credential": "payroll"}
    server = {"protocol": "smtp", "host": "127.0.0.1", "auth": auth}
    await room.connections.add({"name": "wages", "outgoing": server})
    await room.services.add({"name": "slips", "connection": "wages"})


def test_a_credential_is_restricted_granted_taken_back_and_opened_on_its_page(
    admin: Visitor, site: Site, visitor: Callable[[Site], Visitor]
) -> None:
    """T27, T48: what is restricted is not there without a grant, nor what rests on it."""
    site.do(payroll)
    site.person("ann", "operator")
    came = visitor(site)
    theirs = came.sign_in("ann")
    assert theirs.goto("/credentials/payroll").status == 200  # type: ignore[union-attr]
    assert theirs.get_by_role("heading", name="Who may use it").count() == 0

    page = admin.go("/credentials/payroll")
    page.get_by_role("button", name="Restrict it to who has a grant").click()
    page.get_by_text("Nobody has a grant yet").wait_for()
    assert admin.serious() == []
    assert theirs.goto("/credentials/payroll").status == 404  # type: ignore[union-attr]
    theirs.goto("/connections")
    assert "wages" not in theirs.content()

    page.get_by_label("Grant it to").select_option("user ann")
    page.get_by_role("button", name="Grant", exact=True).click()
    page.get_by_text("User ann may use payroll.").wait_for()
    page.get_by_label("Grant it to").select_option("service slips")
    page.get_by_role("button", name="Grant", exact=True).click()
    page.get_by_text("Service slips may use payroll.").wait_for()
    row = page.get_by_role("row", name="user ann")
    expect(row.locator("time")).to_have_count(1)
    assert "root" in row.inner_text()
    assert admin.serious() == []
    assert theirs.goto("/connections/wages").status == 200  # type: ignore[union-attr]

    page.get_by_role("button", name="Take it back from user:ann").click()
    page.get_by_text("User ann has no grant of payroll any more.").wait_for()
    assert theirs.goto("/connections/wages").status == 404  # type: ignore[union-attr]
    page.goto("/credentials")
    assert "restricted" in page.get_by_role("row", name="payroll").inner_text()
    page.get_by_role("link", name="payroll").click()
    page.get_by_role("button", name="Open it to everybody").click()
    page.get_by_text("payroll is there for everybody").wait_for()
    assert theirs.goto("/connections/wages").status == 200  # type: ignore[union-attr]


async def shelf(room: Room) -> None:
    """Records of several types: full, begun, without any secret; and one with two secrets."""
    await payroll(room)
    await room.credentials.create("begun", "password", details={"user_name": "ann"})
    await room.credentials.create("relay", "smtp", details={"host": "127.0.0.1"})
    await room.credentials.create(
        "app", "oauth_client",
        details={"authority": "https://login.example.com", "client_id": "c", "token_endpoint":
                 "https://login.example.com/t", "client_secrets": {
                     "2026a": {"value": Secret("a client secret, long"), "valid_until": "2030-01-01"},
                     "2026b": {"value": Secret("another client secret")}}},
    )  # fmt: skip


def test_the_list_has_a_mask_for_what_is_set_and_says_what_is_not_and_opens_nothing(
    admin: Visitor, site: Site
) -> None:
    """T98: the list has neither a value nor its last four, and no audit row says that one was opened."""
    site.do(shelf)
    page = admin.go("/credentials")
    cells = {
        name: page.get_by_role("row", name=name).locator("td.masks").inner_text().split("\n")
        for name in ("payroll", "begun", "relay", "app")
    }
    assert cells == {
        "payroll": ["Password ****"], "begun": ["Password not set"], "relay": ["none"],
        "app": ["2026a ****", "2026b ****"],
    }  # fmt: skip
    assert "day" not in page.get_by_role("row", name="payroll").inner_text()
    assert admin.serious() == []
    rows = site.do(lambda room: room.audit.list(noun="credential", limit=1000))
    assert [one for one in rows if one["action"] == "open"] == []


def test_a_message_is_closed_to_whoever_loses_the_grant(
    admin: Visitor, site: Site, ground: Ground, visitor: Callable[[Site], Visitor]
) -> None:
    """T48: opened a moment ago and still in memory, it is not there from the moment the grant is not."""
    user = furnish(site, ground)
    ground.dovecot.fill(user, [letter("Order 17", text="for whoever may read it")])
    site.person("ann", "operator")
    theirs = visitor(site)
    page = theirs.sign_in("ann")
    page.goto("/messages")
    page.locator("ol.letters").get_by_role("link").filter(has_text="Order 17").click()
    page.locator("iframe").first.wait_for()
    frame = site.url + str(page.locator("iframe").first.get_attribute("src"))
    assert "whoever may read it" in theirs.context.request.get(frame).text()
    site.do(lambda room: room.grants.restrict("acme-login"))
    for _ in range(2):
        answer = theirs.context.request.get(frame)
        assert answer.status == 404
        assert "whoever may read it" not in answer.text()
