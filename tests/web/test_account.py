"""My account in the browser: another password, one's own sessions, one's own tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.web.site import PASSWORD

if TYPE_CHECKING:
    from tests.web.site import Site
    from tests.web.visitor import Visitor

Come = Callable[..., "Visitor"]
NEW = "another river under the bridge"


def test_the_name_leads_to_the_page_where_the_password_is_changed(
    site: Site, visitor: Come
) -> None:
    """T46: the password until now is wanted, and every other session is over."""
    site.person("pat", "viewer")
    elsewhere, came = visitor(site), visitor(site)
    elsewhere.sign_in("pat")
    page = came.sign_in("pat")
    page.get_by_role("navigation").get_by_role("link", name="pat").click()
    page.get_by_role("heading", name="My account").wait_for()
    assert came.serious() == []
    for old, new, again, said in (
        ("not the password at all", NEW, NEW, "The password is wrong"),
        (PASSWORD, NEW, PASSWORD, "the two are not the same"),
        (PASSWORD, "short", "short", "The password was not changed"),
    ):
        page.get_by_label("Password until now").fill(old)
        page.get_by_label("New password").fill(new)
        page.get_by_label("The new one once more").fill(again)
        page.get_by_role("button", name="Change it").click()
        page.get_by_role("alert").get_by_text(said).wait_for()
    page.get_by_label("Password until now").fill(PASSWORD)
    page.get_by_label("New password").fill(NEW)
    page.get_by_label("The new one once more").fill(NEW)
    page.get_by_role("button", name="Change it").click()
    page.get_by_text("The password is changed.").wait_for()
    assert "/sign-in" in elsewhere.go("/sources").url
    fresh = visitor(site).go("/sign-in")
    fresh.get_by_label("Name").fill("pat")
    fresh.get_by_label("Password").fill(PASSWORD)
    fresh.get_by_role("button", name="Sign in", exact=True).click()
    fresh.get_by_role("alert").wait_for()
    visitor(site).sign_in("pat", NEW)


def test_a_session_that_is_open_elsewhere_is_ended_and_nobody_elses(
    site: Site, visitor: Come
) -> None:
    site.person("pat", "viewer")
    site.person("ann", "viewer")
    first, second, came, other = (visitor(site) for _ in range(4))
    for one in (first, second, came):
        one.sign_in("pat")
    other.sign_in("ann")
    page = came.go("/account")
    assert page.get_by_text("this one").count() == 1
    page.get_by_role("button", name="End it").last.click()
    page.get_by_text("Sessions ended: 1.").wait_for()
    assert "/sign-in" in first.go("/sources").url
    assert second.go("/sources").url.endswith("/sources")
    page.get_by_role("button", name="Sign out everywhere else").click()
    page.get_by_text("Sessions ended: 1.").wait_for()
    assert "/sign-in" in second.go("/sources").url
    assert other.go("/sources").url.endswith("/sources")
    assert page.get_by_role("button", name="End it").count() == 0
    mine, theirs = (
        site.do(lambda room: room.users.sessions("pat")),
        site.do(lambda room: room.users.sessions("ann")),
    )
    assert (len(mine), len(theirs)) == (1, 1)


def test_ones_own_tokens_are_there_and_nobody_elses(site: Site, visitor: Come) -> None:
    """T45: a token of one's own is revoked from there, and no other is listed even to an administrator."""
    site.person("pat", "viewer")
    site.do(lambda room: room.tokens.add("pats", user="pat"))
    site.do(lambda room: room.tokens.add("roots", user="root"))
    for name in ("pat", "root"):
        came = visitor(site)
        came.sign_in(name)
        page = came.go("/account")
        assert page.get_by_text("pats").count() == int(name == "pat") * 2  # and in its button
        page.get_by_role("button", name=f"Revoke {name}s").click()
        page.get_by_text(f"The token {name}s is revoked.").wait_for()
        page.get_by_role("heading", name="My account").wait_for()
