"""The entrance: the first address, signing in and out, and forms of other sites."""

from __future__ import annotations

import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.web.site import PASSWORD, Site

if TYPE_CHECKING:
    from tests.web.visitor import Visitor


def test_the_first_administrator_comes_in_by_the_one_time_address(
    site: Site, visitor: Callable[[Site], Visitor]
) -> None:
    code = site.do(lambda room: room.people.first_address())
    came = visitor(site)
    page = came.go(f"/welcome#{code}")
    assert "#" not in page.url
    page.get_by_label("Name", exact=True).fill("ann")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("The same once more").fill("another password")
    page.get_by_role("button", name="Begin").click()
    page.get_by_text("the two are not the same").wait_for()
    page.wait_for_load_state()  # the script puts the code back
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("The same once more").fill(PASSWORD)
    page.get_by_role("button", name="Begin").click()
    page.wait_for_url("**/")
    assert page.evaluate("sessionStorage.getItem('code')") is None
    page.get_by_text("Connect an account").first.wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    page.go_back()  # what was shown is not kept for whoever sits there next
    page.get_by_role("button", name="Sign in", exact=True).wait_for()
    assert page.get_by_text("Connect an account").count() == 0
    assert came.go("/credentials").url.endswith("/sign-in?next=/credentials")
    came.sign_in("ann")
    page.get_by_role("link", name="Credentials").first.wait_for()


def test_a_wrong_password_is_told_in_one_sentence_and_comes_back_nowhere(
    site: Site, visitor: Callable[[Site], Visitor]
) -> None:
    site.person("root", "admin")
    came = visitor(site)
    for name in ("root", "nobody"):
        page = came.go("/sign-in")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill("a wrong but long password")
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.get_by_role("alert").wait_for()
        assert page.get_by_label("Name").input_value() == name
        assert page.get_by_label("Password").input_value() == ""


def test_after_signing_in_nobody_is_sent_to_another_site(
    site: Site, visitor: Callable[[Site], Visitor]
) -> None:
    site.person("root", "admin")
    came = visitor(site)
    page = came.go("/sign-in?next=//evil.example/")
    page.get_by_label("Name").fill("root")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{site.url}/")


def status(site: Site, path: str, headers: dict[str, str], **form: str) -> int:
    """The status of a form that some program sends."""
    request = urllib.request.Request(
        site.url + path, urllib.parse.urlencode(form).encode(), headers, method="POST"
    )
    opener = urllib.request.build_opener(_Stay)
    try:
        return int(opener.open(request, timeout=10).status)
    except urllib.error.HTTPError as error:
        return error.code


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"Origin": "https://evil.example"}, True),
        ({"Origin": "null"}, True),
        ({}, True),
        ({"Origin": "SELF", "Sec-Fetch-Site": "cross-site"}, True),
        ({"Origin": "SELF", "Content-Type": "text/plain"}, True),
        ({"Origin": "SELF"}, False),
    ],
)
def test_a_form_of_another_site_is_refused(
    admin: Visitor, site: Site, headers: dict[str, str], token: bool
) -> None:
    """T42: cross-site, null and missing origins, text/plain, and no token; with the session's cookie."""
    cookie = next(one for one in admin.context.cookies() if one["name"] == "postroom")
    page = admin.go("/new/credential")
    csrf = page.locator('form.sheet input[name="csrf"]').input_value()
    own = {key: site.url if value == "SELF" else value for key, value in headers.items()}
    own["Cookie"] = f"postroom={cookie['value']}"
    form = {"name": "x", "type": "password", "csrf": csrf if token else "wrong"}
    assert status(site, "/new/credential", own, **form) == 403
    assert site.do(lambda room: room.credentials.list()) == []
    assert status(site, "/new/credential", own | {"Origin": site.url, "Content-Type":
        "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}, name="x",
        type="password", csrf=csrf) == 303  # fmt: skip
    assert [one["name"] for one in site.do(lambda room: room.credentials.list())] == ["x"]


def test_a_session_ends_where_it_is_signed_out(admin: Visitor, site: Site) -> None:
    """T43: the cookie of before is no use after signing out, and signing in gives another."""
    before = {one["name"]: one["value"] for one in admin.context.cookies()}["postroom"]
    admin.page.get_by_role("button", name="Sign out").click()
    admin.page.wait_for_url("**/sign-in")
    admin.context.add_cookies([{"name": "postroom", "value": before, "url": site.url}])
    assert "/sign-in" in admin.go("/credentials").url
    admin.sign_in("root")
    after = {one["name"]: one["value"] for one in admin.context.cookies()}["postroom"]
    assert after != before


def test_the_cookie_of_a_session_is_out_of_reach_of_scripts(admin: Visitor) -> None:
    """T46: HttpOnly and SameSite."""
    cookie = next(one for one in admin.context.cookies() if one["name"] == "postroom")
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"


def test_who_may_not_is_not_offered_it_and_refused(
    site: Site, visitor: Callable[[Site], Visitor]
) -> None:
    site.person("vic", "viewer")
    came = visitor(site)
    page = came.sign_in("vic")
    page = came.go("/credentials")
    assert page.get_by_role("link", name="New credential").count() == 0
    assert page.get_by_role("link", name=re.compile("Users|Keys|Audit")).count() == 0
    response = page.goto("/new/credential")
    assert response is not None
    assert response.status == 403
    page.get_by_text("user:vic may not").first.wait_for()
