"""Servers that say markup where somebody connects an account to them: it is shown, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.ground.scripted import Answer, ScriptedServer, Send
from tests.web.mailroom import HOSTILE
from tests.web.test_connecting import begun

if TYPE_CHECKING:
    from postroom.app import Room
    from tests.web.site import Site
    from tests.web.visitor import Visitor

_EVIL = HOSTILE.encode()
IMAP = [
    Send(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] " + _EVIL + b"\r\n"),
    Answer({rb"(?P<tag>\S+) .*": b"{tag} NO [AUTHENTICATIONFAILED] " + _EVIL + b"\r\n"}),
]
SMTP = [
    Send(b"220 " + _EVIL + b"\r\n"),
    Answer(
        {
            rb"EHLO .*": b"250-" + _EVIL + b"\r\n250 AUTH PLAIN LOGIN\r\n",
            rb".*": b"535 5.7.8 " + _EVIL + b"\r\n",
        }
    ),
]


def test_what_servers_say_to_whoever_connects_an_account_to_them_is_text(
    admin: Visitor, site: Site
) -> None:
    """T47: greeting, capabilities and refusal hold markup, on the page of *Connect an account*."""

    async def begin(room: Room) -> tuple[ScriptedServer, ScriptedServer]:
        return await ScriptedServer(IMAP).__aenter__(), await ScriptedServer(SMTP).__aenter__()

    async def end(room: Room) -> None:
        for one in servers:
            await one.__aexit__(None, None, None)

    servers = site.do(begin)
    page = begun(admin, "ann@example.com", "User name and password")
    page.locator("#f-password").fill("correct horse battery")
    for group, server in zip(("Incoming mail", "Outgoing mail"), servers, strict=True):
        fields = page.get_by_role("group", name=group)
        fields.get_by_label("Host").fill("127.0.0.1")
        fields.get_by_label("Port").fill(str(server.port))
        fields.get_by_label("Security").select_option("none")
    page.get_by_role("button", name="Test it").click()
    page.get_by_text("They said").nth(1).wait_for(timeout=30_000)  # both have refused
    assert page.get_by_text(HOSTILE).count() >= 4
    assert page.evaluate("window.hit") is None
    assert page.locator("main img").count() == 0
    site.do(end)
