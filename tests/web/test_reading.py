"""Reading a message in the browser: nothing of it runs, nothing is fetched, its files are only saved."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.web.mailroom import HOSTILE, furnish, hostile, letter

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.ground import Ground
    from tests.web.site import Site
    from tests.web.visitor import Visitor


@pytest.fixture
def outside() -> Iterator[tuple[str, list[str]]]:
    """Somebody else's web server: its address, and every path that anybody asked it for."""
    asked: list[str] = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_request(self, *_: object) -> None:
            asked.append(self.path)

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def opened(admin: Visitor, subject: str) -> Page:
    """The page of the message with that subject, found by clicking."""
    page = admin.go("/messages")
    page.locator("ol.letters").get_by_role("link").filter(has_text=subject).click()
    page.locator("iframe").first.wait_for()
    return page


def test_a_hostile_message_is_read_and_nothing_of_it_happens(
    admin: Visitor, site: Site, ground: Ground, outside: tuple[str, list[str]]
) -> None:
    """T47, T80, T81: no script runs, no request leaves, its subject and sender are text."""
    address, asked = outside
    user = furnish(site, ground)
    ground.dovecot.fill(user, [hostile(address)])
    requests: list[str] = []
    admin.page.on("request", lambda request: requests.append(request.url))
    page = opened(admin, HOSTILE)
    assert page.get_by_role("heading", level=1).inner_text() == HOSTILE
    frame = page.frame_locator("iframe").first
    frame.get_by_role("heading", name="Invoice 42").wait_for()
    frame.get_by_text(f"[{address.removeprefix('http://').partition(':')[0]}/pay]").wait_for()
    assert str(frame.get_by_alt_text("Dot").get_attribute("src")).startswith("data:image/gif;")
    page.get_by_text("pictures are not shown").or_(
        page.get_by_text("picture is not shown")
    ).wait_for()
    page.wait_for_timeout(500)
    assert asked == []
    assert [url for url in requests if not url.startswith((site.url, "data:"))] == []
    assert page.evaluate("window.hit") is None
    assert frame.locator("script, form, iframe, svg, video, base, meta[http-equiv]").count() == 0
    assert page.locator("iframe").first.get_attribute("sandbox") is not None
    assert admin.serious() == []


def test_the_frame_has_its_own_policy_and_files_are_saved(
    admin: Visitor, site: Site, ground: Ground, outside: tuple[str, list[str]]
) -> None:
    """T79, T82: the frame's answer is sandboxed; an HTML file comes as an attachment of a safe name."""
    user = furnish(site, ground)
    ground.dovecot.fill(user, [hostile(outside[0])])
    page = opened(admin, HOSTILE)
    source = page.locator("iframe").first.get_attribute("src")
    answer = admin.context.request.get(site.url + str(source))
    policy = answer.headers["content-security-policy"]
    assert "sandbox allow-popups allow-popups-to-escape-sandbox;" in policy
    assert "default-src 'none'" in policy
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    with page.expect_download() as download:
        page.get_by_role("link", name="html").last.click()
    name = download.value.suggested_filename
    assert name.endswith(".html")
    assert not set(name) & set("/\\<>:")
    path = str(page.get_by_role("link", name="html").last.get_attribute("href"))
    headers = admin.context.request.get(site.url + path).headers
    assert headers["content-disposition"].startswith("attachment; filename=")
    assert headers["content-type"] == "application/octet-stream"
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]


def test_the_original_of_a_message_is_text(admin: Visitor, site: Site, ground: Ground) -> None:
    """T47: the original shows markup as markup."""
    user = furnish(site, ground)
    ground.dovecot.fill(
        user, [letter("Order 17", text=f"{HOSTILE}</pre><script>window.hit=1</script>")]
    )
    page = opened(admin, "Order 17")
    expect(page.frame_locator("iframe").first.locator("body")).to_contain_text(HOSTILE)
    page.get_by_role("link", name="Original", exact=True).click()
    assert f"{HOSTILE}</pre>" in page.locator("pre").inner_text()
    assert page.evaluate("window.hit") is None


