"""Sources in the browser: made by a form, looked ahead, collected; the ledger says what became of each."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.web.mailroom import HOSTILE, PAYLOADS, furnish, letter

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.ground import Ground
    from tests.web.site import Site
    from tests.web.visitor import Visitor


def make(page: Page, path: Path, name: str = "orders-in") -> None:
    """Make a source by its form."""
    page.goto("/new/source")
    page.get_by_label("Name", exact=False).first.fill(name)
    page.get_by_label("Connection").select_option("acme")
    page.get_by_label("Directory on the server").fill(str(path))
    page.get_by_role("button", name="Make it").click()
    page.wait_for_url(f"**/sources/{name}")


def test_from_an_empty_page_to_collected_messages(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    user = furnish(site, ground)
    ground.dovecot.fill(user, [letter("Order 17"), letter(HOSTILE, "Spam <spam@bad.example>")])
    page = admin.go("/sources")
    page.get_by_role("heading", name="Nothing is collected yet").wait_for()
    page.get_by_role("link", name="New source").first.click()
    page.get_by_label("Name").first.fill("orders-in")
    page.get_by_label("Connection").select_option("acme")
    beside = site.room.settings.room
    place = beside.with_name(f"{beside.name}-mail") / "orders-in"
    page.get_by_text(f"Empty: {place.parent}/NAME").wait_for()  # nobody has to know a path
    page.get_by_text("What is left out").click()
    page.get_by_label("From: deny").fill("@bad\\.example")
    assert admin.serious() == []
    page.get_by_role("button", name="Make it").click()
    page.wait_for_url("**/sources/orders-in")

    page.get_by_role("button", name="Look ahead").click()
    row = page.get_by_role("row").filter(has_text=HOSTILE)
    row.get_by_text("ignore").wait_for()
    assert not place.exists()
    page.get_by_role("link", name="Back").click()

    page.get_by_role("button", name="Collect now").click()
    page.get_by_role("link", name="Show the ledger").click()
    letters = page.locator("ol.letters li")
    expect(letters).to_have_count(2)
    ignored = letters.filter(has_text="ignored")
    assert "deny" in ignored.inner_text()
    assert HOSTILE in ignored.inner_text()
    assert admin.serious() == []
    assert len(list(place.rglob("*.eml"))) == 1

    ignored.get_by_role("link").click()
    page.get_by_text("A filter left it out.").wait_for()
    page.get_by_role("button", name="Process again").click()
    page.get_by_text("It is processed anew with the next pass.").wait_for()
    page.goto("/ledger?source=orders-in&subject=Order")
    assert page.locator("ol.letters li").count() == 1
    page.locator("ol.letters li").get_by_role("link").click()
    page.get_by_text("passed its filters").get_by_text("From deny @bad\\.example").wait_for()
    page.get_by_role("link", name="Read it").click()
    page.get_by_role("heading", name="Order 17").wait_for()
    page.goto("/sources/orders-in")
    page.locator("#status").get_by_role("link", name="Order 17").click()
    page.wait_for_url("**/ledger/*")
    assert page.evaluate("window.hit") is None


def test_a_worker_collects_and_the_page_shows_it_by_itself(
    working: Site, admin_at_work: Visitor, ground: Ground, tmp_path: Path
) -> None:
    """The state of a source is live: nobody loads the page anew."""
    user, page = furnish(working, ground), admin_at_work.page
    make(page, tmp_path / "orders")
    page.get_by_text(re.compile("listening")).first.wait_for(timeout=30_000)
    ground.dovecot.fill(user, [letter("Order 18")])
    page.get_by_role("link", name=re.compile("done 1")).wait_for(timeout=30_000)


def test_what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    furnish(site, ground)
    page = admin.go("/new/source")
    page.get_by_label("Name").first.fill("orders-in")
    page.get_by_label("Description").fill(PAYLOADS[3])
    page.get_by_label("Connection").select_option("acme")
    page.get_by_label("Directory on the server").fill("orders")
    page.get_by_role("button", name="Make it").click()
    page.get_by_role("alert").get_by_text("give the whole path on the server").wait_for()
    assert page.get_by_label("Description").input_value() == PAYLOADS[3]
    page.get_by_label("Directory on the server").fill("/var/mail/orders")
    page.get_by_text("What is left out").click()
    page.get_by_label("Subject: deny").fill("([")
    page.get_by_role("button", name="Make it").click()
    page.get_by_role("alert").get_by_text("ignore.subject.deny").wait_for()
    assert site.do(lambda room: room.sources.list()) == []


CHANGES: list[tuple[str, dict[str, str], str, Any]] = [
    ("schedule", {"when": "every", "schedule.every": "90s"}, "every", "90s"),
    ("schedule", {"when": "cron", "schedule.cron": "*/5 * * * *"}, "cron", "*/5 * * * *"),
    ("start", {"from_when": "since", "start.since": "2026-01-31"}, "since", "2026-01-31"),
    ("failure", {"failure": "retry", "failure.retry.max": "3"}, "retry", None),
    ("folders", {"folders.done": "Done"}, "done", "Done"),
    ("sink", {"sink.type": "maildir"}, "type", "maildir"),
]


@pytest.mark.parametrize(("group", "typed", "key", "value"), CHANGES)
def test_every_kind_of_setting_is_saved_and_changed_back(
    admin: Visitor, site: Site, ground: Ground, tmp_path: Path,
    group: str, typed: dict[str, str], key: str, value: Any,
) -> None:  # fmt: skip
    """What a choice says replaces what stood there: a schedule is one of push, a rate and a table."""
    furnish(site, ground)
    page = admin.page
    make(page, tmp_path / "orders")
    before = site.do(lambda room: room.sources.show("orders-in"))
    edited(page, typed)
    saved = site.do(lambda room: room.sources.show("orders-in"))
    assert value in (None, str(saved[group][key]))
    edited(page, {"when": "push", "from_when": "all", "failure": "rollback", "folders.done": "",
                  "sink.type": "directory"})  # fmt: skip
    after = site.do(lambda room: room.sources.show("orders-in"))
    assert after | {"status": 0} == before | {"status": 0}


def edited(page: Page, typed: dict[str, str]) -> None:
    """Change the source by its form."""
    page.goto("/sources/orders-in/edit")
    for one in page.locator("main details").all():
        one.evaluate("each => { each.open = true; }")
    for name, text in typed.items():
        one = page.locator(f'[name="{name}"]')
        if one.evaluate("each => each.tagName") == "SELECT":
            one.select_option(text)
        else:
            one.fill(text)
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/sources/orders-in")


def test_held_messages_are_released_and_a_source_is_deleted(
    admin: Visitor, site: Site, ground: Ground, tmp_path: Path
) -> None:
    user = furnish(site, ground)
    ground.dovecot.fill(user, [letter("Order 17")])
    sink = {"type": "directory", "path": str(tmp_path / "orders")}
    wanted = {"name": "orders-in", "connection": "acme", "clearance": True, "sink": sink}
    site.do(lambda room: room.sources.add(wanted))
    page = admin.go("/sources/orders-in")
    page.get_by_role("button", name="Collect now").click()
    page.get_by_role("link", name="Show the ledger").click()
    page.locator("ol.letters li a").click()
    page.get_by_text("It waits for a person").wait_for()
    page.get_by_role("button", name="Release").click()
    page.get_by_text("It is processed with the next pass.").wait_for()
    page.goto("/sources/orders-in")
    page.get_by_role("button", name="Collect now").click()
    page.get_by_text("Delivered").wait_for()
    page.goto("/sources/orders-in")
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete it").click()
    page.get_by_text("Deleted the source orders-in.").wait_for()


def test_who_only_looks_is_offered_nothing_that_changes(
    site: Site, visitor: Callable[[Site], Visitor], ground: Ground, tmp_path: Path
) -> None:
    furnish(site, ground)
    sink = {"type": "directory", "path": str(tmp_path / "orders")}
    wanted = {"name": "orders-in", "connection": "acme", "sink": sink}
    site.do(lambda room: room.sources.add(wanted))
    site.person("vic", "viewer")
    came = visitor(site)
    came.sign_in("vic")
    page = came.go("/sources/orders-in")
    offered = page.locator("main").get_by_role("button").or_(page.locator("main a.button"))
    assert offered.all_inner_texts() == ["Ledger"]
    for path in ("/new/source", "/sources/orders-in/edit", "/sources/orders-in/again"):
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 403
