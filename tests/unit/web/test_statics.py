"""The files of the page: what others wrote is what it says, and all of them together are small."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import postroom.web
from postroom.web.statics import static

FOLDER = Path(postroom.web.__file__).parent / "static"


def test_what_is_vendored_is_what_its_note_says() -> None:
    rows = re.findall(r"`([\w.-]+\.js)` \|.*`([0-9a-f]{64})`", (FOLDER / "VENDORED.md").read_text())
    assert rows
    for name, digest in rows:
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest


def test_a_file_is_named_by_what_is_in_it() -> None:
    assert re.fullmatch(r"/static/page-[0-9a-f]{12}\.css", static("page.css"))


def test_script_and_style_leave_room_for_the_first_page() -> None:
    whole = sum((FOLDER / name).stat().st_size for name in ("page.css", "page.js", "mark.svg"))
    assert whole + (FOLDER / "htmx-2.0.11.min.js").stat().st_size < 85_000


def test_templates_have_nothing_that_the_policy_of_the_page_forbids() -> None:
    """T47: no style and no script inside a page, no event attributes, nothing unescaped."""
    templates = [*(FOLDER.parent / "templates").rglob("*.html")]
    assert templates
    for each in templates:
        text = each.read_text()
        assert not re.search(
            r"\sstyle=|<style|<script(?! src=)|\son[a-z]+=|\|\s*safe\b|javascript:", text
        ), each
