"""Forms in the browser: what is lacking is made on the way, and lists offer what fits."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from postroom.mail import Draft
from postroom.secret import Secret
from tests.web.mailroom import furnish, letter
from tests.web.test_from_nothing import servers
from tests.web.visitor import choose

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from postroom.app import Room
    from postroom.jobs.runs import Run
    from tests.ground import Ground, User
    from tests.web.site import Site
    from tests.web.visitor import Visitor


def a_connection(page: Page, name: str) -> None:
    """Fill in the form of a connection that sends, without a sign-in, and save it."""
    page.get_by_role("heading", name="New connection").wait_for()
    page.locator("#f-name").fill(name)
    choose(page, "[name='outgoing.protocol']", "smtp")
    page.locator("[name='outgoing.host']").fill("smtp.shop.example")
    page.get_by_role("button", name="Make it").click()


def test_a_source_makes_its_connection_and_its_job_on_the_way(admin: Visitor, site: Site) -> None:
    page = admin.go("/new/source")
    page.locator("#f-name").fill("orders-in")
    page.locator("#f-folders-input").fill("Orders")
    page.get_by_role("button", name="New… for Connection").click()
    page.locator("#f-name").fill("shop")
    choose(page, "[name='incoming.protocol']", "imap")
    page.locator("[name='incoming.host']").fill("imap.shop.example")
    choose(page, "[name='incoming.auth.type']", "secret")
    page.locator("[name='incoming.auth.credential']").wait_for()
    # what the connection lacks is made on the way to it
    page.get_by_role("button", name="New… for Credential").click()
    page.locator("#f-name").fill("shop-login")
    page.get_by_role("button", name="Go on to its details").click()
    page.get_by_label("User name").fill("shop")
    page.get_by_label("Password").fill("a password of the shop")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("heading", name="New connection").wait_for()
    page.get_by_role("button", name="Make it").click()
    page.get_by_text("shop is made, and chosen here").wait_for()
    assert page.locator("#f-name").input_value() == "orders-in"
    assert page.locator("#f-connection").input_value() == "shop"

    page.get_by_label("Into").select_option("job")
    page.get_by_role("button", name="New… for Job").click()
    page.get_by_label("Name").first.fill("file-it")
    page.get_by_label("Steps").fill("- list-folders: {via: shop}\n")
    page.get_by_role("button", name="Make it").click()
    page.get_by_text("Made the job file-it; it is chosen here").wait_for()
    assert admin.serious() == []
    page.locator("#f-name").press("Enter")
    page.get_by_text("Choose what the job gets of the messages that are there already").wait_for()
    page.get_by_label("Of what is there already").select_option("new")
    page.locator("#f-name").press("Enter")
    page.wait_for_url("**/sources/orders-in")
    saved = site.do(lambda room: room.sources.show("orders-in"))
    assert saved["folders"]["input"] == "Orders"
    assert (saved["connection"], saved["sink"]["job"]) == ("shop", "file-it")


def test_what_a_credential_lacks_is_called_as_in_its_form_and_leads_to_where_it_is_given(
    admin: Visitor, site: Site
) -> None:
    site.do(lambda room: room.credentials.create("relay", "smtp"))
    page = admin.go("/credentials/relay/details")
    page.get_by_text("Still lacking: description, Host").wait_for()
    page.get_by_role("link", name="beside its name").click()
    page.get_by_label("Description").fill("Sends for everybody")
    page.get_by_role("button", name="Save").click()
    page.goto("/credentials/relay/details")
    page.get_by_text("Still lacking: Host").wait_for()


def test_no_sign_in_is_said_once_where_there_is_none_to_inherit(admin: Visitor) -> None:
    page = admin.go("/new/connection")
    offered = page.locator("#f-incoming-auth-type option").all_inner_texts()
    assert [one for one in offered if not one.startswith(("OAuth", "Password"))] == ["no sign-in"]


def test_a_service_makes_its_connection_on_the_way(admin: Visitor, site: Site) -> None:
    page = admin.go("/new/service")
    page.locator("#f-name").fill("orders-out")
    page.get_by_role("button", name="New…").click()
    a_connection(page, "shop")
    page.get_by_text("shop is made, and chosen here").wait_for()
    page.get_by_role("button", name="Make it").click()
    page.wait_for_url("**/services/orders-out")

    page.goto("/services/orders-out/edit")
    page.locator("#f-description").fill("Orders of the shop")
    page.get_by_role("button", name="New…").click()
    a_connection(page, "spare")
    page.get_by_role("heading", name="Edit orders-out").wait_for()
    page.locator("#f-name").wait_for(state="detached")
    page.locator("#f-description").press("Enter")
    page.wait_for_url("**/services/orders-out")
    saved = site.do(lambda room: room.services.show("orders-out"))
    assert (saved["connection"], saved["description"]) == ("spare", "Orders of the shop")


def test_a_credential_makes_the_certificate_that_it_trusts(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    site.do(lambda room: room.credentials.create("relay", "smtp"))
    page = admin.go("/credentials/relay/details")
    page.get_by_label("Host").fill("smtp.shop.example")
    page.get_by_role("button", name="New… for Trusted certificate").click()
    page.locator("#f-name").fill("shop-ca")
    expect(page.get_by_role("radio")).to_have_count(1)
    page.get_by_role("button", name="Go on to its details").click()
    page.get_by_label("Certificate").fill(ground.pki.ca.read_text())
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("heading", name="Details of relay").wait_for()
    assert page.get_by_label("Host").input_value() == "smtp.shop.example"
    assert page.get_by_label("Trusted certificate").first.input_value() == "shop-ca"


def test_an_editor_finishes_connecting_an_account(
    site: Site, visitor: Callable[[Site], Visitor], ground: Ground
) -> None:
    """Files are written as the user of the server: an editor hands what is collected to a job."""
    site.person("root", "admin")
    site.person("ed", "editor")
    came, user = visitor(site), ground.user()
    page = came.sign_in("ed")
    typed(page, ground, user)
    page.get_by_text("goes to a job, and there is none").wait_for()
    assert page.get_by_label("Yes: new mail is collected").count() == 0
    page.locator("#f-name").fill("alone")
    page.get_by_role("button", name="Connect it").click()
    page.get_by_role("heading", name="is connected").wait_for()
    assert site.do(lambda room: room.sources.list()) == []

    steps = [{"list-folders": {"via": "alone"}}]
    site.do(lambda room: room.jobs.add({"name": "file-it", "steps": steps}))
    typed(page, ground, ground.user())
    page.locator("#f-name").fill("orders")
    assert page.get_by_label("Into the directory").count() == 0
    page.get_by_label("Yes: new mail is collected").check()
    page.get_by_label("To the job").select_option("file-it")
    assert came.serious() == []
    page.get_by_role("button", name="Connect it").click()
    page.get_by_role("heading", name="is connected").wait_for()
    made = site.do(lambda room: room.sources.show("orders-in"))
    assert (made["sink"]["type"], made["sink"]["job"]) == ("job", "file-it")


def typed(page: Page, ground: Ground, user: User) -> None:
    """An account up to the question what it is for."""
    begin(page, user)
    servers(page, ground)
    page.get_by_role("button", name="Test it").click()
    for place in ("incoming", "outgoing"):
        page.get_by_role("button", name=f"Trust it for the {place} server").click()
    page.get_by_role("button", name="Connect it").wait_for()


async def furnished(room: Room) -> None:
    """Connections that read or send alone, and a credential of each kind."""
    await room.credentials.create(
        "login", "password", details={"user_name": "ann", "password": Secret("a quiet password")}
    )
    client = {"authority": "https://login.example.com", "client_id": "x", "token_endpoint": "https://t.example/t",
              "authorization_endpoint": "https://t.example/a"}  # fmt: skip
    await room.credentials.create("app", "oauth_client", details=client)
    relay = {
        "host": "smtp.shop.example",
        "tls": True,
        "user_name": "ann",
        "password": Secret("another one"),
    }
    await room.credentials.create("relay", "smtp", description="The relay", details=relay)
    auth = {"type": "secret", "credential": "login"}
    for name, side, protocol in (("reads", "incoming", "imap"), ("sends", "outgoing", "smtp")):
        host = f"{protocol}.shop.example"
        await room.connections.add(
            {"name": name, side: {"protocol": protocol, "host": host, "auth": auth}}
        )
    google = {"type": "oauth_authorization_code", "credential": "app"}
    await room.connections.add(
        {"name": "google", "incoming": {
            "protocol": "imap", "host": "imap.gmail.com", "user": "ann@gmail.com", "auth": google,
        }}
    )  # fmt: skip


def choices(page: Page, selector: str) -> list[str]:
    """The values that a list offers."""
    return [
        value
        for one in page.locator(f"{selector} option").all()
        if (value := one.get_attribute("value"))
    ]


def test_lists_offer_only_what_fits(admin: Visitor, site: Site) -> None:
    site.do(furnished)
    page = admin.go("/new/source")
    assert choices(page, "#f-connection") == ["google", "reads"]
    page.goto("/new/service")
    assert choices(page, "#f-connection") == ["sends", "credential:relay"]
    page.goto("/connections/reads/edit")
    assert choices(page, "[name='incoming.auth.credential']") == ["login", "relay"]
    page.goto("/connections/google/edit")
    assert choices(page, "[name='incoming.auth.credential']") == ["app"]
    page.goto("/new/connection")
    choose(page, "#f-type", "microsoft365")
    page.locator("[name='auth.type']").wait_for()
    offered = choices(page, "[name='auth.type']")
    assert offered
    assert all(each.startswith("oauth_") for each in offered)
    page.goto("/connections/google/sign-in")
    page.get_by_text("By an address").wait_for()
    assert page.get_by_text("With a code on another device").count() == 0


def test_a_job_is_handed_credentials_that_are_chosen(admin: Visitor, site: Site) -> None:
    site.do(furnished)
    client = {"authority": "https://login.example.com", "client_id": "y"}
    site.do(lambda room: room.credentials.create("shop", "oauth_client", details=client))
    page = admin.go("/new/job")
    page.get_by_label("Name").first.fill("count")
    page.get_by_label("With").select_option("command")
    page.get_by_text("Python, or a program").click()
    page.get_by_label("Program and its arguments").fill("/bin/true")
    handed = page.get_by_role("group", name="What its code is handed")
    assert handed.get_by_role("checkbox").count() == 4
    handed.get_by_label("app").check()
    handed.get_by_label("shop").check()
    page.locator("summary", has_text="Runs").click()
    page.locator("#f-overlap").select_option("skip")
    page.locator("#f-keep").fill("nonsense")
    page.get_by_role("button", name="Make it").click()
    page.get_by_role("alert").first.wait_for()
    assert admin.serious() == []
    page.locator("#f-keep").fill("30d")
    page.get_by_role("button", name="Make it").click()
    page.wait_for_url("**/jobs/count")
    assert site.do(lambda room: room.jobs.show("count"))["credentials"] == ["app", "shop"]
    page.goto("/jobs/count/edit")
    assert page.get_by_label("shop").is_checked()
    assert not page.get_by_label("login").is_checked()


def test_what_uses_a_record_is_a_list_of_links_wherever_it_is_shown(
    admin: Visitor, site: Site
) -> None:
    site.do(furnished)

    async def used(room: Room) -> None:
        await room.services.add(
            {
                "name": "out",
                "connection": "sends",
                "from": "a@shop.example",
                "allowed_senders": ["*@shop.example"],
            }
        )
        await room.email.store(
            "out", Draft(from_="a@shop.example", to=["b@shop.example"], text="x")
        )
        await room.variables.set("FOLDER", "INBOX")
        step = {"send-email": {"via": "out", "to": "b@shop.example", "text": "x"}}
        await room.jobs.add({"name": "tell", "steps": [step]})
        await room.sources.add(
            {"name": "in", "connection": "reads", "folders": {"input": "${FOLDER}"}, "start": "all",
             "sink": {"type": "job", "job": "tell"}}
        )  # fmt: skip

    site.do(used)
    for at, links in (
        ("/services/out", ["/jobs/tell", "/outbox?service=out"]),
        ("/jobs/tell", ["/sources/in"]),
        ("/variables/FOLDER", ["/sources/in"]),
        ("/connections/reads", ["/sources/in"]),
    ):
        page = admin.go(at)
        page.locator(".usage summary").click()
        there = [one.get_attribute("href") for one in page.locator(".usage li a").all()]
        assert there == links, at
        assert admin.serious() == []
    page = admin.go("/sources/in")
    page.get_by_text("Not used anywhere").wait_for()
    page.locator("dl").get_by_role("link", name="reads").click()
    page.wait_for_url("**/connections/reads")
    # whoever is about to delete it sees what uses it at once
    page.get_by_role("link", name="Delete…").click()
    page.locator(".usage").get_by_role("link", name="in", exact=True).wait_for()


def test_a_schedule_that_is_typed_shows_its_next_times(admin: Visitor, site: Site) -> None:
    site.do(furnished)
    page = admin.go("/new/source")
    page.locator("#f-name").fill("nightly")
    page.locator("#f-connection").select_option("reads")
    page.get_by_label("It looks").select_option("cron")
    page.get_by_label("Cron").fill("30 2 * * 1")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    page.get_by_label("Time zone").press("Tab")
    times = page.locator("#next-times time")
    times.filter(has_text="Europe/Berlin").nth(2).wait_for()  # of UTC they may stand there before
    assert times.count() == 3
    assert all(re.match(r"Mon .* 02:30:00 Europe/Berlin", each) for each in times.all_inner_texts())
    page.get_by_label("Cron").fill("30 25 * * 1")
    page.get_by_label("Cron").press("Tab")
    page.get_by_text("bad hour").wait_for()
    page.get_by_label("Cron").fill("30 2 * * 1")
    page.get_by_label("Directory on the server").fill("/var/mail/orders")
    page.get_by_role("button", name="Make it").click()
    page.wait_for_url("**/sources/nightly")
    page.get_by_text("02:30:00 Europe/Berlin").first.wait_for()
    assert admin.serious() == []
    page.goto("/new/job")
    page.get_by_label("It begins").select_option("every")
    page.get_by_label("Every").fill("15m")
    page.get_by_label("Every").press("Tab")
    page.locator("#next-times time").first.wait_for()


def test_what_is_inherited_is_told_and_a_sign_in_is_reset_whole(admin: Visitor, site: Site) -> None:
    site.do(furnished)
    auth = {"type": "secret", "credential": "relay"}
    child = {"name": "child", "extends": "reads", "incoming": {"auth": auth}}
    site.do(lambda room: room.connections.add(child, rebind=True))
    page = admin.go("/connections/reads/edit")
    assert page.locator("#f-extends").inner_text().split() == ["none", "child", "google", "sends"]
    assert "[]" not in page.content()
    page.goto("/new/connection?extends=reads")
    assert (
        page.locator("[name='incoming.host']").get_attribute("placeholder") == "imap.shop.example"
    )
    page.goto("/connections/child/edit")
    resets = page.get_by_role("button", name="Reset to the inherited value")
    assert [one.get_attribute("value") for one in resets.all()] == ["incoming.auth.type"]
    resets.click()
    page.get_by_text("once it is saved, the inherited value holds").wait_for()
    assert (
        "inherited: Password or secret" in page.locator("[name='incoming.auth.type']").inner_text()
    )
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/connections/child")
    saved = site.do(lambda room: room.connections.show("child"))
    assert saved["effective"]["incoming"]["auth"]["credential"] == "login"


def test_what_asks_another_server_is_watched(admin: Visitor, site: Site) -> None:
    site.do(furnished)
    page = admin.go("/credentials/app")
    form = page.locator("form[action='/credentials/app/secrets']")
    page.locator("details", has=form).locator("summary").click()
    form.locator("[name='label']").fill("2026a")
    form.locator("[name='value']").fill("a client secret, long")
    form.get_by_role("button").click()
    page.wait_for_url("**/works/*")
    page.get_by_role("link", name="Back to app").wait_for()
    page.locator("p.notice, .note.bad").first.wait_for()
    assert admin.serious() == []
    page.get_by_role("link", name="Back to app").click()
    page.get_by_text("2026a").first.wait_for()


async def run_tidy(room: Room) -> Run:
    return await room.runs.here(await room.runs.begin("tidy"))


def test_a_new_job_begins_with_steps_that_work(admin: Visitor, site: Site, ground: Ground) -> None:
    """What is proposed is saved and run as it is: no name in it has to be put right first."""
    page = admin.go("/new/job")
    page.get_by_text("There is no mailbox yet").wait_for()
    user = furnish(site, ground)
    ground.dovecot.fill(user, [letter("Order 17")])
    page.goto("/new/job")
    page.locator("#f-name").fill("tidy")
    page.get_by_role("button", name="Make it").click()
    page.wait_for_url("**/jobs/tidy")
    for _ in range(2):  # and once more, where nothing is unseen any more
        ran = site.do(run_tidy)
        assert ran.state == "succeeded", ran.reason
    there = site.do(lambda room: room.commands.run("list-email", {"via": "acme", "folder": "Done"}))
    assert there["count"] == 1
    for begin in ("passing unseen messages on", "answering unseen messages"):
        page.goto("/new/job")
        page.get_by_label("Begin by").select_option(begin)
        page.get_by_role("button", name="Fill in").click()
        name = begin.split()[0]
        page.locator("#f-name").fill(name)
        page.get_by_role("button", name="Make it").click()
        page.wait_for_url(f"**/jobs/{name}")
    assert admin.serious() == []


def test_settings_have_words_and_leave_out_what_is_usual(admin: Visitor, site: Site) -> None:
    site.do(furnished)
    backoff = {"min": "30s"}
    sink = {"type": "directory", "path": "/var/mail/orders"}
    source = {"name": "in", "connection": "reads", "sink": sink, "backoff": backoff}
    site.do(lambda room: room.sources.add(source))
    page = admin.go("/sources/in")
    told = page.locator("section", has=page.get_by_role("heading", name="Settings")).inner_text()
    assert "when the server tells" in told
    assert "After a failure: first wait" in told
    assert "30s" in told
    for raw in ("schedule", "rollback", "reset after", "polling", "true"):
        assert raw not in told, raw
    plain = {"protocol": "imap", "host": "127.0.0.1", "port": "143", "security": "none"}
    site.do(lambda room: room.connections.add({"name": "plain", "incoming": plain}))
    page.goto("/connections/plain")
    page.get_by_text("without TLS a server shows no certificate").wait_for()
    assert page.get_by_text("checked", exact=True).count() == 0


def test_what_was_trusted_stays_trusted_and_what_trust_cannot_mend_is_said(
    admin: Visitor, ground: Ground
) -> None:
    page, user = admin.page, ground.user()
    begin(page, user)
    servers(page, ground)
    page.get_by_role("button", name="Test it").click()
    page.get_by_role("button", name="Trust it for the incoming server").click()
    page.get_by_role("button", name="Trust it for the outgoing server").wait_for()
    assert page.get_by_role("button", name="Trust it for the incoming server").count() == 0
    page.get_by_role("link", name="Change what was typed").click()
    assert page.get_by_label("Trust the certificate that it showed").is_checked()
    page.get_by_label("Password").fill(user.password)
    page.get_by_role("button", name="Test it").click()
    page.get_by_role("button", name="Trust it for the outgoing server").wait_for()
    assert page.get_by_role("button", name="Trust it for the incoming server").count() == 0

    for instance, told in (
        (ground.dovecot.expired, "its administrator has to renew it"),
        (ground.dovecot.wronghost, "and not for 127.0.0.1"),
    ):
        begin(page, user)
        servers(page, ground)
        page.get_by_role("group", name="Incoming mail").get_by_label("Port").fill(
            str(instance.imaps)
        )
        page.get_by_role("button", name="Test it").click()
        page.get_by_text(told).wait_for()
        page.get_by_role("button", name="Trust it for the outgoing server").wait_for()
        assert page.get_by_role("button", name="Trust it for the incoming server").count() == 0
        assert admin.serious() == []


def begin(page: Page, user: User) -> None:
    """An account up to its password."""
    page.goto("/connect")
    page.get_by_label("Email address").fill(user.address)
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("Password").fill(user.password)


def test_a_server_that_does_not_answer_is_told_once_and_tried_again(
    admin: Visitor, site: Site
) -> None:
    dead = {"protocol": "imap", "host": "127.0.0.1", "port": "1"}
    site.do(lambda room: room.connections.add({"name": "dead", "incoming": dead}))
    page = admin.go("/messages?via=dead")
    page.get_by_role("button", name="Try again").click()
    page.get_by_text("Its folders are not known now").wait_for()
    page.get_by_role("button", name="Try again").wait_for()
    assert page.get_by_role("alert").count() == 1
    assert admin.serious() == []


def test_a_run_that_fails_is_over_on_its_page_without_loading_it_anew(
    working: Site, admin_at_work: Visitor, ground: Ground
) -> None:
    furnish(working, ground)
    steps = [{"list-email": {"via": "acme", "folder": "Nowhere"}}]
    working.do(lambda room: room.jobs.add({"name": "tidy", "steps": steps}))
    page = admin_at_work.go("/jobs/tidy")
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("It ended in an error").wait_for(timeout=30_000)
    assert page.get_by_role("button", name="End it").count() == 0
    page.get_by_text(re.compile(r"Times are UTC, of \d{4}-\d\d-\d\d")).wait_for()
