"""Every form that the page takes is sent by a test, with success."""

from __future__ import annotations

import ast
from pathlib import Path

from postroom.web.pages import PAGES
from tests.web.posts import SENT

TESTS = Path(__file__).parents[1]


def test_every_form_of_every_page_is_sent_by_a_test() -> None:
    """A new POST route wants a line in ``SENT``; the test it names is held to that when it runs."""
    routes = [each.path for page in PAGES for each in page.ROUTES if each.method == "POST"]
    assert len(routes) > 90
    assert sorted(routes) == sorted(SENT)


def test_every_test_that_is_said_to_send_a_form_is_there() -> None:
    known: dict[str, set[str]] = {}
    for test in SENT.values():
        file, _, name = test.partition("::")
        if file not in known:
            tree = ast.parse((TESTS / file).read_text())
            kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
            known[file] = {each.name for each in tree.body if isinstance(each, kinds)}
        assert name.partition("[")[0] in known[file], test
