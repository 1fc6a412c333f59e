"""A received message made safe to show: a short allow list, nothing from outside, no script.  Pure.

Three walls, each enough by itself:

1. The HTML is cleaned (nh3) down to a short list of tags and attributes, and written anew from
   that: what a browser and a parser read differently is not there any more.
2. It is an answer of its own with its own policy (:data:`FRAME`): ``sandbox`` without scripts,
   forms or origin, and nothing may be loaded but images that stand in the page itself.
3. The page shows it in a frame with the same sandbox.

Nothing is ever fetched for a message, neither here nor by the browser.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Mapping
from html import escape
from html.parser import HTMLParser
from typing import Final
from urllib.parse import quote, unquote, urlsplit

import nh3

__all__ = [
    "DOWNLOAD",
    "FRAME",
    "SANDBOX",
    "Shown",
    "disposition",
    "html_document",
    "original_text",
    "text_document",
]

LIMIT: Final = 1024 * 1024
"""Characters of a text that are shown; behind them it is cut, and the page says so."""
TAGS_LIMIT: Final = 20_000
DEEPEST: Final = 400
"""An HTML text of more tags than that is looked at first: one that is nested deeper than this takes
time by the square of its depth, and is shown as it is written.
"""
IMAGES_LIMIT: Final = 8 * 1024 * 1024
"""Bytes of pictures that a page of one message brings along."""
PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""Pictures that are shown where the message has them itself; SVG is a program, and is not."""
SANDBOX: Final = "allow-popups allow-popups-to-escape-sandbox"
"""A link opens in a window of its own, once a person clicks it; nothing else is allowed."""

