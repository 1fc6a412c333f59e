"""Sending in the browser: compose, what the server says of each recipient, and what waits in the outbox."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from postroom.mail import Draft
from tests.ground import maildir
from tests.ground.scripted import Answer, ScriptedServer, Send
from tests.web.mailroom import HOSTILE, furnish

if TYPE_CHECKING:
    from pathlib import Path

    from postroom.app import Room
    from tests.ground import Ground, User
    from tests.web.site import Site
    from tests.web.visitor import Visitor


def service(site: Site, **fields: object) -> None:
    site.do(lambda room: room.services.add({"name": "orders-out", "connection": "acme", **fields}))


def arrived(user: User, text: bytes) -> bytes:
    """The message with that text, once it is there."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for one in maildir.read(user.maildir):
            if text in one:
                return one
        time.sleep(0.05)
    raise AssertionError(f"{text!r} has not arrived")


def test_a_service_is_made_and_a_message_with_a_file_is_sent(
    admin: Visitor, site: Site, ground: Ground, tmp_path: Path
) -> None:
    """The whole way by clicking; what is attached was uploaded, and is no file of the server (T74)."""
    furnish(site, ground)
    other = ground.user()
    page = admin.go("/services")
    page.get_by_role("heading", name="No service yet").wait_for()
    page.get_by_role("link", name="New service").first.click()
    page.get_by_label("Name").first.fill("orders-out")
    page.get_by_label("Connection").select_option("acme")
    page.get_by_label("Throttle").fill("30 per minute")
    assert admin.serious() == []
    page.get_by_role("button", name="Make it").click()
    page.get_by_role("link", name="Send a test").click()
    throttle = site.do(lambda room: room.services.show("orders-out"))["throttle"]
    assert throttle == {"max": 30, "per": "minute"}
    page.get_by_label("To needed").fill(other.address)
    page.get_by_label("Subject").fill(HOSTILE)
    page.get_by_label("Text").fill("Zehn Kartons, bitte: \u00e4\u00f6\u00fc.\n\nAda")
    given = tmp_path / "r\u00e9sum\u00e9.csv"
    given.write_text("a,b\n")
    page.get_by_label("Attachments").set_input_files(given)
    assert admin.serious() == []
    page.get_by_role("button", name="Send now").click()
    page.get_by_role("heading", name="Sent").wait_for(timeout=40_000)
    page.get_by_text("queued as").wait_for()
    raw = arrived(other, b"multipart/mixed")
    assert b"csv" in raw
    page.get_by_role("link", name="Show it in the outbox").click()
    assert page.get_by_role("heading", level=1).inner_text() == HOSTILE
    page.get_by_role("link", name="Read it").click()
    page.frame_locator("iframe").first.get_by_text("Zehn Kartons").wait_for()
    page.get_by_text("sum").first.wait_for()
    assert page.evaluate("window.hit") is None


