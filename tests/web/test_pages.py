"""Pages of credentials and connections: what strangers set is text, secrets stay, nobody stumbles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from postroom.secret import Secret
from tests.web.site import PASSWORD, Site
from tests.web.visitor import choose

if TYPE_CHECKING:
    from collections.abc import Callable

    from postroom.app import Room
    from tests.web.visitor import Visitor

pytestmark = pytest.mark.slow


async def fill(room: Room, text: str) -> None:
    """Every text that somebody may set is ``text``."""
    await room.credentials.create(
        "login", "password", description=text,
        details={"user_name": text.replace("\u202e", ""), "password": Secret("correct horse battery")},
    )  # fmt: skip
    await room.credentials.create(
        "keys", "generic", description=text,
        details={"key": Secret("another quiet secret"), "url": {"value": text, "plain": True}},
    )  # fmt: skip
    await room.credentials.create(
        "app", "oauth_client", description=text,
        details={"authority": "https://login.example.com", "client_id": text, "token_endpoint":
                 "https://login.example.com/t", "client_secrets": {
                     "2026a": {"value": Secret("a client secret, long"), "description": text}}},
    )  # fmt: skip
    auth = {"type": "secret", "credential": "login"}
    await room.connections.add(
        {
            "name": "acme", "description": text,
            "incoming": {"protocol": "imap", "host": "127.0.0.1", "port": "1", "auth": auth},
            "outgoing": {"protocol": "smtp", "host": "127.0.0.1", "port": "1", "auth": auth,
                         "check_server_identity": False},
        }
    )  # fmt: skip
    await room.connections.add(
        {"name": "child", "extends": "acme", "incoming": {"host": "127.0.0.2"}}
    )
    await room.connections.test("acme")  # its log has what went wrong


def test_on_a_phone_the_ways_are_behind_a_button(
    site: Site, visitor: Callable[..., Visitor]
) -> None:
    site.person("root", "admin")
    came = visitor(site, viewport={"width": 360, "height": 740})
    page = came.sign_in("root")
    assert not page.locator("#ways").is_visible()
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("navigation").get_by_role("link", name="Connections").click()
    page.get_by_role("heading", name="Connections").wait_for()


def test_a_saved_secret_stays_when_nothing_is_typed_and_is_cleared_by_its_button(
    admin: Visitor, site: Site
) -> None:
    site.do(lambda room: fill(room, "x"))
    page = admin.go("/credentials/login/details")
    assert page.get_by_label("Password").get_attribute("placeholder") == "****tery"
    assert page.get_by_label("Password").input_value() == ""
    page.get_by_label("User name").fill("ann@example.com")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("login is saved").wait_for()
    one = site.do(lambda room: room.credentials.show("login"))
    assert one["fields"] == {"user_name": "ann@example.com", "password": "****tery"}
    page.goto("/credentials/login/details")
    page.get_by_role("button", name="Clear password").click()
    page.get_by_text("password is empty now").wait_for()
    assert site.do(lambda room: room.credentials.show("login"))["missing"] == ["password"]


def test_what_was_typed_once_is_one_version(admin: Visitor, site: Site) -> None:
    async def furnish(room: Room) -> None:
        details = {"user_name": "ann", "password": Secret("typed only once")}
        await room.credentials.create("login", "password", details=details)
        auth = {"type": "secret", "credential": "login"}
        incoming = {"protocol": "imap", "host": "imap.example.com", "auth": auth}
        await room.connections.add({"name": "acme", "incoming": incoming})

    site.do(furnish)
    page = admin.go("/credentials/login")
    versions = page.get_by_role("table", name="Versions").or_(
        page.get_by_role("region", name="Versions").get_by_role("table")
    )
    assert versions.locator("tbody tr").count() == 1
    assert versions.get_by_role("link", name="Bring back").count() == 0
    page.get_by_text("1 earlier sealing of the same").click()
    page.get_by_text("the same as 2").wait_for()
    assert admin.serious() == []
    again = {"password": Secret("typed another time")}
    site.do(lambda room: room.credentials.set("login", again))
    page.reload()
    assert versions.locator("tbody tr").count() == 2
    assert versions.get_by_role("link", name="Bring back").count() == 1


def test_a_mask_that_is_typed_is_refused_and_a_secret_does_not_come_back(
    admin: Visitor, site: Site
) -> None:
    """A mask is no secret; what was typed into a sealed field is in no page that is answered."""
    site.do(lambda room: fill(room, "x"))
    page = admin.go("/credentials/login/details")
    page.get_by_label("User name").fill("bob@example.com")
    page.get_by_label("Password").fill("****tery")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("alert").wait_for()
    assert page.get_by_label("User name").input_value() == "bob@example.com"
    assert page.get_by_label("Password").input_value() == ""


def test_save_and_refresh_stays_and_tests_with_what_was_saved(admin: Visitor, site: Site) -> None:
    site.do(lambda room: fill(room, "x"))
    page = admin.go("/credentials/login/details")
    page.get_by_label("Password").fill("a secret of today, wxyz")
    page.get_by_role("button", name="Save & refresh").click()
    page.get_by_role("heading", name="Test of acme").wait_for()
    assert page.get_by_label("Password").get_attribute("placeholder") == "****wxyz"
    page.get_by_text("Incoming failed").wait_for()
    page.get_by_text("What to do").first.wait_for()


def test_save_and_refresh_says_why_nothing_was_tested(admin: Visitor, site: Site) -> None:
    site.do(lambda room: room.credentials.create("alone", "password"))
    page = admin.go("/credentials/alone/details")
    page.get_by_label("User name").fill("ann")
    page.get_by_role("button", name="Save & refresh").click()
    page.get_by_text("It can be tested once it is complete: it lacks password.").wait_for()
    page.get_by_label("Password").fill("a secret of today, wxyz")
    page.get_by_role("button", name="Save & refresh").click()
    page.get_by_text("no connection uses it").wait_for()
    assert page.get_by_label("Password").get_attribute("placeholder") == "****wxyz"
    page.get_by_role("button", name="Clear password").click()
    page.get_by_text("password is empty now.").wait_for()
    shown = site.do(lambda room: room.credentials.show("alone"))
    assert (shown["state"], shown["missing"]) == ("incomplete", ["password"])


def test_a_repointed_host_asks_for_the_secret(admin: Visitor, site: Site) -> None:
    """T3: a stored secret goes elsewhere only when its line was shown and agreed to."""
    site.do(lambda room: fill(room, "x"))
    site.do(lambda room: present(room))
    page = admin.go("/connections/acme/edit")
    page.locator("[name='incoming.host']").fill("192.0.2.7")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("A stored secret would go somewhere else").wait_for()
    page.get_by_text("imap://192.0.2.7:1").wait_for()
    shown = site.do(lambda room: room.connections.show("acme"))
    assert shown["incoming"]["host"] == "127.0.0.1"
    page.get_by_role("button", name="Save, and let it go there").click()
    page.get_by_text("Saved").wait_for()
    shown = site.do(lambda room: room.connections.show("acme"))
    assert shown["incoming"]["host"] == "192.0.2.7"


async def present(room: Room) -> None:
    """As if the other side had accepted it: nobody corrects its lines any more without typing it."""
    record = await room.credentials.get("login")
    await room.desk.write(
        lambda tx: room.desk.credentials.presented(tx, "login", record.version, record.updated_at)
    )


def test_new_comes_back_to_the_form_with_what_was_typed(admin: Visitor, site: Site) -> None:
    site.do(lambda room: fill(room, "x"))
    page = admin.go("/new/connection")
    page.get_by_label("Name").fill("shop")
    choose(page, "[name='incoming.protocol']", "imap")
    page.locator("[name='incoming.host']").fill("imap.shop.example")
    choose(page, "[name='incoming.auth.type']", "secret")
    page.locator("[name='incoming.auth.credential']").wait_for()
    page.get_by_role("button", name="New…").first.click()
    page.locator("#f-name").fill("shop-login")
    page.get_by_role("button", name="Go on to its details").click()
    page.get_by_label("User name").fill("shop")
    page.get_by_label("Password").fill("a password of the shop")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("heading", name="New connection").wait_for()
    assert page.locator("[name='incoming.host']").input_value() == "imap.shop.example"
    assert page.locator("[name='incoming.auth.credential']").input_value() == "shop-login"
    page.get_by_role("button", name="Make it").click()
    page.get_by_text("shop is made").wait_for()
    made = site.do(lambda room: room.connections.show("shop"))
    assert made["incoming"]["auth"] == {"type": "secret", "credential": "shop-login"}


def test_an_inherited_value_is_marked_and_an_own_one_is_reset(admin: Visitor, site: Site) -> None:
    site.do(lambda room: fill(room, "x"))
    page = admin.go("/connections/child/edit")
    assert page.locator("[name='outgoing.host']").get_attribute("placeholder") == "127.0.0.1"
    assert page.locator(".field.inherited", has=page.locator("[name='outgoing.host']")).count() == 1
    page.locator("#f-description").fill("Typed meanwhile")
    page.get_by_role("button", name="Reset to the inherited value").first.click()
    page.get_by_text("once it is saved, the inherited value holds").wait_for()
    assert page.locator("#f-description").input_value() == "Typed meanwhile"
    assert page.locator("[name='incoming.host']").get_attribute("placeholder") == "127.0.0.1"
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved.").wait_for()
    shown = site.do(lambda room: room.connections.show("child"))
    assert shown["effective"]["incoming"]["host"] == "127.0.0.1"


def test_what_cannot_be_undone_asks_who_it_is(admin: Visitor, site: Site) -> None:
    site.do(lambda room: fill(room, "x"))
    site.do(age)
    page = admin.go("/credentials/keys/delete")
    page.get_by_role("heading", name="Is it you?").wait_for()
    page.get_by_label("Password").fill("not it at all, really")
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("alert").wait_for()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Delete it").click()
    page.get_by_text("keys is deleted").wait_for()


async def age(room: Room) -> None:
    """Every proof of who somebody is was a day ago."""
    await room.desk.write(
        lambda tx: tx.execute("UPDATE sessions SET proved_at = proved_at - 86400")
    )


def test_the_first_page_is_small(admin: Visitor) -> None:
    """Under 100 KB with everything, and no request leaves the room."""
    sizes: dict[str, int] = {}
    page = admin.context.new_page()
    page.on("response", lambda one: sizes.__setitem__(one.url, len(one.body())))
    page.goto("/")
    page.wait_for_load_state("networkidle")
    assert all(url.startswith((admin.url, "data:")) for url in sizes)
    assert sum(sizes.values()) < 100_000, sizes
    assert len(sizes) <= 7
