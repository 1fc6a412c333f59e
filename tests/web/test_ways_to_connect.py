"""Every way in which an account is connected in the browser, up to mail that comes in and goes out."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from postroom.connections.presets import PRESETS, TENANT, Wire
from postroom.oauth import discovery
from tests.ground.oauth import TENANT as GUID
from tests.web.test_connecting import begun, made_and_arriving, trust
from tests.web.visitor import choose

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.ground import Ground
    from tests.web.site import Site
    from tests.web.visitor import Visitor

pytestmark = pytest.mark.slow
Come = Callable[..., "Visitor"]


@pytest.fixture
def working_admin(working: Site, visitor: Come, ground: Ground) -> Visitor:
    """An administrator of a room that works, which knows the certificate of the ground."""
    working.person("root", "admin")
    working.do(lambda room: trust(room, ground))
    came = visitor(working, ignore_https_errors=True)
    came.sign_in("root")
    return came


@pytest.fixture
def microsoft(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Microsoft 365 with the ground's servers in the place of its own; a tenant of the ground's."""
    ours = PRESETS["microsoft365"]._replace(
        authority=f"{ground.oauth.url}/{TENANT}",
        imap=Wire("localhost", ground.oauth_dovecot.imaps, "tls"),
        smtp=Wire("localhost", ground.oauth_postfix.tokens_tls, "tls"),
    )
    monkeypatch.setitem(PRESETS, "microsoft365", ours)
    monkeypatch.setattr(discovery, "ENTRA_HOSTS", frozenset({"localhost"}))


@pytest.mark.usefixtures("microsoft")
@pytest.mark.parametrize("tenant", ["ground.test", "organizations"])
def test_microsoft_over_imap_and_smtp_by_a_code_with_an_app_that_has_no_secret(
    working_admin: Visitor, working: Site, ground: Ground, tmp_path: Path, tenant: str
) -> None:
    """A public client, as Entra calls it, with each shape of a tenant that people know theirs by."""
    user, app = ground.user(), ground.oauth.client(public=True)
    page = begun(working_admin, user.address, "With a code on another device", "microsoft365")
    page.get_by_label("Directory (tenant) ID").fill(tenant)
    page.get_by_label("Reads and sends by").select_option("wires")
    page.get_by_label("Client id").fill(app.id)
    page.get_by_text("Another cloud, other servers").click()
    page.get_by_label("Trusted certificate").select_option("own-ca")
    page.get_by_role("button", name="Sign in", exact=True).click()
    code = page.locator(".code").inner_text()
    ground.oauth.approve(code, user.address)
    page.get_by_text("Everything works").wait_for(timeout=30_000)
    made_and_arriving(page, ground, working, user, tmp_path / "mail")
    record = working.do(lambda room: room.credentials.show("orders-app"))
    assert "client_secrets" not in record["fields"]
    assert record["state"] == "complete"
    assert {one["how"] for one in ground.oauth.seen(app)} == {"none"}


def test_a_certificate_to_trust_is_made_meanwhile_and_what_was_typed_is_still_there(
    working_admin: Visitor, ground: Ground
) -> None:
    user = ground.user()
    page = begun(working_admin, user.address, "User name and password")
    incoming = page.get_by_role("group", name="Incoming mail")
    incoming.get_by_label("Host").fill("localhost")
    incoming.get_by_label("Port").fill(str(ground.dovecot.imaps))
    page.get_by_role("group", name="Outgoing mail").get_by_label("Protocol").select_option("none")
    page.get_by_role("button", name="New… for Trusted certificate").click()
    page.locator("#f-name").fill("ground")
    page.get_by_role("button", name="Go on to its details").click()
    page.get_by_label("Certificate", exact=False).first.fill(ground.pki.ca.read_text())
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("heading", name="User name and password").wait_for()
    assert page.get_by_label("Trusted certificate").input_value() == "ground"
    incoming = page.get_by_role("group", name="Incoming mail")
    assert incoming.get_by_label("Port").input_value() == str(ground.dovecot.imaps)
    page.locator("#f-password").fill(user.password)
    page.locator("#f-password").press("Enter")
    page.get_by_text("Everything works").wait_for(timeout=30_000)