def test_a_search_finds_and_one_that_is_not_understood_says_so(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    user = furnish(site, ground)
    ground.dovecot.fill(user, [letter("Order 17"), letter("Weather", "Bob <bob@x.example>")])
    page = admin.go("/messages?via=acme")
    page.get_by_label("Search").fill("from:bob")
    page.get_by_role("button", name="Look").click()
    page.get_by_text("1 message that meet").or_(page.get_by_text("1 message")).first.wait_for()
    assert page.locator("ol.letters li").count() == 1
    page.get_by_label("Search").fill("since:yesterdayish")
    page.get_by_role("button", name="Look").click()
    page.get_by_role("alert").wait_for()
    page.get_by_text("The search was not understood.").wait_for()


def test_whoever_may_not_read_sees_no_message(
    site: Site, visitor: Callable[[Site], Visitor], ground: Ground
) -> None:
    """T48: neither a list, nor a message, nor what was sent, for somebody without the right to read."""
    furnish(site, ground)
    site.person("vic", "viewer")
    came = visitor(site)
    page = came.sign_in("vic")
    assert page.get_by_role("navigation").get_by_role("link", name="Messages").count() == 0
    for path in (
        "/messages?via=acme",
        "/messages/read?via=acme&folder=INBOX&id=1",
        "/messages/message/html?id=1&via=acme",
    ):
        answer = page.goto(site.url + path)
        assert answer is not None
        assert answer.status == 403


def test_a_message_is_flagged_moved_answered_and_deleted(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    user, other = furnish(site, ground), ground.user()
    site.do(lambda room: room.services.add({"name": "acme", "connection": "Acme"}))
    ground.dovecot.fill(user, [letter("Order 17", f"Ada <{other.address}>")])
    page = opened(admin, "Order 17")
    page.get_by_text("Mark, move or delete it").click()
    page.get_by_role("button", name="Mark as seen").click()
    page.get_by_text("It is marked as seen.").wait_for()
    page.locator("ol.letters a").click()
    page.get_by_role("link", name="Answer").click()
    page.get_by_role("definition").filter(has_text=other.address).first.wait_for()
    assert (
        page.get_by_label("Send through").input_value() == "service:acme"
    )  # not past its throttle
    page.get_by_role("button", name="Send the answer").click()
    page.get_by_text("write something first").wait_for()
    page.get_by_label("Text").fill("They are on their way.")
    page.get_by_role("button", name="Send the answer").click()
    page.get_by_role("heading", name="Sent").wait_for(timeout=40_000)
    page.get_by_role("rowheader", name=other.address).wait_for()
    (sent,) = site.do(lambda room: room.outbox.list())
    assert sent.service == "acme"
    opened(admin, "Order 17")
    page.get_by_text("Mark, move or delete it").click()
    page.get_by_label("Folder").fill("Archive")
    page.get_by_role("button", name="Move there").click()
    page.get_by_text("It was moved to Archive.").wait_for()
    page.get_by_text("Nothing is here").wait_for()
    page.get_by_role("navigation", name="Folders").get_by_role("link", name="Archive").click()
    page.locator("ol.letters a").click()
    page.get_by_text("Mark, move or delete it").click()
    page.get_by_role("button", name="Delete it…").click()
    page.get_by_role("button", name="Move it to Trash").click()
    page.get_by_text("It was moved to Trash.").wait_for()
    page.get_by_role("navigation", name="Folders").get_by_role("link", name="Trash").click()
    page.locator("ol.letters a").click()
    page.get_by_text("Mark, move or delete it").click()
    page.get_by_role("button", name="Delete it…").click()
    page.get_by_role("button", name="Delete it for good").click()
    page.get_by_text("It was deleted.").wait_for()


def test_what_was_sent_is_listed_by_its_recipients(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    user = furnish(site, ground)
    ours = f"To: Bob Jones <bob@partner.example>, eve@partner.example\r\nFrom: {user.address}\r\n"
    ground.dovecot.fill(user, [f"{ours}Subject: Order 17\r\n\r\nHello.\r\n".encode()], "Sent")
    page = admin.go("/messages?via=acme")
    folders = page.get_by_role("navigation", name="Folders")
    folders.get_by_role("link", name="Sent").click()
    row = page.locator("ol.letters li")
    row.get_by_text("Bob Jones, eve@partner.example").wait_for()
    assert row.get_by_text("To", exact=True).count() == 1
    assert row.get_by_text(user.address).count() == 0


def test_older_messages_are_a_step_away(admin: Visitor, site: Site, ground: Ground) -> None:
    user = furnish(site, ground)
    ground.dovecot.fill(user, [letter(f"Order {number:03}") for number in range(120)])
    page = admin.go("/messages?via=acme")
    for many in (50, 100):
        page.get_by_text(f"The newest {many} messages.").wait_for()
        assert page.locator("ol.letters li").count() == many
        page.get_by_role("link", name="Older ones too").click()
    page.get_by_text("120 messages.", exact=True).wait_for()
    page.get_by_text("Order 000").wait_for()
    assert page.get_by_role("link", name="Older ones too").count() == 0
