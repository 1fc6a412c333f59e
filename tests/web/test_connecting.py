"""Connecting an account by OAuth, in the browser: sign-in first, then everything is made at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from postroom.connections.presets import PRESETS, Wire
from tests.ground.handed import hand_out
from tests.ground.oauth import GRAPH, TENANT
from tests.web.site import Site
from tests.web.test_from_nothing import deliver, inbox

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from postroom.app import Room
    from postroom.settings import Settings
    from tests.ground import Ground, User
    from tests.ground.oauth import Client
    from tests.web.visitor import Visitor

pytestmark = pytest.mark.slow
Come = Callable[..., "Visitor"]
OUTLOOK = "https://outlook.office.com"
PERSON = f"offline_access {GRAPH}/Mail.ReadWrite {GRAPH}/Mail.Send"
SCOPES = f"offline_access {OUTLOOK}/IMAP.AccessAsUser.All {OUTLOOK}/SMTP.Send"


@pytest.fixture
def working_admin(working: Site, visitor: Come, ground: Ground) -> Visitor:
    """An administrator of a room that works, which knows the certificate of the ground."""
    working.person("root", "admin")
    working.do(lambda room: trust(room, ground))
    came = visitor(working, ignore_https_errors=True)
    came.sign_in("root")
    return came


async def trust(room: Room, ground: Ground) -> None:
    """Keep the certificate that the servers of the ground have theirs from."""
    details = {"certificate": ground.pki.ca.read_text()}
    await room.credentials.create("own-ca", "trusted_certificate", details=details)


def begun(come: Visitor, address: str, way: str, provider: str = "plain") -> Page:
    """The second step for an address, at a provider, with a way to sign in."""
    page = come.go("/connect")
    page.get_by_label("Email address").fill(address)
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("Provider").select_option(provider)
    page.get_by_role("button", name="Choose").click()
    page.get_by_role("link", name=way).click()
    page.get_by_role("heading", name=way, exact=True).wait_for()
    return page


def own_servers(page: Page, ground: Ground) -> None:
    """Type where the servers are that take tokens, and whose certificate they have."""
    incoming = page.get_by_role("group", name="Incoming mail")
    incoming.get_by_label("Host").fill("localhost")
    incoming.get_by_label("Port").fill(str(ground.oauth_dovecot.imaps))
    outgoing = page.get_by_role("group", name="Outgoing mail")
    outgoing.get_by_label("Host").fill("localhost")
    outgoing.get_by_label("Port").fill(str(ground.oauth_postfix.tokens_tls))
    page.get_by_label("Trusted certificate").select_option("own-ca")


def own_app(page: Page, ground: Ground, app: Client) -> None:
    """Type which app signs in where."""
    page.get_by_label("Authority").fill(ground.oauth.issuer)
    page.get_by_label("Client id").fill(app.id)
    page.get_by_label("Client secret").fill(app.secret)
    page.get_by_label("Scopes").fill(SCOPES)
    own_servers(page, ground)


def at_the_provider(page: Page, address: str) -> None:
    """Somebody signs in on the provider's own page, which has opened by itself."""
    page.locator("input[name=user]").fill(address)
    page.get_by_role("button", name="Go").click()


def made_and_arriving(page: Page, ground: Ground, site: Site, user: User, place: Path) -> None:
    """Everything is made in one go; then mail comes in and goes out."""
    assert site.do(lambda room: room.connections.list()) == []
    page.get_by_label("Call it").fill("orders")
    page.get_by_label("Into the directory").fill(str(place))
    page.get_by_role("button", name="Connect it").click()
    page.get_by_role("heading", name="is connected").wait_for()
    deliver(ground, user, "Three boxes, please")
    eventually(lambda: any(b"Three boxes" in one.read_bytes() for one in place.rglob("*.eml")))
    friend = ground.user()
    page.goto("/compose?via=orders-out")
    page.locator("#f-to").fill(friend.address)
    page.locator("#f-subject").fill("Thank you")
    page.locator("#f-text").fill("They are on their way.")
    page.get_by_role("button", name="Send now").click()
    eventually(lambda: b"Thank you" in inbox(friend))


def eventually(seen: Callable[[], bool]) -> None:
    """Wait until it is so; the test's own limit is the longest."""
    while not seen():
        time.sleep(0.1)


