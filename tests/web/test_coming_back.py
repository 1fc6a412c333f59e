"""The way back from a provider over TLS: to the page itself, with its own certificate or behind a proxy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.web.front import Front
from tests.web.site import Site
from tests.web.test_connecting import at_the_provider, begun, made_and_arriving, own_app, trust
from tests.web.test_signing_in import agree, to_the_provider

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from postroom.settings import Settings
    from tests.ground import Ground
    from tests.web.visitor import Visitor

pytestmark = pytest.mark.slow
Come = Callable[..., "Visitor"]


def guarded(page: Page, name: str) -> None:
    """A cookie that no script reads, that goes over TLS alone and to this host alone, and comes along
    when another site sends the browser here.
    """
    kept = {one["name"]: one for one in page.context.cookies()}
    one = kept[f"__Host-{name}"]
    assert one["secure"]
    assert one["httpOnly"]
    assert one["sameSite"] == "Lax"
    assert one["path"] == "/"
    assert name not in kept


def test_over_tls_the_browser_comes_back_to_the_page_with_a_state_and_a_proof(
    settings: Settings, visitor: Come, ground: Ground
) -> None:
    """T85: room.localhost and localhost, where the provider is, are two sites to a browser."""
    with Site(settings, tls=ground.pki.server_context()) as site:
        site.person("root", "admin")
        come = visitor(site, ignore_https_errors=True)
        come.sign_in("root")
        guarded(come.page, "postroom")
        back = f"{site.url}/callback"
        assert back.startswith("https://room.localhost:")
        page, address = to_the_provider(come, ground, back, redirect_uri=back)
        asked: list[str] = []
        page.on("request", lambda one: asked.append(one.url))
        agree(page, address)
        page.get_by_text(f"Signed in as {address}").wait_for(timeout=30_000)
        answers = [one for one in asked if one.startswith(f"{back}?")]
        assert len(answers) == 1
        assert "code=" not in page.content()
        again = page.goto(answers[0])
        assert again is not None
        assert again.status == 404  # a state is good once
        page.get_by_text("No sign-in of yours waits for this answer").wait_for()
        assert "code=" not in page.url
        come.leave()


def test_the_code_of_another_sign_in_is_refused_for_want_of_its_proof(
    settings: Settings, visitor: Come, ground: Ground
) -> None:
    """T85: PKCE (RFC 7636): who brings the code of their own sign-in into that of another gets nothing."""
    with Site(settings, tls=ground.pki.server_context()) as site:
        site.person("root", "admin")
        come = visitor(site, ignore_https_errors=True)
        come.sign_in("root")
        back = f"{site.url}/callback"
        sent: list[str] = []
        come.page.on("request", lambda one: sent.append(one.url))
        page, address = to_the_provider(come, ground, back, redirect_uri=back)
        there = next(url for url in sent if "code_challenge=" in url)  # it leads on from there
        asked = parse_qs(urlsplit(there).query)
        assert asked["code_challenge_method"] == ["S256"]
        other = there.replace(asked["code_challenge"][0], "x" * 43)
        answer = ground.oauth.visit(other, address)  # the right state, account and app
        page.goto(answer)
        page.get_by_role("heading", name="Nobody is signed in").wait_for(timeout=30_000)
        assert site.do(lambda room: room.signins.list()) == []
        come.leave()


def test_behind_a_trusted_proxy_an_account_is_connected_by_its_own_callback(
    settings: Settings, visitor: Come, ground: Ground, tmp_path: Path
) -> None:
    """T53: its word is taken that the browser is elsewhere and speaks TLS; the room itself speaks none."""
    with (
        Front(ground.pki.server_context()) as front,
        Site(settings, works=True, front=front) as site,
    ):
        site.person("root", "admin")
        site.do(lambda room: trust(room, ground))
        come = visitor(site, ignore_https_errors=True)
        come.sign_in("root")
        guarded(come.page, "postroom")
        back = f"https://{front.name}/callback"
        user, app = ground.user(), ground.oauth.client(redirect_uris=[back])
        page = begun(come, user.address, "In a browser")
        assert page.get_by_label("Redirect URI").input_value() == back
        own_app(page, ground, app)
        page.get_by_role("button", name="Sign in", exact=True).click()
        at_the_provider(page, user.address)
        page.get_by_text("Everything works").wait_for(timeout=30_000)
        assert page.url.startswith(f"{site.url}/connect/")
        made_and_arriving(page, ground, site, user, tmp_path / "mail")
        held = site.do(lambda room: room.connections.show("orders"))
        assert held["incoming"]["auth"]["redirect_uri"] == back
        come.leave()