def test_a_refused_recipient_is_shown_with_what_the_server_said(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    furnish(site, ground)
    service(site)
    page = admin.go("/compose?test=yes&via=orders-out")
    page.get_by_label("To needed").fill("unknown@ground.test")
    page.get_by_role("button", name="Send now").click()
    page.get_by_role("heading", name="It was refused").wait_for(timeout=40_000)
    page.get_by_text("550").first.wait_for()
    page.goto("/outbox")
    page.get_by_role("link", name="needs a person").click()
    page.get_by_role("link", name="A test from Postroom").click()
    page.get_by_role("button", name="It is dealt with").click()
    page.get_by_text("nobody is asked about it any more").wait_for()
    page.get_by_text("said that it is dealt with").wait_for()


def test_what_a_server_says_is_text(admin: Visitor, site: Site) -> None:
    """T47: a server's banner and its replies hold markup; the page shows it as it was said."""
    hello = f"220 {HOSTILE}\r\n".encode()
    said = f"554 5.7.1 {HOSTILE}\r\n".encode()
    table = {
        b"EHLO .*": b"250 evil\r\n", b"MAIL .*": b"250 ok\r\n", b"RCPT .*": said, b"RSET": b"250 ok\r\n",
        b"QUIT": b"221 bye\r\n",
    }  # fmt: skip

    async def begin(room: Room) -> ScriptedServer:
        server = await ScriptedServer([Send(hello), Answer(table)]).__aenter__()
        side = {"protocol": "smtp", "host": "127.0.0.1", "port": str(server.port), "security": "none",
                "auth": {"type": "none"}}  # fmt: skip
        await room.connections.add({"name": "acme", "outgoing": side})
        return server

    server = site.do(begin)
    service(site, **{"from": "a@ground.test"})
    page = admin.go("/compose?test=yes&via=orders-out")
    page.get_by_label("To needed").fill("b@ground.test")
    page.get_by_role("button", name="Send now").click()
    page.get_by_role("heading", name="It was refused").wait_for(timeout=40_000)
    page.get_by_text(HOSTILE).first.wait_for()
    page.get_by_role("link", name="Show it in the outbox").click()
    page.get_by_role("cell", name=HOSTILE).wait_for()
    page.locator("ol.log").get_by_text(HOSTILE).wait_for()
    assert page.evaluate("window.hit") is None
    site.do(lambda room: server.__aexit__(None, None, None))


def test_what_waits_is_held_released_and_cancelled(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    furnish(site, ground)
    service(site)
    draft = Draft(from_=None, to=["a@ground.test"], subject="Wait", text="x")
    site.do(lambda room: room.email.store("orders-out", draft))
    page = admin.go("/outbox")
    page.get_by_text("orders-out: nobody sends it").wait_for()
    page.get_by_role("link", name="Wait").click()
    page.get_by_role("button", name="Hold", exact=True).click()
    page.get_by_text("It is held until somebody releases it.").wait_for()
    page.get_by_role("button", name="Release").click()
    page.get_by_text("It is let go.").wait_for()
    page.get_by_role("link", name="Cancel…").click()
    page.get_by_text("Nobody has it yet.").wait_for()
    assert site.do(lambda room: room.outbox.list())[0].state == "queued"
    page.get_by_role("button", name="Cancel it").click()
    page.get_by_text("It was taken out of the queue.").first.wait_for()
    (item,) = site.do(lambda room: room.outbox.list())
    assert item.state == "cancelled"


def test_a_service_is_held_and_cannot_be_deleted_unseen_while_mail_waits(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    furnish(site, ground)
    service(site)
    draft = Draft(from_=None, to=["a@ground.test"], subject="Wait", text="x")
    site.do(lambda room: room.email.store("orders-out", draft))
    page = admin.go("/services/orders-out")
    page.get_by_role("button", name="Hold").click()
    page.get_by_text("It is held").first.wait_for()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete it").click()
    page.get_by_role("alert").wait_for()
    page.get_by_label("Delete it although").check()
    page.get_by_role("button", name="Delete it").click()
    page.get_by_text("Deleted the service orders-out.").wait_for()


def test_a_message_without_a_recipient_is_refused_and_stays_as_it_was_typed(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    furnish(site, ground)
    service(site)
    page = admin.go("/compose?test=yes&via=orders-out")
    page.get_by_label("To needed").fill("not an address")
    page.get_by_label("Text").fill(HOSTILE)
    page.get_by_role("button", name="Send now").click()
    page.get_by_text("Nothing was sent.").wait_for()
    assert page.get_by_label("To needed").input_value() == "not an address"
    assert page.get_by_label("Text").input_value() == HOSTILE
    assert site.do(lambda room: room.outbox.list()) == []


def test_who_may_not_send_is_offered_nothing_of_it(
    site: Site, visitor: Callable[[Site], Visitor], ground: Ground
) -> None:
    furnish(site, ground)
    service(site)
    draft = Draft(from_=None, to=["a@ground.test"], subject="Wait", text="secret text")
    item = site.do(lambda room: room.email.store("orders-out", draft))
    site.person("vic", "viewer")
    came = visitor(site)
    came.sign_in("vic")
    page = came.go("/outbox")
    page.get_by_role("link", name="Wait").click()
    page.wait_for_load_state()
    assert page.locator("main").get_by_role("button").all_inner_texts() == []
    assert page.get_by_role("link", name="Read it").count() == 0
    for path in ("/compose", f"/outbox/{item}/message", f"/outbox/{item}/message/text"):
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 403
        assert "secret text" not in page.content()
