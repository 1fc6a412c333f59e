"""What strangers send is shown as text and pictures, and as nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from html.parser import HTMLParser

import pytest

from postroom.operations.messages import message_view
from postroom.web.safely import (
    DOWNLOAD,
    FRAME,
    PICTURES,
    disposition,
    html_document,
    original_text,
    text_document,
)

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s></svg>",
    '<svg><set attributeName="href" to="javascript:alert(1)"/><a><text>x</text></a></svg>',
    '<svg><filter><feImage href="http://127.0.0.1:9/x"/></filter></svg>',
    '<svg><use href="data:image/svg+xml;base64,PHN2Zy8+#x"/></svg>',
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    '<object data="http://127.0.0.1:9/x"></object><embed src="http://127.0.0.1:9/x">',
    '<a href="javascript:alert(1)">x</a>',
    '<a href=" java&#10;script:alert(1)">x</a>',
    '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    '<a href="vbscript:alert(1)">x</a>',
    '<form action="http://127.0.0.1:9/"><input name=password><button>go</button></form>',
    '<base href="http://127.0.0.1:9/">',
    '<meta http-equiv="refresh" content="0;url=http://127.0.0.1:9/">',
    '<link rel="stylesheet" href="http://127.0.0.1:9/x.css">',
    '<style>@import "http://127.0.0.1:9/x"; body{background:url(http://127.0.0.1:9/y)}</style>',
    '<p style="background:url(http://127.0.0.1:9/x)">x</p>',
    '<p style="background-image:\\75rl(http://127.0.0.1:9/x)">x</p>',
    '<p style="color:expression(alert(1))">x</p>',
    '<p style="position:fixed;top:0;left:0;width:100%;height:100%;z-index:9">x</p>',
    '<table background="http://127.0.0.1:9/x"><tr><td background="http://127.0.0.1:9/y">x</td></tr></table>',
    '<body background="http://127.0.0.1:9/x" onload=alert(1)>',
    '<img src="http://127.0.0.1:9/x" srcset="http://127.0.0.1:9/y 2x" lowsrc="http://127.0.0.1:9/z">',
    '<img src="//127.0.0.1:9/x"><img src="/api/v1/credentials"><img src="file:///etc/passwd">',
    '<img src="data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+">',
    '<video poster="http://127.0.0.1:9/x"><source src="http://127.0.0.1:9/y"></video><audio src="//h/x">',
    '<picture><source srcset="http://127.0.0.1:9/x"><img></picture>',
    '<input type=image src="http://127.0.0.1:9/x"><isindex action=javascript:alert(1)>',
    "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>"></noscript>',
    '<svg></p><style><a title="</style><img src=x onerror=alert(1)>">',
    '<form><math><mtext></form><form><mglyph><svg><mtext><style><path id="</style><img onerror=f() src>">',
    '<template><script>alert(1)</script></template><details open ontoggle=alert(1)>x</details>',
    '<a id="body" name="body">x</a><img name="getElementById">',
    "<xmp><img src=x onerror=alert(1)></xmp><plaintext><script>alert(1)</script>",
    "<!--[if gte mso 9]><script>alert(1)</script><![endif]--><?xml-stylesheet href='http://h/x'?>",
    '<b/onmouseover=alert(1)//a="><p onclick=alert(1)>x</p>',
    '<a href="https://example.org/" ping="http://127.0.0.1:9/x" target="_top" onclick="x()">x</a>',
    "<bgsound src=http://127.0.0.1:9/x><frameset><frame src=http://127.0.0.1:9/></frameset>",
    '<portal src="http://127.0.0.1:9/"></portal><slot onslotchange=alert(1)>x</slot>',
]  # fmt: skip
ALLOWED_ATTRIBUTES = {
    "href", "target", "rel", "src", "alt", "width", "height", "style", "dir", "lang", "class", "color",
    "start", "type", "span", "colspan", "rowspan", "align", "valign", "bgcolor", "border", "cellpadding",
    "cellspacing",
}  # fmt: skip


class _Found(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))


def body_of(document: str) -> str:
    return document.partition("<body>")[2]


def tags_of(document: str) -> list[tuple[str, dict[str, str]]]:
    found = _Found()
    found.feed(body_of(document))
    return found.tags


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_runs_and_nothing_is_fetched(attack: str) -> None:
    """T80, T81: of hostile HTML no script, no form, no frame and no address to fetch from stays."""
    document = html_document(f"<p>before</p>{attack}<p>after</p>", {}).document
    for tag, attributes in tags_of(document):
        assert tag not in {"script", "style", "svg", "math", "iframe", "form", "input", "base", "meta",
                           "link", "object", "embed", "video", "source", "template", "button"}  # fmt: skip
        assert set(attributes) <= ALLOWED_ATTRIBUTES
        if tag == "img":
            assert attributes["src"].startswith("data:image/")
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name == "href" or "127.0.0.1" not in value
            if name == "href":
                assert value.startswith(("http://", "https://", "mailto:"))
            if name == "style":
                assert not re.search(r"url|\(|position|@|\\", value)
    assert "before" in document


def test_a_link_says_where_it_leads_and_tells_nobody_where_it_was_clicked() -> None:
    document = html_document(
        '<a href="https://evil.example/in">https://bank.example</a>', {}
    ).document
    assert "[evil.example/in]" in body_of(document)
    link = next(given for tag, given in tags_of(document) if tag == "a")
    assert link["rel"] == "noopener noreferrer nofollow"
    assert link["target"] == "_blank"


def test_pictures_of_the_message_are_shown_and_those_from_elsewhere_counted() -> None:
    """T81: what is shown comes out of the message itself; only what is a picture."""
    pictures = {
        "logo@x": ("image/png", b"PNG"),
        "evil@x": ("image/svg+xml", b"<svg onload=alert(1)>"),
    }
    shown = html_document(
        '<img src="cid:logo%40x" alt=Logo><img src="cid:evil@x"><img src="cid:none">'
        '<img src="https://tracker.example/p.gif" alt="Spring sale">',
        pictures,
    )
    sources = [given["src"] for tag, given in tags_of(shown.document) if tag == "img"]
    assert sources == [f"data:image/png;base64,{base64.b64encode(b'PNG').decode()}"]
    assert shown.left_out == 3
    assert "Spring sale" in shown.document
    assert "tracker.example" not in shown.document
    assert "image/svg+xml" not in PICTURES


def test_what_looks_like_a_message_stays_readable() -> None:
    shown = html_document(
        '<table width="600"><tr><td bgcolor="#eee" style="color: red; position: absolute">'
        "<h1>Invoice</h1><ul><li>One</li></ul></td></tr></table>",
        {},
    )
    tags = dict(tags_of(shown.document))
    assert tags["td"]["style"].replace(" ", "") == "color:red"
    assert tags["td"]["bgcolor"] == "#eee"
    assert "<h1>Invoice</h1>" in shown.document


def test_a_plain_text_is_text() -> None:
    """T80: markup in a plain text is shown as it was typed."""
    shown = text_document("<img src=x onerror=alert(1)>\n</pre><script>alert(1)</script>")
    assert [tag for tag, _ in tags_of(shown.document)] == ["pre"]
    assert "&lt;script&gt;" in shown.document


def test_the_frame_allows_nothing_but_pictures_in_the_page() -> None:
    """T80, T81: the answer's own policy has no script, no origin, no form, no address."""
    policy = FRAME["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "img-src data:;" in policy
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert "allow-forms" not in policy
    assert "form-action 'none'" in policy
    style = re.search(r"<style>(.*?)</style>", text_document("x").document)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy


@pytest.mark.parametrize(
    "bomb",
    [
        "<div>" * 100_000,
        "<div><table><td></div></table>" * 8_000,
        "<a href=//h>" * 90_000,
        "<b><i>" * 90_000,
    ],
    ids=["div", "out of turn", "links", "formatting"],
)
def test_deep_nesting_is_shown_as_its_source(bomb: str) -> None:
    """T76: HTML that takes time by the square of its depth is not cleaned but shown as it is written."""
    begun = time.process_time()
    shown = html_document(bomb, {})
    assert shown.as_written
    assert "&lt;" in shown.document
    assert time.process_time() - begun < 10


def test_a_long_text_is_cut_and_says_so() -> None:
    assert html_document("x" * 3_000_000, {}).cut
    assert text_document("x" * 3_000_000).cut
    assert not text_document("x").cut


def test_the_source_shows_every_byte() -> None:
    text, cut = original_text(b"Subject: \xff<b>\r\n\r\nhello\x00")
    assert text == "Subject: \\xff<b>\n\nhello\x00"
    assert not cut


NAMES = [
    "../../etc/cron.d/x",
    "C:\\x",
    "/abs",
    "a\0b",
    "CON",
    "x" * 4096,
    "\u202egpj.exe",
    'a"; filename="b.exe',
]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_saved_under_a_safe_name_and_never_opened(name: str) -> None:
    """T79, T82: whatever a sender calls a file, the header has one name, no path, and saves it."""
    raw = (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        b"Content-Type: text/html\r\nContent-Disposition: attachment; filename*=UTF-8''"
        + "".join(f"%{byte:02X}" for byte in name.encode()).encode()
        + b"\r\n\r\n<script>alert(1)</script>\r\n--b--\r\n"
    )
    (file,) = message_view(raw).files
    header = disposition(file.file_name)
    assert header.startswith('attachment; filename="')
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
    assert not re.search(r"[/\\]", header)
    assert "%E2%80%AE" not in header
    assert len(header) < 1000
    assert "sandbox" in DOWNLOAD["Content-Security-Policy"]
    assert DOWNLOAD["X-Content-Type-Options"] == "nosniff"


def test_files_of_the_same_name_are_told_apart() -> None:
    """T79: two files of one name do not become one."""
    part = b"--b\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=a.csv\r\n\r\n1\r\n"
    raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * 2 + b"--b--\r\n"
    assert [each.file_name for each in message_view(raw).files] == ["a.csv", "a-2.csv"]
    assert [each.number for each in message_view(raw).files] == [1, 2]


@pytest.mark.parametrize(
    ("href", "stays"),
    [
        (r"http://evil.example\@bank.example/x", False),
        (r"https:\\evil.example", False),
        ("https:evil.example", False),
        ("https:/evil.example", False),
        ("https:///evil.example", False),
        ("//evil.example/x", False),
        ("/credentials", False),
        ("#here", False),
        ("mailto:ann@bank.example", True),
        ("https://bank.example/x?y=http:z", True),
        ("HTTP://bank.example:8080", True),
    ],
)
def test_a_link_that_a_browser_reads_otherwise_is_none(href: str, stays: bool) -> None:
    """T47: the host that stands behind a link is the one that it leads to, or there is no link."""
    shown = html_document(f'<a href="{href}">x</a>', {}).document
    assert ("href=" in shown.partition("<body")[2]) is stays
