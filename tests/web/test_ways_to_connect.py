"""Every way in which an account is connected in the browser, up to mail that comes in and goes out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from postroom.connections.presets import PRESETS, TENANT, Wire
from postroom.oauth import discovery
from tests.web.test_connecting import begun, made_and_arriving, trust

if TYPE_CHECKING:
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
