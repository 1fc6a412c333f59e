"""Sign-ins in the browser: of people at their provider, and for connections by code, link and callback."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from postroom.secret import Secret
from postroom.settings import Oidc
from tests.journeys.oauth import connect, register
from tests.web.site import Site

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

    from postroom.app import Room
    from postroom.settings import Settings
    from tests.ground import Ground
    from tests.ground.oauth import Client
    from tests.web.visitor import Visitor

pytestmark = pytest.mark.slow
Come = Callable[..., "Visitor"]


def test_somebody_signs_in_at_their_provider_without_any_script(
    settings: Settings, visitor: Come, ground: Ground
) -> None:
    with Site(settings._replace(oidc=Oidc(credential="provider"))) as site:
        back = f"{site.url}/sign-in/provider"
        client = ground.oauth.client(redirect_uris=[back])
        site.person("ann", "viewer")
        site.do(lambda room: provide(room, ground, client))
        came = visitor(site, java_script_enabled=False)
        page = came.go("/sign-in")
        page.get_by_role("button", name="Sign in at your organisation").click()
        url = page.get_by_role("link", name="Go on").get_attribute("href")
        assert url is not None
        page.goto(ground.oauth.visit(url, "ann@ground.test"))
        page.get_by_role("heading", name="Overview").wait_for()
        came.context.clear_cookies()
        page.goto(ground.oauth.visit(url, "ann@ground.test"))
        page.get_by_text("You are not signed in").wait_for()
        came.leave()


async def provide(room: Room, ground: Ground, client: Client) -> None:
    """The provider, and whose account ann's is."""
    await room.credentials.create(
        "ca", "trusted_certificate", details={"certificate": ground.pki.ca.read_text()}
    )
    details: dict[str, Any] = {
        "authority": ground.oauth.issuer, "client_id": client.id, "trust": "ca",
        "client_secrets": {"one": {"value": Secret(client.secret)}},
    }  # fmt: skip
    await room.credentials.create("provider", "oauth_client", details=details)
    await room.users.set("ann", issuer=ground.oauth.issuer, subject="ann@ground.test")


def test_who_has_no_password_proves_at_their_provider_before_what_cannot_be_undone(
    settings: Settings, visitor: Come, ground: Ground
) -> None:
    """T44: a fresh sign-in there, of the same account, and back to the page where it was asked."""
    with Site(settings._replace(oidc=Oidc(credential="provider"))) as site:
        client = ground.oauth.client(redirect_uris=[f"{site.url}/sign-in/provider"])
        site.person("root", "admin")
        site.do(lambda room: room.users.add("ann", "admin"))
        site.do(lambda room: provide(room, ground, client))
        site.do(lambda room: room.credentials.create("old", "secret"))
        came = visitor(site)
        asked: list[str] = []
        account = ["ann@ground.test"]

        def at_provider(route: Route) -> None:
            """Whoever sits at the browser signs in there, and is sent back."""
            asked.append(route.request.url)
            back = ground.oauth.visit(route.request.url, account[0])
            route.fulfill(status=302, headers={"Location": back})

        came.page.route(f"{ground.oauth.url}/**", at_provider)
        page = came.go("/credentials/old")
        page.get_by_role("button", name="Sign in at your organisation").click()
        page.get_by_role("heading", name="old").wait_for()  # back where they wanted to be
        site.do(age)
        page.get_by_role("link", name="Delete").click()
        page.get_by_role("heading", name="Is it you?").wait_for()
        assert page.get_by_label("Password").count() == 0
        assert came.serious() == []
        account[0] = "eve@ground.test"
        page.get_by_role("button", name="Sign in anew at your organisation").click()
        page.get_by_text("That was not it.").wait_for()
        page.goto("/credentials/old/delete")
        page.get_by_role("heading", name="Is it you?").wait_for()
        account[0] = "ann@ground.test"
        page.get_by_role("button", name="Sign in anew at your organisation").click()
        page.get_by_role("heading", name="Delete old?").wait_for()
        assert "max_age=0" in asked[-1]
        assert "max_age" not in asked[0]
        page.get_by_role("button", name="Delete old").click()
        page.get_by_text("old is deleted").wait_for()
        proofs = site.do(lambda room: room.audit.list(noun="user", action="prove"))
        assert [one["detail"]["by"] for one in proofs] == ["openid"]
        came.leave()


async def age(room: Room) -> None:
    """Every proof of who somebody is was a day ago."""
    await room.desk.write(
        lambda tx: tx.execute("UPDATE sessions SET proved_at = proved_at - 86400")
    )


def test_without_a_provider_none_is_offered(site: Site, visitor: Come) -> None:
    page = visitor(site).go("/sign-in")
    assert page.get_by_text("organisation").count() == 0


def begun(come: Visitor, ground: Ground, kind: str, how: str, **client: Any) -> tuple[Page, str]:
    """A connection that signs in like this, and the page of the sign-in; gives whose mailbox it is."""
    user = ground.user()
    registered = ground.oauth.client(**client)
    site = come.site
    site.do(lambda room: register(room, ground, registered))
    site.do(lambda room: connect(room, ground, user, kind))
    page = come.go("/connections/acme")
    page.get_by_text("Nobody has signed in yet").wait_for()
    page.get_by_role("link", name="Sign in", exact=True).click()
    page.get_by_role("radio", name=how).check()
    page.get_by_role("button", name="Begin").click()
    return page, user.address


def test_a_code_is_shown_with_its_picture_and_the_page_hears_of_the_sign_in(
    admin: Visitor, ground: Ground
) -> None:
    page, address = begun(admin, ground, "oauth_device_flow", "With a code on another device")
    code = page.locator(".code").inner_text()
    page.get_by_role("img", name="QR code").wait_for()
    assert ":" in page.locator("[data-until]").inner_text()  # it counts down
    assert admin.serious() == []
    ground.oauth.approve(code, address)
    page.get_by_text(f"Signed in as {address}").wait_for(timeout=30_000)
    page.get_by_role("button", name="Test it now").click()
    page.get_by_text("Everything works").wait_for(timeout=30_000)


def test_an_address_that_was_pasted_ends_a_sign_in(admin: Visitor, ground: Ground) -> None:
    page, address = begun(
        admin,
        ground,
        "oauth_authorization_code",
        "By an address",
        redirect_uris=["http://localhost"],
    )
    url = page.get_by_role("link", name="Open the sign-in page").get_attribute("href")
    assert url is not None
    page.get_by_label("Where the browser ended").fill(ground.oauth.visit(url, address))
    page.get_by_role("button", name="Go on").click()
    page.get_by_text(f"Signed in as {address}").wait_for(timeout=30_000)


def test_an_answer_with_another_state_is_nobodys(admin: Visitor) -> None:
    """T85: the callback takes the state of one's own open sign-in, and no other."""
    for query in ("code=x&state=abc", "code=x", ""):
        response = admin.page.goto(f"/callback?{query}")
        assert response is not None
        assert response.status == 404
