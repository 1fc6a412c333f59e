"""A visitor: one browser window, and everything that went wrong in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from playwright.sync_api import Error

from tests.canaries import told
from tests.web.site import PASSWORD, Site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Response

__all__ = ["Visitor", "choose"]

_AXE: Final = Path(__file__).parent / "axe" / "axe-4.14.1.min.js"
_SERIOUS: Final = ("serious", "critical")


class Visitor:
    """Whoever looks at a site; ``page`` is Playwright's.

    Every page that they get is looked through for secrets; what the browser complains of, such as a
    script or a style that the page's policy forbids, is a fault, and :meth:`leave` raises it.
    """

    def __init__(self, browser: Browser, at: Site | str, **looks: Any) -> None:
        """``at`` is a site of this process, or the address of another's."""
        self._at = at
        self.url = at if isinstance(at, str) else at.url
        self.context = browser.new_context(base_url=self.url, **looks)
        self.context.set_default_timeout(15_000)
        self.faults: list[str] = []
        self.page: Page = self.context.new_page()
        self.page.on("console", self._complained)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("response", self._got)

    @property
    def site(self) -> Site:
        """The site, of this process."""
        assert not isinstance(self._at, str)
        return self._at

    def go(self, path: str) -> Page:
        """Open a page."""
        self.page.goto(path)
        return self.page

    def sign_in(self, name: str, password: str = PASSWORD) -> Page:
        """Sign in at the door."""
        page = self.go("/sign-in")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url(lambda url: "sign-in" not in url)
        return page

    def serious(self, *rules: str) -> list[str]:
        """What axe-core finds on this page that is serious: the rule, and where; of some rules alone."""
        self.page.wait_for_load_state()  # a click has asked for a page, and not waited until it is whole
        # by the protocol of the browser: the policy of the page lets no script in
        if not self.page.evaluate("typeof axe === 'object'"):
            self.page.evaluate(_AXE.read_text())
        asked = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
        found = self.page.evaluate("asked => axe.run(asked)", asked)
        return [
            f"{rule['id']}: {rule['help']}: {node['html'][:120]} {node['failureSummary'][:200]}"
            for rule in found["violations"]
            if rule["impact"] in _SERIOUS
            for node in rule["nodes"]
        ]

    def leave(self) -> None:
        """Close the window; nothing may have gone wrong in it."""
        self.context.close()
        assert not self.faults, self.faults

    def _complained(self, message: ConsoleMessage) -> None:
        # that an answer says 404 or 422 is no fault of the page
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(message.text)

    def _got(self, response: Response) -> None:
        if "text/html" in response.headers.get("content-type", "") and response.status // 100 != 3:
            try:
                text = response.text()
            except Error:  # a part that was asked for while the page was left: nobody got it
                return
            told("output", text)


def choose(page: Page, selector: str, value: str) -> None:
    """Choose in a list that draws its form anew, once its page hears it and until it has."""
    page.wait_for_load_state()
    with page.expect_navigation():
        page.locator(selector).select_option(value)
