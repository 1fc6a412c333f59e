"""A connection by hand: every field of its form, what it comes to, how it stands, what is wrong with it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from postroom.secret import Secret
from postroom.vault.hints import Hints
from tests.web.visitor import choose

if TYPE_CHECKING:
    from postroom.app import Room
    from postroom.vault import Binding
    from tests.ground import Ground
    from tests.web.site import Site
    from tests.web.visitor import Visitor

pytestmark = pytest.mark.slow


def test_a_connection_is_made_by_hand_tested_live_used_and_restarted(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    user = ground.user()

    async def furnish(room: Room) -> None:
        details = {"certificate": ground.pki.ca.read_text()}
        await room.credentials.create("own-ca", "trusted_certificate", details=details)
        login = {"user_name": user.address, "password": Secret(user.password)}
        await room.credentials.create("login", "password", details=login)
        await room.variables.set("MAIL_HOST", "127.0.0.1")

    site.do(furnish)
    page = admin.go("/new/connection")
    page.locator("#f-name").fill("acme")
    ports = {"incoming": ground.dovecot.imaps, "outgoing": ground.postfix.submission}
    for place, protocol in (("incoming", "imap"), ("outgoing", "smtp")):
        choose(page, f"#f-{place}-protocol", protocol)
        choose(page, f"#f-{place}-auth-type", "secret")
        page.locator(f"#f-{place}-host").fill("${MAIL_HOST}")
        page.locator(f"#f-{place}-port").fill(str(ports[place]))
        page.locator(f"#f-{place}-user").fill(user.address)
        page.locator(f"#f-{place}-security").select_option(
            "tls" if protocol == "imap" else "starttls"
        )
        page.locator(f"#f-{place}-auth-credential").select_option("login")
        more = page.locator("section", has=page.locator(f"#f-{place}-host")).locator("details")
        if more.get_attribute("open") is None:
            more.locator("summary").click()
        page.locator(f"#f-{place}-trust").select_option("own-ca")
        checked = page.locator(f"#f-{place}-check_server_identity option").first
        assert checked.inner_text() == "as usual: yes"
    page.get_by_role("button", name="Make it").click()
    page.get_by_text("A stored secret would go somewhere else").wait_for()
    assert admin.serious() == []
    page.get_by_role("button", name="Save, and let it go there").click()
    page.get_by_text("acme is made").wait_for()
    page.get_by_text(f"imap://127.0.0.1:{ground.dovecot.imaps}").wait_for()  # resolved
    expect(page.get_by_text("not tried yet")).to_have_count(2)
    assert admin.serious() == []

    row = page.get_by_role("row").filter(has_text="acme")
    page.goto("/connections")
    row.get_by_text("not tried yet").wait_for()
    page.goto("/connections/acme")
    page.get_by_role("button", name="Test", exact=True).click()
    page.get_by_text("Everything works").wait_for(timeout=30_000)
    page.goto("/connections")
    row.get_by_text("works", exact=True).wait_for()
    page.goto("/connections/acme")
    assert page.get_by_text("works", exact=True).count() == 2
    page.get_by_role("table").get_by_text("signed in").first.wait_for()
    page.get_by_text("Not used anywhere").wait_for()
    page.get_by_role("button", name="Restart").click()
    page.get_by_text("begins anew").wait_for()
    page.get_by_role("table").get_by_text("restarted").wait_for()

    page.goto("/connections/acme/edit")
    page.get_by_text("Now 127.0.0.1.").first.wait_for()  # what the macro comes to
    site.do(lambda room: room.connections.set("acme", {"incoming": {"port": "1"}}, rebind=True))
    page.goto("/connections/acme")
    page.get_by_role("button", name="Test", exact=True).click()
    page.get_by_text("refused the connection").first.wait_for(timeout=30_000)
    page.goto("/connections/acme")
    page.get_by_role("status").get_by_text("failed").wait_for()
    page.goto("/connections")  # and the list says the same of it
    row.get_by_text("incoming failed").wait_for()
    row.get_by_text("refused the connection").wait_for()
    assert row.get_by_text("works", exact=True).count() == 0


def test_three_questions_pick_a_sign_in_and_the_form_is_filled_in(admin: Visitor) -> None:
    page = admin.go("/which-sign-in")
    page.get_by_role("radio", name="Microsoft 365 or Outlook.com").check()
    page.get_by_role("radio", name="Yes, the owner of the mailbox").check()
    page.get_by_role("radio", name="Yes", exact=True).check()
    page.get_by_role("button", name="Which one?").click()
    page.get_by_text("nobody here sees the password").wait_for()
    assert admin.serious() == []
    page.get_by_role("link", name="The form, filled in for it").click()
    assert page.locator("#f-incoming-host").input_value() == "outlook.office365.com"
    chosen = page.locator("#f-incoming-auth-type")
    assert chosen.input_value() == "oauth_authorization_code"
    for field in ("authority", "client_id", "scopes"):
        page.locator(f"#f-incoming-auth-{field}").wait_for()


def test_what_a_list_offers_is_known_without_opening_anything(
    admin: Visitor, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T98: neither a secret nor what stands for one; an app is offered that has a mailbox of its own."""

    async def furnish(room: Room) -> None:
        for name, more in (("ours", {"mailbox": "orders@contoso.com"}), ("anybodys", {})):
            secret = {"2026a": {"value": Secret("a client secret, long")}}
            details = {"tenant_id": "contoso.com", "client_id": name, "client_secrets": secret}
            await room.credentials.create(name, "msgraph", details=details | more)

    site.do(furnish)
    opened: list[Binding] = []
    was = Hints.open

    def counted(self: Hints, binding: Binding, blob: bytes) -> str:
        opened.append(binding)
        return was(self, binding, blob)

    monkeypatch.setattr(Hints, "open", counted)
    page = admin.go("/new/service")
    offered = page.get_by_label("Connection").locator("option").all_inner_texts()
    assert "ours (credential)" in offered
    assert not [one for one in offered if "anybodys" in one]
    assert opened == []
    admin.go("/credentials/ours").get_by_text("****long").first.wait_for()
    assert opened


def test_what_should_be_known_of_it_stands_over_it_with_the_way_to_mend_it(
    admin: Visitor, site: Site
) -> None:
    async def furnish(room: Room) -> None:
        details = {"user_name": "ann@outlook.com", "password": Secret("a password of long ago")}
        await room.credentials.create("login", "password", details=details)
        soon = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=3)
        await room.credentials.change("login", expires_at=soon.isoformat())
        auth = {"type": "secret", "credential": "login"}
        await room.connections.add({
            "name": "old", "incoming": {
                "protocol": "imap", "host": "outlook.office365.com", "auth": auth,
                "check_server_identity": False,
            },
        })  # fmt: skip

    site.do(furnish)
    page = admin.go("/connections/old")
    page.get_by_text("the server's name is not checked").wait_for()
    page.get_by_role("link", name="Change it to OAuth").wait_for()
    page.get_by_role("link", name="Give it a new one").wait_for()
    assert admin.serious() == []