_STYLE: Final = (
    "body{margin:12px;font:15px/1.5 system-ui,sans-serif;color:#1b1b1b;background:#fff;"
    "overflow-wrap:anywhere}"
    "pre{white-space:pre-wrap;font:inherit;margin:0}"
    "img{max-width:100%;height:auto}table{max-width:100%;border-collapse:collapse}"
    "blockquote{margin:0 0 0 8px;padding-left:10px;border-left:3px solid #c8c8c8}"
    ".to{color:#6b3f00;font-size:12px}"
    ".gone{border:1px dashed #999;color:#555;padding:0 4px;font-size:12px}"
)
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
FRAME: Final = {
    "Content-Security-Policy": (
        f"sandbox {SANDBOX}; default-src 'none'; img-src data:; style-src-elem 'sha256-{_HASH}'; "
        "style-src-attr 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""The headers of the answer that shows a message."""
DOWNLOAD: Final = {
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""The headers of the answer that hands over a file or the bytes of a message, beside its name."""

_VOID: Final = frozenset({"br", "hr", "img", "wbr", "col"})
_CLOSES_ITSELF: Final = frozenset(
    {"p", "li", "dt", "dd", "tr", "td", "th", "tbody", "thead", "tfoot"}
)
_TAGS: Final = {
    "a", "abbr", "b", "big", "blockquote", "br", "caption", "center", "code", "col", "colgroup", "dd",
    "del", "div", "dl", "dt", "em", "font", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins",
    "kbd", "li", "ol", "p", "pre", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup",
    "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var", "wbr",
}  # fmt: skip
_BOX: Final = frozenset({"align", "valign", "bgcolor", "width", "height"})
_ATTRIBUTES: Final[dict[str, set[str]]] = {
    "*": {"style", "dir", "lang"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "font": {"color"},
    "ol": {"start", "type"},
    "col": {"span", "width"},
    "td": {"colspan", "rowspan", *_BOX},
    "th": {"colspan", "rowspan", *_BOX},
    "tr": {"align", "valign", "bgcolor"},
    "table": {"border", "cellpadding", "cellspacing", "align", "bgcolor", "width"},
    "div": {"align"},
    "p": {"align"},
}
_LOOKS: Final = {
    "color", "background-color", "font-weight", "font-style", "font-size", "text-align",
    "text-decoration", "vertical-align", "padding", "border", "width", "white-space",
}  # fmt: skip
"""Properties of a style that are kept: none of them moves or covers anything."""
_SCHEMES: Final = {"http", "https", "mailto", "cid"}
_WITHOUT_CONTENT: Final = {
    "script", "style", "title", "head", "template", "iframe", "object", "noscript", "svg", "math",
    "select", "textarea", "xmp", "plaintext", "noembed", "noframes",
}  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Shown:
    """A page of its own that shows a message.

    ``left_out`` counts the pictures that would have been fetched from somewhere else; ``cut`` tells
    that the text is longer than what is shown, ``as_written`` that HTML is shown with its tags.
    """

    document: str
    left_out: int = 0
    cut: bool = False
    as_written: bool = False


def text_document(text: str) -> Shown:
    """A plain text, as it stands, wrapped."""
    shown, cut = _cut(text)
    return Shown(_document(f"<pre>{escape(shown)}</pre>"), cut=cut)


def html_document(html: str, pictures: Mapping[str, tuple[str, bytes]]) -> Shown:
    """An HTML text, cleaned; ``pictures`` are the message's own: media type and bytes by content id."""
    shown, cut = _cut(html)
    if shown.count("<") > TAGS_LIMIT and _deep(shown):
        return Shown(_document(f"<pre>{escape(shown)}</pre>"), cut=cut, as_written=True)
    written = _Written(pictures)
    written.feed(
        nh3.clean(
            shown,
            tags=_TAGS,
            clean_content_tags=set(_WITHOUT_CONTENT),
            attributes=_ATTRIBUTES,
            attribute_filter=_attribute,
            url_schemes=_SCHEMES,
            filter_style_properties=_LOOKS,
            link_rel=None,
        )
    )
    written.close()
    return Shown(_document(written.text), left_out=written.left_out, cut=cut)


def original_text(raw: bytes) -> tuple[str, bool]:
    """The bytes of a message as text, every one of them visible, and whether it was cut."""
    text, cut = _cut(raw[: LIMIT + 1].decode("utf-8", "backslashreplace"))
    return text.replace("\r\n", "\n"), cut


def disposition(file_name: str) -> str:
    """Content-Disposition (RFC 6266) that only ever saves a file; ``file_name`` is a safe one."""
    plain = "".join(
        c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in file_name
    )
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name, safe='')}"


def _cut(text: str) -> tuple[str, bool]:
    return text[:LIMIT], len(text) > LIMIT


def _document(body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Message</title>'
        '<meta name="referrer" content="no-referrer">'
        f"<style>{_STYLE}</style></head><body>{body}</body></html>"
    )


def _deep(html: str) -> bool:
    """Whether tags are nested deeper than :data:`DEEPEST`."""
    measured = _Depth()
    measured.feed(html)
    return measured.deepest > DEEPEST


def _attribute(tag: str, name: str, value: str) -> str | None:
    """Whether an attribute stays: no way out of it, and none that hides in an escape."""
    if name == "style":
        lowered = value.casefold()
        return None if any(bad in lowered for bad in ("(", "\\", "@", "/*")) else value
    if name == "src":
        return value if value.casefold().startswith("cid:") else "cid:"
    if name == "href":
        return value if _is_told(value) else None
    return value


def _is_told(href: str) -> bool:
    """Whether what is shown of a link is where a browser goes with it.

    A browser takes a backslash for a slash and makes good for slashes that are missing (URL Standard,
    4.4), and what is relative would lead into this page.
    """
    scheme, colon, rest = href.strip().partition(":")
    if "\\" in href or not colon:
        return False
    if scheme.casefold() == "mailto":
        return True
    host = rest.removeprefix("//").partition("/")[0].partition("?")[0].partition("#")[0]
    web = scheme.casefold() in ("http", "https")
    return web and rest.startswith("//") and bool(host)


class _Depth(HTMLParser):
    """How deep tags are nested; one that is closed out of turn is not counted as closed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self._open: list[str] = []
        self.deepest = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID and tag not in _CLOSES_ITSELF:
            self._open.append(tag)
            self.deepest = max(self.deepest, len(self._open))

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1] == tag:
            self._open.pop()


class _Written(HTMLParser):
    """Writes cleaned HTML anew: allowed tags, escaped values; links say where they lead."""

    def __init__(self, pictures: Mapping[str, tuple[str, bytes]]) -> None:
        super().__init__(convert_charrefs=True)
        self._pictures = pictures
        self._out: list[str] = []
        self._open: list[str] = []
        self._links: list[str] = []
        self._room = IMAGES_LIMIT
        self.left_out = 0

    @property
    def text(self) -> str:
        """What was written."""
        return "".join(self._out)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _TAGS:
            return
        given = {name: value or "" for name, value in attrs}
        if tag == "img":
            self._picture(given)
            return
        if tag == "a":
            href = given.get("href", "")
            self._links.append(href)
            if href:
                given |= {"target": "_blank", "rel": "noopener noreferrer nofollow"}
        self._tag(tag, given)
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID or tag not in self._open:
            return
        while (closed := self._open.pop()) != tag:
            self._end(closed)
        self._end(tag)

    def handle_data(self, data: str) -> None:
        self._out.append(escape(data))

    def close(self) -> None:
        """End what is still open."""
        super().close()
        while self._open:
            self._end(self._open.pop())

    def _end(self, tag: str) -> None:
        self._out.append(f"</{tag}>")
        if tag == "a" and (href := self._links.pop()):
            self._out.append(f' <span class="to" dir="ltr">[{escape(_leads_to(href))}]</span>')

    def _tag(self, tag: str, given: Mapping[str, str]) -> None:
        values = "".join(f' {name}="{escape(value)}"' for name, value in given.items())
        self._out.append(f"<{tag}{values}>")

    def _picture(self, given: Mapping[str, str]) -> None:
        wanted = unquote(given.get("src", "").partition(":")[2]).strip("<> ")
        kind, data = self._pictures.get(wanted, ("", b""))
        alt = given.get("alt", "")
        if kind not in PICTURES or len(data) > self._room:
            self.left_out += 1
            if alt.strip():
                self._out.append(f'<span class="gone">{escape(alt[:200])}</span>')
            return
        self._room -= len(data)
        size = {name: given[name] for name in ("width", "height") if given.get(name, "").isdigit()}
        source = f"data:{kind};base64,{base64.b64encode(data).decode()}"
        self._tag("img", {"src": source, "alt": alt, **size})


def _leads_to(href: str) -> str:
    """Where a link leads, short enough to be read: the host first of all."""
    try:
        parts = urlsplit(href)
        host = parts.hostname or ""
    except ValueError:
        return href[:120]
    if parts.scheme == "mailto" or not host:
        return href[:120]
    rest = f"{parts.path}{'?' + parts.query if parts.query else ''}"
    shown = rest if len(rest) <= 60 else f"{rest[:57]}..."
    return f"{host}{shown}"