def copied(page: Page) -> dict[str, str]:
    """What the buttons of a guide copy, each by its name."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.wait_for_load_state()  # the script shows the buttons
    found = {}
    for button in page.get_by_role("button", name=re.compile("^Copy ")).all():
        button.click()
        name = (button.get_attribute("aria-label") or "").removeprefix("Copy ")
        found[name] = page.evaluate("navigator.clipboard.readText()")
    return found


@pytest.mark.usefixtures("system_trusts")
def test_an_app_that_is_registered_by_the_guide_opens_its_mailbox(
    working_admin: Visitor, ground: Ground
) -> None:
    """From the form of an account: the guide beside it, with the mailbox in it; each value is copied to
    where an administrator of Microsoft's types it; then the record, its test, and a connection of it.
    """
    user = ground.user()
    page = begun(working_admin, user.address, "As an app, without a person", "microsoft365")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="How the app is registered, step by step").click()
    guide = opened.value
    at_microsoft = copied(guide)
    assert at_microsoft["Mailbox"] == user.address
    assert at_microsoft["Role"] == "Application Mail.Send"
    assert guide.get_by_role("button", name="Copy Application (client) ID").count() == 0
    # fenced to the mailbox: its tokens show no role, as with RBAC for Applications
    app = ground.oauth.client(mailbox=at_microsoft["Mailbox"], roles=[])
    ground.oauth_graph.let_in(app.id)
    guide.get_by_role("button", name="Show", exact=True).click()
    guide.get_by_text("go back to where you connect the account").wait_for()
    guide.get_by_role("link", name="Make the credential").click()
    guide.locator("#f-name").fill("app")
    guide.get_by_role("button", name="Go on to its details").click()
    for label, value in (
        ("Tenant", GUID), ("Client id", app.id), ("Mailbox", user.address),
        ("Authority", ground.oauth.authority()), ("Graph URL", ground.oauth_graph.url),
    ):  # fmt: skip
        guide.get_by_label(re.compile(f"^{label}")).first.fill(value)
    guide.get_by_label("Value", exact=True).fill(app.secret)
    guide.get_by_role("button", name="Save & refresh").click()
    guide.get_by_text("Everything works").wait_for(timeout=30_000)
    guide.goto("/new/connection?preset=microsoft365&auth=oauth_client_credentials")
    guide.locator("#f-name").fill("orders")
    choose(guide, "#f-type", "microsoft365")
    choose(guide, "[name='auth.type']", "oauth_client_credentials")
    guide.get_by_label("Credential").select_option("app")
    guide.get_by_role("button", name="Make it").click()
    guide.get_by_role("button", name="Test", exact=True).click()
    guide.get_by_text("Everything works").wait_for(timeout=30_000)
    guide.goto("/connections/orders")
    guide.get_by_role("link", name="Step by step, with the values to copy").click()
    assert guide.get_by_label("Who signs in").input_value() == "oauth_client_credentials"


def test_pop3_and_smtp_of_a_server_that_signed_its_certificate_itself(
    working_admin: Visitor, working: Site, ground: Ground, tmp_path: Path
) -> None:
    """What was there before is left alone although POP3 has no order to tell it by."""
    user = ground.user()
    ground.dovecot.fill(user, [b"Subject: From before\r\n\r\nOld.\r\n"])
    page = begun(working_admin, user.address, "User name and password")
    page.locator("#f-password").fill(user.password)
    incoming = page.get_by_role("group", name="Incoming mail")
    incoming.get_by_label("Protocol").select_option("pop3")
    incoming.get_by_label("Host").fill("localhost")
    incoming.get_by_label("Port").fill(str(ground.dovecot.selfsigned.pop3s))
    outgoing = page.get_by_role("group", name="Outgoing mail")
    outgoing.get_by_label("Host").fill("localhost")
    outgoing.get_by_label("Port").fill(str(ground.postfix.selfsigned_submission))
    outgoing.get_by_label("Security").select_option("starttls")
    page.get_by_role("button", name="Test it").click()
    for place in ("incoming", "outgoing"):
        page.get_by_role("button", name=f"Trust it for the {place} server").click()
    page.get_by_text("Everything works").wait_for(timeout=30_000)
    made_and_arriving(page, ground, working, user, tmp_path / "mail")
    kept = [one.read_bytes() for one in (tmp_path / "mail").rglob("*.eml")]
    assert not any(b"From before" in one for one in kept)