def test_one_click_signs_in_at_the_provider_and_comes_back_to_the_test(
    working_admin: Visitor, working: Site, ground: Ground, tmp_path: Path
) -> None:
    user, app = ground.user(), ground.oauth.client(redirect_uris=["http://localhost"])
    page = begun(working_admin, user.address, "In a browser")
    own_app(page, ground, app)
    page.get_by_role("button", name="Sign in", exact=True).click()
    at_the_provider(page, user.address)
    page.get_by_text("Everything works").wait_for(timeout=30_000)
    assert page.url.startswith(f"{working.url}/connect/")
    assert working_admin.serious() == []
    made_and_arriving(page, ground, working, user, tmp_path / "mail")


def test_a_code_on_another_device(
    working_admin: Visitor, working: Site, ground: Ground, tmp_path: Path
) -> None:
    user, app = ground.user(), ground.oauth.client()
    page = begun(working_admin, user.address, "With a code on another device")
    own_app(page, ground, app)
    page.get_by_role("button", name="Sign in", exact=True).click()
    code = page.locator(".code").inner_text()
    page.get_by_role("img", name="QR code").wait_for()
    expect(page.locator("[data-until]")).to_contain_text(":")  # it counts down
    assert working_admin.serious() == []
    ground.oauth.approve(code, user.address)
    page.get_by_text("Everything works").wait_for(timeout=30_000)
    made_and_arriving(page, ground, working, user, tmp_path / "mail")


@pytest.mark.parametrize("way", ["As an app, without a person", "In a browser"])
def test_microsoft_over_graph(
    working_admin: Visitor, working: Site, ground: Ground, tmp_path: Path, way: str
) -> None:
    """As for a national cloud of Microsoft's: its authority and its Graph are given."""
    user, graph = ground.user(), ground.oauth_graph
    app = ground.oauth.client(redirect_uris=["http://localhost"])
    if way != "In a browser":
        ground.oauth.change(app, mailbox=user.address)
    page = begun(working_admin, user.address, way, "microsoft365")
    page.get_by_label("Directory (tenant) ID").fill(TENANT)
    page.get_by_label("Client id").fill(app.id)
    page.get_by_label("Client secret").fill(app.secret)
    page.get_by_text("Another cloud").click()
    page.get_by_label("Authority").fill(ground.oauth.authority())
    page.get_by_label("Graph", exact=True).fill(graph.url)
    page.get_by_label("Scopes").fill(PERSON if way == "In a browser" else f"{GRAPH}/.default")
    page.get_by_label("Trusted certificate").select_option("own-ca")
    if way == "In a browser":
        page.get_by_role("button", name="Sign in", exact=True).click()
        at_the_provider(page, user.address)
    else:
        page.get_by_role("button", name="Test it").click()
    page.get_by_text("Everything works").wait_for(timeout=30_000)
    made_and_arriving(page, ground, working, user, tmp_path / "mail")


def test_who_says_no_is_told_so_and_may_begin_again(
    working_admin: Visitor, working: Site, ground: Ground
) -> None:
    user, app = ground.user(), ground.oauth.client(redirect_uris=["http://localhost"])
    page = begun(working_admin, user.address, "In a browser")
    own_app(page, ground, app)
    page.get_by_role("button", name="Sign in", exact=True).click()
    at_the_provider(page, "nobody")
    page.get_by_role("heading", name="Nobody is signed in").wait_for(timeout=30_000)
    page.get_by_text("Nothing was stored").wait_for()
    assert working_admin.serious() == []
    page.get_by_role("button", name="Sign in again").click()
    at_the_provider(page, ground.user().address)  # somebody else
    page.get_by_role("heading", name="Nobody is signed in").wait_for(timeout=30_000)
    page.get_by_role("link", name="Change what was typed").click()
    assert page.get_by_label("Client id").input_value() == app.id
    assert page.get_by_label("Client secret").input_value() == ""
    assert working.do(lambda room: room.credentials.list())[0]["name"] == "own-ca"
    assert working.do(lambda room: room.signins.list()) == []


