"""Messages at Microsoft in the browser: of a connection, and of an app's credential; files are saved."""

from __future__ import annotations

from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest

from tests.journeys.oauth import CA

if TYPE_CHECKING:
    from postroom.app import Room
    from tests.ground import Ground, User
    from tests.web.site import Site
    from tests.web.visitor import Visitor

pytestmark = pytest.mark.slow
SCOPE = "https://graph.microsoft.com/.default"
PAPER = b"%PDF-1.4 of no page\n" * 40


def with_paper(to: str) -> bytes:
    """A message with a file."""
    one = EmailMessage()
    one["From"], one["To"], one["Subject"] = "Ada <ada@partner.example>", to, "Invoice 2026-118"
    one["Message-ID"] = "<paper@partner.example>"
    one.set_content("Please find it attached.\n")
    one.add_attachment(PAPER, maintype="application", subtype="pdf", filename="invoice.pdf")
    return one.as_bytes().replace(b"\n", b"\r\n")


async def tenant(room: Room, ground: Ground, user: User) -> None:
    """The record ``app`` of an application that may open the mailbox, and ``acme`` over it."""
    client = ground.oauth.client(mailbox=user.address)
    await room.credentials.create(
        CA, "trusted_certificate", details={"certificate": ground.pki.ca.read_text()}
    )
    details = {
        "authority": ground.oauth.issuer, "client_id": client.id, "graph_url": ground.oauth_graph.url,
        "client_secrets": {"one": {"value": client.secret}}, "mailbox": user.address,
    }  # fmt: skip
    await room.credentials.create("app", "msgraph", details=details)
    auth = {"type": "oauth_client_credentials", "credential": "app", "scopes": [SCOPE]}
    await room.connections.add({"name": "acme", "type": "microsoft365", "trust": CA, "auth": auth})


@pytest.mark.usefixtures("system_trusts")
@pytest.mark.parametrize("label", ["acme", "app (app at Microsoft)"])
def test_a_message_is_found_read_and_its_file_saved(
    admin: Visitor, site: Site, ground: Ground, label: str
) -> None:
    ground.oauth_graph.mend()
    user = ground.user()
    site.do(lambda room: tenant(room, ground, user))
    ground.dovecot.fill(user, [with_paper(user.address)])
    page = admin.go("/messages")
    page.get_by_label("Mailbox").select_option(label=label)
    if label != "acme":
        page.get_by_label("Whose mail").fill(user.address)
    page.get_by_role("button", name="Look").click()
    page.get_by_role("navigation", name="Folders").get_by_role("link").first.wait_for(
        timeout=30_000
    )
    page.locator("ol.letters").get_by_role("link").filter(has_text="Invoice 2026-118").click()
    frame = page.frame_locator("iframe").first
    frame.get_by_text("Please find it attached.").wait_for(timeout=30_000)
    assert admin.serious() == []
    with page.expect_download() as saved:
        page.get_by_role("link", name="invoice.pdf").click()
    assert saved.value.path().read_bytes() == PAPER
    page.get_by_text("Mark, move or delete it").click()
    page.get_by_role("button", name="Flag", exact=True).click()
    page.get_by_text("It is flagged.").wait_for()
    page.locator("ol.letters").get_by_text("flagged").wait_for(timeout=30_000)
