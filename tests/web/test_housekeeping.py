"""Variables, keys, audit, users and tokens in the browser."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from postroom.mail import Draft
from postroom.secret import Secret
from tests.web.mailroom import PAYLOADS, furnish
from tests.web.site import PASSWORD

if TYPE_CHECKING:
    from postroom.settings import Settings
    from tests.ground import Ground
    from tests.web.site import Site
    from tests.web.visitor import Visitor


AGREED = "Save, and let it go there"


def test_a_field_of_ones_own_may_be_called_by_a_number(admin: Visitor, site: Site) -> None:
    details = {"0": Secret("a quiet secret"), "1": {"value": "seen", "plain": True}}
    site.do(
        lambda room: room.credentials.create("keys", "generic", description="x", details=details)
    )
    page = admin.go("/credentials/keys/details")
    page.get_by_label("New field").first.fill("2")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("a new field has a name and a value").first.wait_for()
    assert page.get_by_label("1 plain").input_value() == "seen"
    page.get_by_label("0 sealed").fill("another quiet secret")
    page.get_by_label("Value", exact=True).first.fill("a third quiet secret")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("keys is saved.").wait_for()
    fields = site.do(lambda room: room.credentials.show("keys"))["fields"]
    assert {name: str(value)[:4] for name, value in fields.items() if name != "1"} == {
        "0": "****",
        "2": "****",
    }
    assert fields["1"] == "seen"


def test_a_variable_is_made_changed_and_deleted(admin: Visitor, site: Site) -> None:
    page = admin.go("/variables")
    page.get_by_role("heading", name="No variable yet").wait_for()
    page.get_by_label("Name").fill("MAIL_HOST")
    page.get_by_label("Value").fill(PAYLOADS[0])
    page.get_by_role("button", name="Make it").click()
    page.get_by_text("Made the variable MAIL_HOST.").wait_for()
    page.get_by_role("cell", name=PAYLOADS[0]).wait_for()
    assert admin.serious() == []
    page.get_by_role("link", name="MAIL_HOST").click()
    page.get_by_label("Value").fill("imap.example.com")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    assert site.do(lambda room: room.variables.list()) == {"MAIL_HOST": "imap.example.com"}
    page.get_by_role("link", name="Delete").click()
    page.get_by_text("Its value is imap.example.com").wait_for()
    assert site.do(lambda room: room.variables.list()) == {"MAIL_HOST": "imap.example.com"}
    assert admin.serious() == []
    page.get_by_role("button", name="Delete it").click()
    page.get_by_text("Deleted the variable MAIL_HOST.").wait_for()
    assert site.do(lambda room: room.variables.list()) == {}


def test_a_variable_that_moves_a_host_asks_before_secrets_go_there(
    admin: Visitor, site: Site, ground: Ground, visitor: Callable[[Site], Visitor]
) -> None:
    """T40: the change is refused, says what it would move, and is done only where that is said."""
    furnish(site, ground)
    site.do(lambda room: room.variables.set("MAIL_HOST", "127.0.0.1"))
    incoming = {"incoming": {"host": "${MAIL_HOST}"}}
    site.do(lambda room: room.connections.set("acme", incoming))
    site.person("ed", "editor")
    came = visitor(site)
    came.sign_in("ed")
    for one, may in ((came, False), (admin, True)):
        page = one.go("/variables/MAIL_HOST")
        page.get_by_label("Value").fill("127.0.0.2")
        page.get_by_role("button", name="Save").click()
        page.get_by_role("alert").wait_for()
        assert site.do(lambda room: room.variables.list()) == {"MAIL_HOST": "127.0.0.1"}
        assert "127.0.0.2" in page.get_by_role("alert").inner_text()
        expect(page.get_by_role("button", name=AGREED)).to_have_count(int(may))
    # what they were shown is the first place: another one, typed meanwhile, is asked about again
    page.get_by_label("Value").fill("127.0.0.3")
    page.get_by_role("button", name=AGREED).click()
    page.get_by_role("alert").get_by_text("127.0.0.3").first.wait_for()
    assert site.do(lambda room: room.variables.list()) == {"MAIL_HOST": "127.0.0.1"}
    page.get_by_role("button", name=AGREED).click()
    page.get_by_text("Saved.").wait_for()
    assert site.do(lambda room: room.variables.list()) == {"MAIL_HOST": "127.0.0.3"}
    page.get_by_role("link", name="Delete").click()
    page.get_by_text("acme").first.wait_for()
    page.get_by_role("button", name="Delete it").click()
    page.get_by_role("alert").wait_for()
    assert site.do(lambda room: room.variables.list()) == {"MAIL_HOST": "127.0.0.3"}


def test_a_job_that_is_handed_a_secret_runs_only_what_was_agreed_to(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    """T26: another program, typed after the question, is asked about anew."""
    furnish(site, ground)
    job = {"name": "report", "command": ["/bin/true"], "credentials": ["acme-login"]}
    site.do(lambda room: room.jobs.add(job, rebind=True))
    assert site.do(lambda room: room.connections.test("acme")).ok

    def words() -> list[str]:
        return list(site.do(lambda room: room.jobs.show("report"))["command"]["words"])

    page = admin.go("/jobs/report/edit")
    page.get_by_label("Program and its arguments").fill("/bin/cat")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("alert").get_by_text("job:report#").wait_for()
    assert admin.serious() == []
    page.get_by_label("Program and its arguments").fill("/bin/echo")
    page.get_by_role("button", name=AGREED).click()
    page.get_by_role("alert").get_by_text("job:report#").first.wait_for()
    assert words() == ["/bin/true"]
    page.get_by_role("button", name=AGREED).click()
    page.get_by_text("Saved.").wait_for()
    assert words() == ["/bin/echo"]
    page.get_by_text("Make another one like it").click()
    page.get_by_label("Name of the new one").fill("second")
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("alert").get_by_text("job:second#").wait_for()
    page.get_by_role("button", name=AGREED).click()
    page.get_by_text("Made second with the same settings.").wait_for()


def test_the_key_is_rotated_while_the_page_tells_how_far_it_is(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    furnish(site, ground)
    page = admin.go("/keys")
    page.get_by_role("heading", name="There is no recovery kit").wait_for()
    assert admin.serious() == []
    page.get_by_role("button", name="Rotate").click()
    page.get_by_text("The vault key was rotated").wait_for()
    page.get_by_text("term 2 is active").wait_for()
    page.get_by_role("link", name="Keys").last.click()
    page.get_by_role("button", name="Look at everything").click()
    page.get_by_text("Every sealed value of every record opens.").wait_for()


def test_a_damaged_record_is_named(
    admin: Visitor, site: Site, ground: Ground, settings: Settings
) -> None:
    """T17: one damaged value is named, and hides no other."""
    furnish(site, ground)
    with sqlite3.connect(settings.room / "room.db") as db:
        db.execute("UPDATE sealed SET blob = zeroblob(length(blob)) WHERE kind = 'credential' AND rowid IN "
                   "(SELECT max(rowid) FROM sealed WHERE kind = 'credential')")  # fmt: skip
    page = admin.go("/keys")
    page.get_by_role("button", name="Look at everything").click()
    page.get_by_text("Something needs a person").wait_for()
    page.get_by_role("heading", name="Damaged records").wait_for()


def test_the_audit_record_is_searched_and_verified_and_a_change_in_it_is_told(
    admin: Visitor, site: Site, settings: Settings
) -> None:
    """T47, T92: names in it are text; an edited row is found."""
    site.do(lambda room: room.variables.set("A", "1"))
    page = admin.go("/audit")
    page.get_by_label("About").select_option("variable")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("cell", name="variable A").wait_for()
    assert admin.serious() == []
    page.get_by_role("button", name="Verify it").click()
    page.get_by_text("The record is whole").wait_for()
    with sqlite3.connect(settings.room / "room.db") as db:
        db.execute("UPDATE audit SET name = ? WHERE noun = 'variable'", [PAYLOADS[1]])
    page.goto("/audit")
    page.get_by_role("cell", name=PAYLOADS[1]).wait_for()
    page.get_by_role("button", name="Verify it").click()
    page.get_by_text("The record is not whole").wait_for()
    assert page.evaluate("window.hit") is None


@pytest.mark.bares("output", why="an invitation is shown this once, to be given to somebody")
def test_a_user_is_invited_and_comes_in_with_their_role(
    admin: Visitor, visitor: Callable[[Site], Visitor], site: Site
) -> None:
    page = admin.go("/users")
    page.get_by_label("Name").fill("ann")
    page.get_by_label("operator").check()
    assert admin.serious() == []
    page.get_by_role("button", name="Make it, and invite them").click()
    page.get_by_text("It is shown this once").wait_for()
    address = page.locator(".copy code").first.inner_text()
    assert address.startswith(f"{site.url}/welcome#")
    came = visitor(site)
    theirs = came.go(address.removeprefix(site.url))
    theirs.get_by_label("Password").fill(PASSWORD)
    theirs.get_by_label("The same once more").fill(PASSWORD)
    theirs.get_by_role("button", name="Begin").click()
    theirs.wait_for_url("**/")
    assert theirs.get_by_role("link", name="Users").count() == 0
    page.goto("/users/ann")
    page.get_by_label("Disabled").check()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    theirs.goto("/sources")
    assert "/sign-in" in theirs.url
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete them").click()
    page.get_by_text("Deleted the user ann.").wait_for()


def test_the_last_administrator_stays(admin: Visitor, site: Site) -> None:
    page = admin.go("/users/root")
    page.get_by_label("viewer").check()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("alert").wait_for()
    assert [one["role"] for one in site.do(lambda room: room.users.list())] == ["admin"]


@pytest.mark.bares(
    "output", why="a token is shown this once; that no other page has it is asserted"
)
def test_a_token_is_shown_once_and_has_no_more_rights_than_were_chosen(
    admin: Visitor, site: Site
) -> None:
    """T45: in the answer to its form, and in no page after it."""
    page = admin.go("/tokens")
    page.get_by_role("heading", name="No token yet").wait_for()
    page.get_by_label("Name").fill("deploy")
    page.get_by_label("send", exact=False).first.check()
    assert admin.serious() == []
    page.get_by_role("button", name="Make it").click()
    token = page.locator(".copy code").first.inner_text()
    person = site.do(lambda room: room.people.by_token(token))
    assert person.verbs == {"view", "send"}
    page.get_by_role("link", name="Tokens").last.click()
    page.wait_for_load_state()
    assert token not in page.content()
    assert token.rpartition("_")[2] not in page.content()
    page.get_by_role("button", name="Revoke").click()
    page.get_by_text("The token deploy is revoked.").wait_for()


@pytest.mark.parametrize("role", ["editor", "operator", "viewer", "auditor"])
def test_each_role_is_offered_its_places_and_no_others(
    site: Site, visitor: Callable[[Site], Visitor], role: str
) -> None:
    wants = {"Messages": "read", "Keys": "keys", "Audit": "audit", "Users": "users"}
    site.person("pat", role)
    came = visitor(site)
    page = came.sign_in("pat")
    rights = site.do(lambda room: room.users.show("pat"))["rights"]
    for label, right in wants.items():
        offered = page.get_by_role("navigation").get_by_role("link", name=label, exact=True).count()
        assert bool(offered) == (right in rights), label
        answer = page.goto(f"/{label.lower()}")
        assert answer is not None
        assert answer.status == (200 if right in rights else 403), label
        page.goto("/")


def test_the_room_is_a_file_without_a_secret(admin: Visitor, site: Site, ground: Ground) -> None:
    furnish(site, ground)
    page = admin.go("/room-file")
    assert "name: acme" in page.locator("pre").inner_text()
    with page.expect_download() as download:
        page.get_by_role("link", name="Save it").click()
    assert download.value.suggested_filename == "postroom.yaml"


def test_a_room_file_is_applied_after_it_was_seen_what_it_does(admin: Visitor, site: Site) -> None:
    page = admin.go("/room-file")
    page.get_by_text("Apply a room file to this room").click()
    page.get_by_label("Room file").fill("variables: {SHOP: one}\nvariable: wrong")
    page.get_by_role("button", name="What would it do?").click()
    page.get_by_role("alert").wait_for()
    text = (
        "postroom: 1\nvariables: {SHOP: https://shop.example}\n"
        "credentials:\n- {name: login, type: password, description: d}\n"
    )
    page.get_by_label("Room file").fill(text)
    page.get_by_role("button", name="What would it do?").click()
    page.get_by_text("nothing was done yet").wait_for()
    assert site.do(lambda room: room.variables.list()) == {}
    assert admin.serious() == []
    page.get_by_role("button", name="Apply it").click()
    page.get_by_role("heading", name="Applied").wait_for()
    assert site.do(lambda room: room.variables.list()) == {"SHOP": "https://shop.example"}
    page.get_by_role("link", name="the details of login").click()
    page.get_by_label("Password").wait_for()


def test_what_is_kept_of_a_person_is_shown_and_erased(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    furnish(site, ground)
    site.do(lambda room: room.services.add({"name": "out", "connection": "acme"}))
    draft = Draft(from_=None, to=["gone@ground.test"], subject="x", text="x")
    item = site.do(lambda room: room.email.store("out", draft))
    page = admin.go("/erasures")
    page.get_by_label("Address").fill("gone@ground.test")
    page.get_by_role("button", name="What is kept?").click()
    page.get_by_text("still at work").wait_for()
    assert "gone@" not in page.url
    site.do(lambda room: room.outbox.cancel(item))
    page.get_by_role("button", name="What is kept?").click()
    page.get_by_role("button", name="Erase it for good").click()
    page.get_by_role("heading", name="Erased").wait_for()
    assert site.do(lambda room: room.outbox.list()) == []


@pytest.mark.parametrize("noun", ["services", "jobs"])
def test_another_one_like_it_is_made(admin: Visitor, site: Site, ground: Ground, noun: str) -> None:
    furnish(site, ground)
    does = (
        {"steps": [{"list-email": {"via": "acme"}}]} if noun == "jobs" else {"connection": "acme"}
    )
    site.do(lambda room: getattr(room, noun).add({"name": "one", **does}))
    page = admin.go(f"/{noun}/one")
    page.get_by_text("Make another one like it").click()
    page.get_by_label("Name of the new one").fill("two")
    page.get_by_role("button", name="Copy").click()
    page.get_by_text("Made two with the same settings.").wait_for()


def test_colours_are_chosen_without_leaving_the_page(admin: Visitor) -> None:
    page = admin.go("/audit?noun=user&many=200")
    page.get_by_role("button", name="Dark").click()
    page.locator("html[data-theme=dark]").wait_for()
    assert page.url.endswith("/audit?noun=user&many=200")
