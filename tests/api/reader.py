"""Somebody whose browser runs no script: reads a page, fills in the forms that stand there, presses."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urljoin

from postroom.clock import monotonic
from postroom.web import make_app
from tests.api.asking import Answer, Client
from tests.canaries import told
from tests.web.site import PASSWORD

if TYPE_CHECKING:
    from postroom.app import Room

__all__ = ["Field", "Form", "Press", "Reader"]

_HERE: Final = "http://room"
_KIND: Final = "application/x-www-form-urlencoded"
_UNSEEN: Final = ("script", "style", "title")
_BLOCKS: Final = (
    "td", "th", "tr", "dt", "dd", "li", "p", "div", "span", "h1", "h2", "h3", "section",
    "button", "code",
)  # fmt: skip


@dataclasses.dataclass
class Field:
    """What is typed, ticked or chosen; a select has one for each option, ``on`` where it is chosen."""

    name: str
    kind: str
    value: str
    on: bool = True
    label: str = ""


@dataclasses.dataclass
class Form:
    """Where it is sent, and what stands in it."""

    action: str
    method: str
    fields: list[Field] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Press:
    """A link, or a button of a form, by what is read on it; ``row``: all of the row that it stands in."""

    label: str
    href: str = ""
    form: Form | None = None
    name: str = ""
    value: str = ""
    row: str = ""

    @property
    def to(self) -> str:
        """Where it leads."""
        return self.href if self.form is None else self.form.action


class Reader:
    """``path``, ``status`` and ``text`` are of the page that is open."""

    def __init__(self, room: Room) -> None:
        self._client = Client(make_app(room), {})
        self._cookies: dict[str, str] = {}
        self.path, self.status, self.text = "", 0, ""
        self.offered: list[Press] = []

    async def sign_in(self, name: str) -> None:
        """At the door, by name and password."""
        await self.go("/sign-in")
        await self.press("Sign in", Name=name, Password=PASSWORD)
        assert self.path != "/sign-in", self.text

    async def go(self, path: str) -> None:
        """Open a page."""
        await self._ask("GET", path, b"")

    async def press(self, label: str, row: str = "", at: str = "", **typed: str | bool) -> None:
        """Press what is called ``label``, in the row that has ``row``, and leads to a path that has ``at``;
        ``typed``: fields by their labels, a space in which is ``_``; True ticks, False takes that away.

        Raises AssertionError where no such thing, or more than one, stands on the page.
        """
        found = [
            one for one in self.offered if one.label == label and row in one.row and at in one.to
        ]
        assert len(found) == 1, (label, row, [each.label for each in self.offered], self.text)
        one = found[0]
        if one.form is None:
            await self.go(one.href)
            return
        for name, value in typed.items():
            _fill(one.form, name.replace("_", " "), value)
        pairs = [(each.name, each.value) for each in one.form.fields if each.on and each.name]
        sent = urlencode([*pairs, *([(one.name, one.value)] if one.name else [])])
        if one.form.method == "get":
            await self.go(f"{one.form.action}?{sent}")
        else:
            await self._ask("POST", one.form.action, sent.encode())

    async def watched(self) -> None:
        """What is under way on the page has come to its end; raises AssertionError after half a minute."""
        end = monotonic() + 30
        while "Under way look again" in self.text:
            assert monotonic() < end, self.text
            await asyncio.sleep(0.05)
            await self.go(self.path)

    def labels(self) -> list[str]:
        """What is offered on the page."""
        return [one.label for one in self.offered]

    async def _ask(self, method: str, path: str, body: bytes) -> None:
        headers = {"origin": _HERE, "content-type": _KIND} if method == "POST" else {}
        headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        answer = await self._client.ask(method, path, content=body, headers=headers, as_=None)
        self._cookies |= answer.cookies
        self._cookies = {name: value for name, value in self._cookies.items() if value}
        self._read(path, answer)
        if answer.status_code == 303:
            await self.go(urljoin(path, answer.headers["location"]))

    def _read(self, path: str, answer: Answer) -> None:
        page = _Page(path)
        page.feed(answer.text)
        told("output", answer.text)
        self.path, self.status = path.partition("#")[0], answer.status_code
        self.text, self.offered = page.text(), page.presses()


def _fill(form: Form, label: str, value: str | bool) -> None:
    found = [each for each in form.fields if label in (each.label, each.name)]
    if isinstance(value, bool):
        assert len(found) == 1, (label, form)
        found[0].on = value
    elif found and found[0].kind in ("select", "radio"):
        chosen = [each for each in found if each.value == value]
        assert chosen, (label, value, [each.value for each in found])
        for each in found:
            each.on = each is chosen[0]
    else:
        assert len(found) == 1, (label, form)
        found[0].value = value


class _Page(HTMLParser):
    """The forms, links and text of a page."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self._form: Form | None = None
        self._words: list[str] = []
        self._unseen = 0
        self._open: list[tuple[Press, int, bool]] = []
        self._row: list[Press] | None = None
        self._row_from = 0
        self._label: tuple[str, int, list[Field]] | None = None
        self._labels: dict[str, str] = {}
        self._ids: dict[str, list[Field]] = {}
        self._select = ("", "")
        self._area: tuple[Field, int] | None = None
        self._presses: list[Press] = []

    def text(self) -> str:
        """What is read on it, on one line."""
        return _line(self._words)

    def presses(self) -> list[Press]:
        """Links and buttons, the fields of whose forms have their labels."""
        for known, fields in self._ids.items():
            for each in fields:
                each.label = self._labels.get(known, each.label)
        return self._presses

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in _BLOCKS:
            self._words.append(" ")
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag == "form":
            action = urljoin(self._path, given.get("action", ""))
            self._form = Form(action, given.get("method", "get").lower())
        elif tag == "tr":
            self._row, self._row_from = [], len(self._words)
        elif tag == "label":
            self._label = (given.get("for", ""), len(self._words), [])
        elif tag in ("a", "button"):
            self._pressable(tag, given)
        elif tag in ("input", "select", "option", "textarea") and self._form is not None:
            self._typed(tag, given)

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen -= 1
        elif tag == "form":
            self._form = None
        elif tag == "tr" and self._row is not None:
            for press in self._row:
                press.row = _line(self._words[self._row_from :])
            self._row = None
        elif tag == "label" and self._label is not None:
            known, begun, inside = self._label
            self._labels[known] = _line(self._words[begun:]).removesuffix(" needed")
            for each in inside:
                each.label = self._labels[known]
            self._label = None
        elif tag in ("a", "button") and self._open:
            self._pressed()
        elif tag == "textarea" and self._area is not None:
            field, begun = self._area
            field.value = "".join(self._words[begun:]).removeprefix("\n")
            self._area = None

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self._words.append(data)

    def _pressable(self, tag: str, given: dict[str, str]) -> None:
        label = given.get("aria-label", "")
        if tag == "a":
            one = Press(label, href=urljoin(self._path, given.get("href", "")))
        else:
            one = Press(label, "", self._form, given.get("name", ""), given.get("value", ""))
        hidden = "hidden" in given or given.get("aria-hidden") == "true"
        usable = tag == "a" or (self._form is not None and given.get("type", "submit") == "submit")
        self._open.append((one, len(self._words), usable and not hidden))

    def _pressed(self) -> None:
        one, begun, offered = self._open.pop()
        one.label = one.label or _line(self._words[begun:])
        if offered:
            self._presses.append(one)
            if self._row is not None:
                self._row.append(one)

    def _typed(self, tag: str, given: dict[str, str]) -> None:
        assert self._form is not None
        if tag == "select":
            self._select = (given.get("name", ""), given.get("id", ""))
            return
        name, known = (
            self._select if tag == "option" else (given.get("name", ""), given.get("id", ""))
        )
        kind = {"option": "select", "textarea": "text"}.get(tag, given.get("type", "text"))
        ticked = {"option": "selected", "input": "checked"}.get(tag, "")
        on = kind not in ("select", "radio", "checkbox") or ticked in given
        usual = "on" if kind == "checkbox" else ""
        field = Field(name, kind, given.get("value", usual), on)
        if tag == "option" and not any(each.on for each in self._form.fields if each.name == name):
            field.on = True  # a browser shows the first one where none is chosen
        elif tag == "option" and field.on:
            for each in self._form.fields:
                each.on = each.on and each.name != name
        self._form.fields.append(field)
        self._ids.setdefault(known, []).append(field) if known else None
        if self._label is not None:
            self._label[2].append(field)
        if tag == "textarea":
            self._area = (field, len(self._words))


def _line(words: list[str]) -> str:
    return re.sub(r"\s+", " ", "".join(words)).strip()
