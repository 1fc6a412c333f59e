"""The census in the browser, and a connection that changes from its password to OAuth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from postroom.clock import timestamp
from postroom.secret import Secret
from tests.ground.oauth import OUTLOOK
from tests.journeys.oauth import CA, register

if TYPE_CHECKING:
    from postroom.app import Room
    from postroom.db import Tx
    from tests.ground import Ground, User
    from tests.web.site import Site
    from tests.web.visitor import Visitor

pytestmark = pytest.mark.slow


async def with_password(room: Room, ground: Ground, user: User) -> None:
    """``acme`` with a password on a server that takes tokens too; ``gmail`` where passwords end."""
    await room.credentials.create(
        "login", "password",
        details={"user_name": user.address, "password": Secret(user.password)},
    )  # fmt: skip
    auth = {"type": "secret", "credential": "login"}
    await room.connections.add({"name": "acme", "incoming": {
        "protocol": "imap", "host": "localhost", "port": str(ground.oauth_dovecot.imaps), "trust": CA,
        "auth": auth,
    }})  # fmt: skip
    await room.connections.add({"name": "shop", "incoming": {
        "protocol": "imap", "host": "imap.gmail.com", "auth": auth}})  # fmt: skip

    def accepted(tx: Tx) -> None:  # from then on it goes elsewhere only where somebody agrees
        version = room.desk.credentials.get(tx, "app").version
        room.desk.credentials.presented(tx, "app", version, timestamp())

    await room.desk.write(accepted)


def test_a_password_that_ends_is_found_and_a_connection_is_changed_to_an_app(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    """T40: before a stored secret of the app goes to new places, somebody agrees to that."""
    user = ground.user()
    client = ground.oauth.client(mailbox=user.address)
    site.do(lambda room: register(room, ground, client))
    site.do(lambda room: with_password(room, ground, user))
    page = admin.go("/credentials")
    page.get_by_role("link", name="Passwords that end").click()
    row = page.get_by_role("row", name="shop")
    row.get_by_text("due").wait_for()
    assert "Google" in row.inner_text()
    assert page.get_by_role("row", name="acme").count() == 0
    assert admin.serious() == []
    row.get_by_role("link", name="Change to OAuth").click()
    page.get_by_text("Google takes no account passwords any more").wait_for()

    page.goto("/connections/acme/convert")
    page.get_by_label("An app, without anybody").check()
    page.get_by_label("App", exact=True).select_option("app")
    page.get_by_text("Scopes", exact=True).first.click()
    page.get_by_label("Scopes", exact=True).fill(f"{OUTLOOK}/.default")
    assert admin.serious() == []
    page.get_by_role("button", name="Sign in, and change it").click()
    page.get_by_role("heading", name="A stored secret would go somewhere else").wait_for()
    shown = site.do(lambda room: room.connections.show("acme"))
    assert shown["incoming"]["auth"]["type"] == "secret"
    page.get_by_role("button", name="Save, and let it go there").click()
    page.get_by_role("heading", name="acme signs in by OAuth now").wait_for(timeout=60_000)
    shown = site.do(lambda room: room.connections.show("acme"))
    assert shown["incoming"]["auth"]["type"] == "oauth_client_credentials"


def test_a_person_signs_in_to_change_it_with_a_code(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    user = ground.user()
    client = ground.oauth.client(public=True)
    site.do(lambda room: register(room, ground, client, client_secrets=None))
    site.do(lambda room: with_password(room, ground, user))
    page = admin.go("/connections/acme/convert")
    page.get_by_label("A person, with a code on another device").check()
    page.get_by_label("App", exact=True).select_option("app")
    page.get_by_text("Scopes", exact=True).first.click()
    page.get_by_label("Scopes", exact=True).fill(f"offline_access\n{OUTLOOK}/IMAP.AccessAsUser.All")
    page.get_by_role("button", name="Sign in, and change it").click()
    code = page.locator(".code").inner_text()
    ground.oauth.approve(code, user.address)
    page.get_by_role("heading", name="acme signs in by OAuth now").wait_for(timeout=60_000)
    page.get_by_text(f"{user.address} signed in.").wait_for()
