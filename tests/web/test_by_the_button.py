"""What the buttons of the pages promise is done in the room, and their page says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from postroom.mail import Draft
from postroom.secret import Secret
from tests.web.mailroom import furnish, letter

if TYPE_CHECKING:
    from pathlib import Path

    from postroom.app import Room
    from tests.ground import Ground
    from tests.web.site import Site
    from tests.web.visitor import Visitor

pytestmark = pytest.mark.slow


def test_a_credential_is_changed_copied_and_an_old_version_is_brought_back_and_destroyed(
    admin: Visitor, site: Site
) -> None:
    async def fill(room: Room) -> None:
        details = {"user_name": "ann", "password": Secret("the first of them")}
        await room.credentials.create("login", "password", details=details)
        await room.credentials.set("login", {"password": Secret("the second of them")})
        await room.credentials.create("pair", "certificate", details={})

    site.do(fill)
    page = admin.go("/credentials/login/about")
    page.get_by_label("Description").fill("Of the orders team")
    page.get_by_label("Ends on").fill("2030-01-31")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Of the orders team").wait_for()
    page.get_by_text("2030-01-31").first.wait_for()

    versions = page.get_by_role("region", name="Versions")
    versions.get_by_role("link", name="Bring back").click()
    page.get_by_role("button", name="Bring it back").click()
    page.get_by_text("Version 3 holds what version 1 held.").wait_for()
    versions.get_by_role("row").filter(has_text="kept").get_by_role("link", name="Destroy").click()
    page.get_by_role("button", name="Destroy it").click()
    page.get_by_text("Version 2 is destroyed.").wait_for()
    shown = {
        one["version"]: one["state"] for one in site.do(lambda room: room.versions.list("login"))
    }
    assert shown == {3: "current", 2: "destroyed", 1: "kept"}

    page.get_by_label("Name of the copy").fill("login-2")
    page.get_by_role("button", name="Copy").click()
    page.get_by_text("no secret was carried over").wait_for()
    page.goto("/credentials/pair")
    page.get_by_role("button", name="Generate a key pair").click()
    page.get_by_text("BEGIN CERTIFICATE").wait_for()
    page.goto("/credentials/pair/delete")
    page.get_by_role("button", name="Delete it").click()
    page.get_by_text("pair is deleted, and its secrets are destroyed.").wait_for()
    names = [one["name"] for one in site.do(lambda room: room.credentials.list())]
    assert names == ["login", "login-2"]


def test_somebody_is_granted_signed_out_and_invited_anew(admin: Visitor, site: Site) -> None:
    site.person("grace", "operator")

    async def fill(room: Room) -> None:
        await room.credentials.create(
            "payroll", "secret", details={"value": Secret("a hidden one")}
        )
        await room.grants.restrict("payroll")

    site.do(fill)
    page = admin.go("/users/grace")
    page.get_by_label("Credential").select_option("payroll")
    page.get_by_role("button", name="Grant").click()
    page.get_by_text("grace may use payroll.").wait_for()
    page.get_by_role("button", name="Take payroll back").click()
    page.get_by_text("grace has no grant of payroll any more.").wait_for()
    assert site.do(lambda room: room.grants.list()) == []
    page.get_by_role("button", name="Invite anew").click()
    page.get_by_text("It is shown this once").wait_for()
    page.goto("/users/root")
    page.get_by_role("button", name="Sign them out everywhere").click()
    page.wait_for_url("**/sign-in**")  # it was oneself


def test_what_waits_is_tried_again_and_many_are_decided_about_at_once(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    furnish(site, ground)
    nobody = {"protocol": "smtp", "host": "127.0.0.1", "port": "1", "security": "none"}

    async def fill(room: Room) -> None:
        await room.connections.add({"name": "lost", "outgoing": nobody})
        await room.services.add({"name": "lost-out", "connection": "lost"})
        await room.services.add({"name": "orders-out", "connection": "acme"})
        told = {"from": "a@ground.test", "subject": "Order 17", "text": "Hello.", "wait": "5s"}
        await room.commands.run("send-email", {"via": "lost-out", "to": "b@ground.test", **told})
        for number in range(2):
            draft = Draft(from_=None, to=["b@ground.test"], subject=f"Held {number}", text="Hello.")
            await room.outbox.hold(await room.email.store("orders-out", draft))
        told.pop("from")
        await room.commands.run(
            "send-email", {"via": "orders-out", "to": "unknown@ground.test", **told}
        )

    site.do(fill)
    page = admin.go("/outbox?state=deferred")
    page.get_by_role("link", name="Order 17").click()
    page.get_by_text("It could not be handed over yet.").wait_for()
    page.get_by_role("button", name="Try again now").click()
    page.get_by_text("It is tried again.", exact=True).wait_for()
    assert _states(site)["lost-out"] == ["queued"]

    page.goto("/outbox?state=held")
    page.get_by_role("button", name="Release all that are held").click()
    page.get_by_text("Let go: 2.").wait_for()
    assert _states(site)["orders-out"] == ["failed", "queued", "queued"]
    site.do(_hold_all)
    page.goto("/outbox?state=held")
    page.get_by_role("button", name="Cancel all that are held").click()
    page.get_by_text("Cancelled: 3.").wait_for()
    page.goto("/outbox?unsettled=yes")
    page.get_by_role("button", name="Say that all of them are dealt with").click()
    page.get_by_text("Settled: 1.").wait_for()
    assert site.do(lambda room: room.outbox.list(unsettled=True)) == []


async def _hold_all(room: Room) -> None:
    for item in await room.outbox.list(states=["queued"]):
        await room.outbox.hold(item.id)


def _states(site: Site) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item in site.do(lambda room: room.outbox.list()):
        found.setdefault(item.service, []).append(item.state)
    return {name: sorted(states) for name, states in found.items()}


def test_a_source_processes_again_and_what_was_held_goes_on(
    admin: Visitor, site: Site, ground: Ground, tmp_path: Path
) -> None:
    user = furnish(site, ground)
    ground.dovecot.fill(user, [letter("Order 17"), letter("Order 18")])
    sink = {"type": "directory", "path": str(tmp_path)}
    source: dict[str, Any] = {
        "name": "orders-in",
        "connection": "acme",
        "clearance": True,
        "sink": sink,
    }

    async def fill(room: Room) -> None:
        await room.sources.add(source)
        await room.collecting.run("orders-in")
        await room.services.add({"name": "orders-out", "connection": "acme"})
        await room.services.hold("orders-out")
        await room.jobs.add({"name": "tidy", "steps": [{"list-email": {"via": "acme"}}]})
        await room.jobs.hold("tidy")

    site.do(fill)
    page = admin.go("/sources/orders-in")
    page.get_by_role("button", name="Release all that are held").click()
    page.get_by_text("Released: 2.").wait_for()
    site.do(lambda room: room.collecting.run("orders-in"))
    assert site.do(lambda room: room.ledger.counts("orders-in"))["done"] == 2
    page.get_by_role("link", name="Process again…").click()
    page.get_by_role("checkbox", name="done").check()
    page.get_by_role("button", name="Process them again").click()
    page.get_by_text("To be processed again: 2.").wait_for()
    page.get_by_text("Make another one like it").click()
    page.get_by_label("Name of the new one").fill("orders-too")
    page.get_by_role("button", name="Copy").click()
    page.get_by_text("Made orders-too with the same settings.").wait_for()

    page.goto("/services/orders-out")
    page.get_by_role("button", name="Release").click()
    page.get_by_text("It sends again.").wait_for()
    page.goto("/jobs/tidy")
    page.get_by_role("button", name="Release").click()
    page.get_by_text("Its runs begin again.").wait_for()
    page.goto("/jobs/tidy/delete")
    page.get_by_role("button", name="Delete it").click()
    page.get_by_text("Deleted the job tidy.").wait_for()
    assert site.do(lambda room: room.jobs.list()) == []
