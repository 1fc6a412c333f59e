"""What depends on the script of the page: a button in a part that is drawn anew, a question in a form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from postroom.secret import Secret
from tests.journeys.oauth import connect, register

if TYPE_CHECKING:
    from tests.ground import Ground
    from tests.web.site import Site
    from tests.web.visitor import Visitor

pytestmark = pytest.mark.slow


def test_what_is_under_way_is_ended_by_a_click_and_programs_are_allowed_by_another(
    admin: Visitor, site: Site, ground: Ground
) -> None:
    """In a browser with scripts, where the part that is watched is drawn anew all the while."""
    user, client = ground.user(), ground.oauth.client()
    site.do(lambda room: register(room, ground, client))
    site.do(lambda room: connect(room, ground, user, "oauth_device_flow"))
    page = admin.go("/connections/acme/sign-in")
    page.get_by_role("radio", name="With a code on another device").check()
    page.get_by_role("button", name="Begin").click()
    page.locator(".code").wait_for()
    for _ in range(3):  # it asks for itself anew, and the button stays the same one
        with page.expect_response(lambda one: "/works/" in one.url):
            pass
    assert page.get_by_role("button", name="Stop it").count() == 1
    assert admin.serious() == []
    page.get_by_role("button", name="Stop it").click()
    page.get_by_text("It was ended.").wait_for()
    assert page.url == f"{site.url}/connections/acme"

    secret = {"user_name": "ann", "password": Secret("a password for a program")}
    site.do(lambda room: room.credentials.create("login", "password", details=secret))
    page.goto("/credentials/login/about")
    page.get_by_label("Programs may be handed it").check()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("A stored secret would go somewhere else").wait_for()
    assert page.get_by_label("Programs may be handed it").is_checked()
    assert admin.serious() == []
    page.get_by_role("button", name="Save, and let it go there").click()
    page.get_by_text("may be handed it").wait_for()
    assert site.do(lambda room: room.credentials.show("login"))["programs"] is True
