"""Sign-ins in the browser: of people at their provider, and for connections by code, link and callback."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

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
        page.get_by_role("heading", name="Delete the credential old?").wait_for()
        assert len(asked) > 1
        assert all("max_age=0" in one for one in asked)  # a session there is no proof of anybody
        page.get_by_role("button", name="Delete it").click()
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
    expect(page.locator("[data-until]")).to_contain_text(":")  # it counts down
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


def to_the_provider(come: Visitor, ground: Ground, back: str, **auth: Any) -> tuple[Page, str]:
    """One click at a connection, and the browser is at the provider; gives whose mailbox it is."""
    user = ground.user()
    app = ground.oauth.client(redirect_uris=[back])
    come.site.do(lambda room: register(room, ground, app))
    come.site.do(lambda room: connect(room, ground, user, "oauth_authorization_code", **auth))
    page = come.go("/connections/acme/sign-in")
    assert page.get_by_role("radio", name="In this browser").is_checked()
    page.get_by_role("button", name="Begin").click()
    page.locator("input[name=user]").wait_for()
    return page, user.address


def agree(page: Page, user: str) -> None:
    """Sign in there as somebody; ``nobody`` says no."""
    page.locator("input[name=user]").fill(user)
    page.get_by_role("button", name="Go").click()


@pytest.mark.parametrize("by", ["a port of this machine", "the page itself"])
def test_in_one_click_to_the_provider_and_back_to_the_live_result(
    site: Site, visitor: Come, ground: Ground, by: str
) -> None:
    site.person("root", "admin")
    come = visitor(site, ignore_https_errors=True)
    come.sign_in("root")
    back = "http://localhost" if by.startswith("a port") else f"{site.url}/callback"
    auth = {} if by.startswith("a port") else {"redirect_uri": back}
    page, address = to_the_provider(come, ground, back, **auth)
    agree(page, address)
    page.get_by_text(f"Signed in as {address}").wait_for(timeout=30_000)
    assert page.url.startswith(f"{site.url}/works/")
    assert come.serious() == []
    page.get_by_role("link", name="Back to acme").click()
    page.get_by_role("heading", name="Signed in", exact=True).wait_for()


def test_a_no_a_stranger_and_a_code_that_is_over_are_told_and_nothing_is_stored(
    site: Site, visitor: Come, ground: Ground
) -> None:
    site.person("root", "admin")
    come = visitor(site, ignore_https_errors=True)
    come.sign_in("root")
    back = f"{site.url}/callback"
    page, address = to_the_provider(come, ground, back, redirect_uri=back)
    agree(page, "nobody")
    page.get_by_text("The person declined to consent").wait_for(timeout=30_000)
    page.get_by_role("link", name="Try again").click()
    page.get_by_role("button", name="Begin").click()
    agree(page, ground.user().address)
    page.get_by_role("heading", name="Nobody is signed in").wait_for(timeout=30_000)
    page.context.clear_cookies(domain="localhost")  # the provider's own session
    ground.oauth.fault(
        "token:authorization_code", aadsts=70008, error="invalid_grant",
        text="The provided authorization code has expired.",
    )  # fmt: skip
    page.get_by_role("link", name="Try again").click()
    page.get_by_role("button", name="Begin").click()
    agree(page, address)
    page.get_by_text("code has expired").wait_for(timeout=30_000)
    assert [
        each for each in site.do(lambda room: room.signins.list()) if each["signed_in_at"]
    ] == []


def test_an_answer_counts_for_the_session_that_began_and_a_guest_is_told_to_hand_it_back(
    site: Site, visitor: Come, ground: Ground
) -> None:
    """T85: a state of another window of the same person is nobody's."""
    site.person("root", "admin")
    come = visitor(site, ignore_https_errors=True)
    come.sign_in("root")
    back = f"{site.url}/callback"
    user, app = ground.user(), ground.oauth.client(redirect_uris=[back])
    site.do(lambda room: register(room, ground, app))
    site.do(lambda room: connect(room, ground, user, "oauth_authorization_code", redirect_uri=back))
    page = come.go("/connections/acme/sign-in")
    with page.expect_request(lambda asked: "/authorize" in asked.url) as asked:
        page.get_by_role("button", name="Begin").click()
    answer = ground.oauth.visit(asked.value.url, user.address)
    other = visitor(site)
    other.go(answer)
    other.page.get_by_role("heading", name="One step is left").wait_for()
    assert other.serious() == []
    assert "code=" not in other.page.locator("body").inner_text()
    other.sign_in("root")
    refused = other.page.goto(answer)
    assert refused is not None
    assert refused.status == 404
    page.goto(answer)
    page.get_by_text(f"Signed in as {user.address}").wait_for(timeout=30_000)