def test_what_was_under_way_when_the_room_was_started_anew_says_how_to_begin(
    settings: Settings, visitor: Come, ground: Ground
) -> None:
    with Site(settings) as site:
        site.person("root", "admin")
        site.do(lambda room: trust(room, ground))
        came = visitor(site)
        came.sign_in("root")
        page = begun(came, ground.user().address, "With a code on another device")
        own_app(page, ground, ground.oauth.client())
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.locator(".code").wait_for()
        left = urlsplit(page.url).path
        page.goto("about:blank")
    with Site(settings) as again:  # the same browser: its session is in the database
        page.goto(f"{again.url}{left}")
        page.get_by_text("Postroom was started anew since. Nothing of it was stored").wait_for()
        page.get_by_text("Begin again with its address").wait_for()
        page.goto(f"{again.url}/callback?code=x&state=gone")
        page.get_by_text("Begin it again: open the connection").wait_for()
        assert again.do(lambda room: room.connections.list()) == []


def test_google_wants_its_secret_and_its_own_words(
    working_admin: Visitor, working: Site, ground: Ground, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Its preset, with the addresses of the ground in the place of Google's: endpoints that the
    record names itself, an offline sign-in that is consented to each time, a secret for a person too.
    """
    oauth = ground.oauth
    app = oauth.client(redirect_uris=["http://localhost"])
    at_ground = PRESETS["gmail"]._replace(
        authority=oauth.issuer,
        endpoints=(
            ("authorization_endpoint", oauth.endpoint("authorize")),
            ("token_endpoint", oauth.endpoint("token")),
            ("revocation_endpoint", oauth.endpoint("revoke")),
        ),
        scopes=tuple((wire, tuple(SCOPES.split())) for wire in ("imap", "smtp")),
        imap=Wire("localhost", ground.oauth_dovecot.imaps, "tls"),
        smtp=Wire("localhost", ground.oauth_postfix.tokens_tls, "tls"),
        domains=("ground.test",),
    )
    monkeypatch.setitem(PRESETS, "gmail", at_ground)
    user = ground.user()
    page = working_admin.go("/connect")
    page.get_by_label("Email address").fill(user.address)
    page.get_by_role("button", name="Go on").click()
    page.get_by_text("Gmail and Google Workspace, by its domain").wait_for()
    page.get_by_text("You sign in once in a browser, with your second factor").wait_for()
    page.get_by_label("Client id").fill(app.id)
    page.get_by_label("Client secret").fill(app.secret)
    page.get_by_text("Servers", exact=True).click()
    page.get_by_label("Trusted certificate").select_option("own-ca")
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.locator("input[name=user]").wait_for()
    at_the_provider(page, user.address)
    page.get_by_text("Everything works").wait_for(timeout=30_000)
    made_and_arriving(page, ground, working, user, tmp_path / "mail")
    record = working.do(lambda room: room.credentials.show("orders-app"))
    assert record["fields"]["token_endpoint"] == oauth.endpoint("token")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("self-signed", "trust it"),
        ("closed", "check the port"),
        ("password", "app password"),
        ("unknown", "spelled"),
    ],
)
def test_what_stands_in_the_way_is_told_with_what_to_do_and_what_was_typed_stays(
    working_admin: Visitor, working: Site, ground: Ground, wrong: str, told: str
) -> None:
    user = ground.user()
    page = begun(working_admin, user.address, "User name and password")
    incoming = page.get_by_role("group", name="Incoming mail")
    incoming.get_by_label("Host").fill(
        "no-such-host.invalid" if wrong == "unknown" else "127.0.0.1"
    )
    port = ground.dovecot.imaps if wrong != "closed" else 1
    incoming.get_by_label("Port").fill(str(port))
    page.get_by_role("group", name="Outgoing mail").get_by_label("Protocol").select_option("none")
    if wrong != "self-signed":
        page.get_by_label("Trusted certificate").select_option("own-ca")
    page.locator("#f-password").fill(
        user.password if wrong != "password" else hand_out("not the password at all")
    )
    page.get_by_role("button", name="Test it").click()
    page.get_by_role("link", name="Change what was typed").wait_for(timeout=30_000)
    do = page.get_by_text("What to do:").locator("..").inner_text()
    assert told in do.lower()
    assert "postroom " not in do  # nobody here has a command line
    assert working_admin.serious() == []
    page.get_by_role("link", name="Change what was typed").click()
    incoming = page.get_by_role("group", name="Incoming mail")
    assert incoming.get_by_label("Port").input_value() == str(port)
    assert page.locator("#f-password").input_value() == ""
    assert working.do(lambda room: room.connections.list()) == []
