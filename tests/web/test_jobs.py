"""Jobs in the browser: made by a form and YAML, mistakes at their line, run with parameters, log, end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.web.mailroom import HOSTILE, furnish, letter

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.ground import Ground
    from tests.web.site import Site
    from tests.web.visitor import Visitor

STEPS = """- list-email:
    via: acme
    search: unseen
  name: found
- move-email:
    via: acme
    ids: ${step:found.ids}
    to: ${param:folder}
"""
PARAMETERS = "folder: {type: text, description: Where to, default: Archive}\n"


def make(page: Page, steps: str = STEPS, parameters: str = PARAMETERS) -> None:
    page.goto("/new/job")
    page.get_by_label("Name").first.fill("tidy")
    page.get_by_label("Steps").fill(steps)
    page.get_by_label("Parameters").fill(parameters)
    page.get_by_role("button", name="Make it").click()


def test_a_job_is_made_planned_and_run_and_its_log_is_shown(
    working: Site, admin_at_work: Visitor, ground: Ground
) -> None:
    user, came = furnish(working, ground), admin_at_work
    ground.dovecot.fill(user, [letter("Order 17"), letter(HOSTILE)])
    page = came.go("/jobs")
    page.get_by_role("heading", name="No job yet").wait_for()
    make(page)
    page.wait_for_url("**/jobs/tidy")
    assert came.serious() == []
    page.get_by_role("button", name="Only say what it would do").click()
    page.get_by_text("What a run would do; nothing was done").wait_for()
    page.get_by_label("folder").fill("Archive")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url("**/runs/*")
    page.get_by_text("All of it was done").wait_for(timeout=30_000)  # nobody loads the page anew
    page.locator("ol.log li").first.wait_for()
    assert came.serious() == []
    found = working.do(
        lambda room: room.commands.run("list-email", {"via": "acme", "folder": "Archive"})
    )
    assert found["count"] == 2
    assert page.evaluate("window.hit") is None
    page.goto("/jobs/tidy")
    page.get_by_role("link", name="All of them").click()
    expect(page.get_by_role("row")).to_have_count(2)


def test_a_mistake_in_the_steps_is_shown_with_its_line(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    furnish(site, ground)
    page = admin.page
    make(page, STEPS.replace("to: $", "too: $"))
    page.get_by_role("alert").get_by_text("there is no field 'too'").wait_for()
    page.get_by_role("alert").get_by_text("Did you mean to?").wait_for()
    page.get_by_text("Line 5:", exact=True).wait_for()
    assert page.get_by_label("Steps").input_value().rstrip("\n") == STEPS.replace(
        "to: $", "too: $"
    ).rstrip("\n")
    make(page, STEPS.replace("search: unseen", "search: [unseen"))
    page.get_by_text("Line 3:", exact=True).wait_for()
    page.get_by_role("alert").get_by_text("not closed").first.wait_for()
    make(page, "- list-email: {via: nope}\n- list-email: {via: acme}\n")
    page.get_by_text("Line 1:", exact=True).wait_for()
    page.get_by_role("alert").get_by_text("called 'nope'").wait_for()
    make(page, STEPS, "folder: {type: colour}\n")
    page.get_by_text("Line 1:", exact=True).wait_for()
    assert site.do(lambda room: room.jobs.list()) == []
    assert admin.serious() == []


def test_a_job_is_changed_by_its_form_and_what_is_not_touched_stays(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    furnish(site, ground)
    page = admin.page
    make(page)
    page.wait_for_url("**/jobs/tidy")
    before = site.do(lambda room: room.jobs.show("tidy"))
    page.get_by_role("link", name="Edit").click()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    assert site.do(lambda room: room.jobs.show("tidy")) == before
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("It begins", exact=True).select_option("every")
    page.get_by_label("Every").fill("15m")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    saved = site.do(lambda room: room.jobs.show("tidy"))
    assert saved["schedule"]["every"] == "15m"
    assert saved["steps"] == before["steps"]
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("It begins", exact=True).select_option("")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    assert site.do(lambda room: room.jobs.show("tidy")) == before


def test_a_run_that_waits_is_ended(admin: Visitor, site: Site, ground: Ground) -> None:
    furnish(site, ground)
    make(admin.page)
    page = admin.page
    page.wait_for_url("**/jobs/tidy")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url("**/runs/*")
    page.get_by_role("button", name="End it").click()
    page.get_by_text("It was cancelled.").wait_for()
    page.goto("/jobs/tidy")
    page.get_by_role("button", name="Hold").click()
    page.get_by_text("It is held").first.wait_for()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("alert").wait_for()


def test_the_list_of_runs_changes_by_itself(admin: Visitor, site: Site) -> None:
    site.do(lambda room: room.jobs.add({"name": "tidy", "command": {"words": ["/bin/true"]}}))
    page = admin.go("/runs?state=queued")
    page.get_by_role("heading", name="No run").wait_for()
    site.do(lambda room: room.runs.begin("tidy"))
    page.get_by_role("cell", name="queued").wait_for()


def test_only_an_administrator_saves_what_runs_code(
    admin: Visitor, site: Site, visitor: Callable[[Site], Visitor]
) -> None:
    """An editor has no field for code, and a form that somebody made up is refused as well."""
    page = admin.go("/new/job")
    page.get_by_label("Name").first.fill("count")
    page.get_by_label("With", exact=True).select_option("command")
    page.get_by_text("Python, or a program").click()
    page.get_by_label("Program and its arguments").fill(f"{sys.executable}\n-c\nprint(1)")
    page.get_by_role("button", name="Make it").click()
    page.wait_for_url("**/jobs/count")
    before = site.do(lambda room: room.jobs.show("count"))
    site.person("ed", "editor")
    came = visitor(site)
    came.sign_in("ed")
    theirs = came.go("/jobs/count")
    theirs.get_by_text("only an administrator may change it").wait_for()
    assert theirs.get_by_role("link", name="Edit").count() == 0
    theirs.goto("/new/job")
    assert theirs.get_by_text("Python, or a program").count() == 0
    token = theirs.locator('main form input[name="csrf"]').first.input_value()
    made_up: dict[str, str | float | bool] = {
        "csrf": token,
        "name": "evil",
        "does": "command",
        "command.words": "/bin/id",
    }
    for path in ("/new/job", "/jobs/count/edit"):
        headers = {"Origin": site.url}
        theirs.context.request.post(site.url + path, form=made_up, headers=headers)
    assert [one["name"] for one in site.do(lambda room: room.jobs.list())] == ["count"]
    assert site.do(lambda room: room.jobs.show("count"))["command"] == before["command"]
