"""What to do about an error, on the page where it is shown: links that lead there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from postroom.secret import Secret
from tests.web.mailroom import furnish

if TYPE_CHECKING:
    from tests.ground import Ground
    from tests.web.site import Site
    from tests.web.visitor import Visitor

pytestmark = pytest.mark.slow


def test_an_error_leads_to_the_page_where_it_is_put_right(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    """A test over a credential that lacks its password: the hint is a link to its details."""
    furnish(site, ground)
    login = site.do(lambda room: room.credentials.list())[0]["name"]
    site.do(lambda room: room.credentials.set(login, {}, clear=["password"]))
    page = admin.go("/connections/acme")
    page.get_by_role("button", name="Test", exact=True).click()
    page.get_by_role("alert").first.wait_for()
    alert = page.get_by_role("alert").first
    assert "postroom" not in alert.inner_text()
    assert admin.serious() == []
    alert.get_by_role("link", name=f"the details of {login}").click()
    page.get_by_label("Password").fill("not the one of the server")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text(f"{login} is saved.").wait_for()


def test_a_password_that_is_wrong_is_told_with_the_way_to_the_right_one(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    furnish(site, ground)
    login = site.do(lambda room: room.credentials.list())[0]["name"]
    wrong = {"password": Secret("not the one of the server")}
    site.do(lambda room: room.credentials.set(login, wrong))
    page = admin.go("/connections/acme")
    page.get_by_role("button", name="Test", exact=True).click()
    alert = page.get_by_role("alert").first
    alert.wait_for()
    assert "postroom" not in alert.inner_text()
    assert "--" not in alert.inner_text()
    alert.get_by_role("link", name=f"the details of {login}").first.click()
    page.wait_for_url(f"**/credentials/{login}/details")


def test_who_uses_a_credential_is_a_list_of_links_with_the_last_use(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    furnish(site, ground)
    login = site.do(lambda room: room.credentials.list())[0]["name"]
    site.do(lambda room: room.services.add({"name": "out", "connection": "acme"}))
    site.do(lambda room: room.credentials.create("spare", "secret"))
    page = admin.go("/credentials/spare")
    page.get_by_text("Not used anywhere.").wait_for()
    page.goto("/connections/acme")
    page.get_by_role("button", name="Test", exact=True).click()
    page.get_by_text("Everything works").wait_for(timeout=30_000)
    page.goto(f"/credentials/{login}")
    usage = page.locator(".usage")
    usage.get_by_text("Used 2 times, and 1 through those").click()
    assert usage.get_by_role("link").all_inner_texts() == ["acme", "acme", "out"]
    usage.get_by_text("Last used").wait_for()
    assert "by user:root: open" in usage.inner_text()
    assert admin.serious() == []
    usage.get_by_role("link", name="out").click()
    page.get_by_role("heading", name="out").wait_for()


@pytest.mark.parametrize(
    ("path", "link"),
    [("/credentials/nobody", "Credentials"), ("/connections/nobody", "Connections"),
     ("/services/nobody", "Services"), ("/variables/NOBODY", "Variables")],
)  # fmt: skip
def test_a_name_that_is_not_there_leads_to_the_list(admin: Visitor, path: str, link: str) -> None:
    page = admin.go(path)
    main = page.get_by_role("main")
    assert "postroom" not in main.inner_text().replace("Postroom", "")
    main.get_by_role("link", name=link).click()
    page.get_by_role("heading", name=link).wait_for()
    assert page.url.endswith(f"/{link.lower()}")
