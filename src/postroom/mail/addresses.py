"""Mail addresses (RFC 5322, 5321, 6531): strict for what we send, flagging for what we read."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from postroom.errors import InvalidValue
from postroom.mail.headers import FIELD_LIMIT, decode_header, one_line, raw_text

__all__ = [
    "Address",
    "AddressInput",
    "envelope",
    "parse_address",
    "parse_addresses",
    "read_addresses",
]

ADDRESS_LIMIT = 254
"""Bytes of an address (RFC 5321, 4.5.3.1.3, less the angle brackets).  The 64 of the local part are
not enforced: the RFC asks not to, and VERP senders exceed them."""
NAME_LIMIT = 1000


@dataclass(frozen=True)
class Address:
    """One mailbox: a display name (may be empty) and ``local@domain``, both as people read them.

    ``problem`` is set by :func:`read_addresses` only: then ``address`` is empty and ``name`` holds
    the text as it was received.
    """

    name: str
    address: str
    problem: str = ""

    @property
    def envelope(self) -> str:
        """``local@domain`` for MAIL FROM and RCPT TO: the domain as A-label (RFC 5890), lower case.

        Not ASCII when the local part is not: only SMTPUTF8 (RFC 6531) can carry it.
        """
        local, _, domain = self.address.rpartition("@")
        return f"{local}@{_ascii_domain(domain)}"

    def __str__(self) -> str:
        if not self.name or not self.address:
            return self.address or self.name
        if re.fullmatch(r"[^\x00-\x1f()<>@,;:\\\".\[\]]+", self.name):
            return f"{self.name} <{self.address}>"
        escaped = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}" <{self.address}>'


AddressInput = (
    str | Address | Mapping[str, str] | Iterable[str | Address | Mapping[str, str]] | None
)
"""What :func:`parse_addresses` takes."""

# ------------------------------------------------------------------ strict: what we send

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ATEXT = "A-Za-z0-9!#$%&'*+/=?^_`{|}~-"
_LOCAL = re.compile(f"(?:[{_ATEXT}]|[^\x00-\x7f])+(?:\\.(?:[{_ATEXT}]|[^\x00-\x7f])+)*")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_KEYS = {"address": "address", "name": "name", "personalname": "name", "personal_name": "name"}
# A quoted name, an angle bracket, or anything up to the next separator.
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*+"?|<[^>]*+>?|[^",;<]++|[,;]')
_NAMED = re.compile(r'\s*+(?:"((?:[^"\\]|\\.)*+)"\s*+|([^"<>]*+))<([^<>]*+)>\s*+')


def parse_addresses(value: AddressInput, field: str = "to") -> list[Address]:
    """Addresses a person or a program gave us, each checked; ``field`` is named in errors.

    Takes ``None``, an Address, a text (``a@x; Name <b@x>, "Doe, Jane" <c@x>``), a mapping
    (``{"address": ..., "name": ...}``, also ``Address`` and ``PersonalName``) or a list of these; a
    text inside a list is one address.  Raises InvalidValue.
    """
    if value is None:
        return []
    if isinstance(value, str):
        return [_one(text, field) for text in _split(value, field)]
    if isinstance(value, Address | Mapping):
        return [_item(value, field)]
    if isinstance(value, Iterable):
        return [_item(item, field) for item in value]
    raise InvalidValue(field, "give an address as a text, a list or {address, name}")


def parse_address(value: AddressInput, field: str = "from") -> Address:
    """As :func:`parse_addresses`, for a field that holds exactly one."""
    found = parse_addresses(value, field)
    if len(found) != 1:
        raise InvalidValue(field, f"give exactly one address, not {len(found)}")
    return found[0]


def envelope(*lists: Iterable[Address]) -> tuple[str, ...]:
    """The recipients of an envelope: each address once, in the order of first mention."""
    return tuple(dict.fromkeys(address.envelope for each in lists for address in each))


def _item(item: Any, field: str) -> Address:
    if isinstance(item, Address):
        return _checked(item.name, item.address, field)
    if isinstance(item, Mapping):
        return _mapping(item, field)
    if not isinstance(item, str):
        raise InvalidValue(field, "give each address as a text or as {address, name}")
    texts = _split(item, field)
    if len(texts) > 1:
        raise InvalidValue(field, "one item of the list holds several addresses; split them")
    return _one(item, field)


def _mapping(item: Mapping[str, Any], field: str) -> Address:
    values = {"address": "", "name": ""}
    for key, value in item.items():
        known = _KEYS.get(str(key).lower())
        if known is None:
            raise InvalidValue(field, f"an address has no {str(key)[:40]!r}; give address and name")
        if value is not None and not isinstance(value, str):
            raise InvalidValue(field, f"{known} is not a text")
        values[known] = value or ""
    return _checked(values["name"], values["address"], field)


def _split(text: str, field: str) -> list[str]:
    """The text at its commas and semicolons outside quotes and angle brackets."""
    _refuse_controls(text, field)
    parts = [""]
    for match in _PIECE.finditer(text):
        if match[0] in ",;":
            parts.append("")
        else:
            parts[-1] += match[0]
    return [part for part in parts if part.strip()]


def _one(text: str, field: str) -> Address:
    _refuse_controls(text, field)
    if "<" in text or ">" in text:
        named = _NAMED.fullmatch(text)
        if named is None:
            raise InvalidValue(field, "write a name before an address as: Name <local@domain>")
        quoted, plain, address = named.groups()
        name = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
        return _checked(name, address, field)
    return _checked("", text, field)


def _refuse_controls(text: str, field: str) -> None:
    if _CONTROL.search(text):
        raise InvalidValue(field, "holds a line end or another control character; remove it")


def _checked(name: str, address: str, field: str) -> Address:
    """An Address whose two halves are valid; the sentences do not repeat what was given."""
    name, address = name.strip(), address.strip()
    _refuse_controls(name + address, field)
    if len(name) > NAME_LIMIT:
        raise InvalidValue(field, f"a name is longer than {NAME_LIMIT} characters")
    if not address:
        raise InvalidValue(field, "an address is missing")
    local, at, domain = address.rpartition("@")
    if not at:
        raise InvalidValue(field, "an address needs an @, as in local@domain")
    if local.startswith('"'):
        raise InvalidValue(field, "quoted local parts are not sent to; few servers agree on them")
    if not _LOCAL.fullmatch(local):
        raise InvalidValue(
            field,
            "the part before the @ is not valid; give one plain address, without a comment, a "
            "group, spaces, a second @, or a dot at an end",
        )
    _check_domain(domain, field)
    found = Address(name, address)
    if len(found.envelope.encode()) > ADDRESS_LIMIT:
        raise InvalidValue(field, f"an address is longer than {ADDRESS_LIMIT} bytes")
    return found


def _check_domain(domain: str, field: str) -> None:
    try:
        ascii_domain = _ascii_domain(domain)
    except (UnicodeError, ValueError):
        raise InvalidValue(field, "the domain after the @ is not a valid name") from None
    if ascii_domain.startswith("[") and ascii_domain.endswith("]"):
        return
    if not all(_LABEL.fullmatch(label) for label in ascii_domain.split(".")):
        raise InvalidValue(field, "the domain after the @ is not a valid name")


def _ascii_domain(domain: str) -> str:
    """The A-label form; UnicodeError or ValueError when there is none."""
    if domain.startswith("[") and domain.endswith("]"):
        literal = domain[1:-1]
        if literal[:5].lower() == "ipv6:":
            return f"[IPv6:{ipaddress.IPv6Address(literal[5:])}]"
        return f"[{ipaddress.IPv4Address(literal)}]"
    lower = domain.lower()
    if lower.isascii() and "xn--" not in lower:
        return lower
    import idna  # its tables take 10 ms to load, and most domains are ASCII

    return idna.encode(domain, uts46=True).decode("ascii")


# ------------------------------------------------------------------ flagging: what we read

# Controls and direction marks (UTR 36): what is shown, or done by a terminal, is another address.
_HIDDEN = "\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069"
_UNSEEN = re.compile(f"[{_HIDDEN}]")
_PLAIN = rf'[^\s<>"@(),;:\[\]\\{_HIDDEN}]++'
_QUICK = re.compile(
    r'\s*+(?:(?:"([^"\\]*+)"\s*+|([^"\\<>@(),;:\[\]]*+))'
    rf"<({_PLAIN}@{_PLAIN})>"
    rf"|({_PLAIN}@{_PLAIN}))\s*+"
)
_TOKEN = re.compile(
    r"(?P<space>\s++)"
    r'|(?P<quoted>"(?:[^"\\]|\\.)*+"?)'
    r"|(?P<open>\()"
    r'|(?P<angle><(?:[^<>"]|"(?:[^"\\]|\\.)*+"?)*+>?)'
    r"|(?P<literal>\[[^\[\]\s]*+\])"
    r"|(?P<end>[,;])"
    r"|(?P<group>:)"
    r"|(?P<word>=\?[^?\s=]{1,60}\?[bBqQ]\?[^?\s]*+\?=)"  # also with the marks it should not hold
    r'|(?P<atom>[^\s"(),:;<>\[\]]++)'
    r"|(?P<stray>.)",
    re.DOTALL,
)
_SPEC = re.compile(
    r'(?:"(?:[^"\\]|\\.)*+"|[^\s"@<>(),;:\\]++)'
    r'@(?:\[[^\s\[\]]++\]|[^\s"@<>(),;:\[\]\\]++)'
)
_COMMENT_MARK = re.compile(r"\\.|[()]", re.DOTALL)


def read_addresses(header: bytes | str, charset: str | None = None) -> list[Address]:
    """The addresses of a received From, To, Cc ... field; nothing is raised, nothing is guessed.

    Groups are flattened.  Text that is no address, or could be read as two different ones
    (CVE-2023-27043), gives an Address without ``address`` and with a ``problem``.
    """
    raw = header[:FIELD_LIMIT]
    text = raw_text(raw, charset) if isinstance(raw, bytes) else raw
    quick = _QUICK.fullmatch(text)
    if quick is not None:
        name = quick[1] if quick[1] is not None else (quick[2] or "")
        return [Address(decode_header(name), quick[3] or quick[4])]
    return _Reader(text).read()


class _Reader:
    """One pass over the tokens of an address list; a mailbox ends at a comma or a semicolon."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.found: list[Address] = []
        self.in_group = False
        self.group_from = 0
        self._begin(0)

    def _begin(self, at: int) -> None:
        self.start = at
        self.words: list[str] = []
        self.spec = ""  # the tokens as they stand, one space for each gap
        self.angle: str | None = None
        self.comments: list[str] = []
        self.problem = ""

    def read(self) -> list[Address]:
        at = 0
        while (match := _TOKEN.match(self.text, at)) is not None:
            at = match.end()
            kind, token = match.lastgroup, match[0]
            if kind == "open":
                at = self._comment(at)
            elif kind == "end":
                self._finish(match.start())
                self.in_group = self.in_group and token == ","
                self._begin(at)
            elif kind == "group":
                self._group(at)
            else:
                self._take(str(kind), token)
        self._finish(len(self.text))
        if self.in_group and len(self.found) > self.group_from:
            self.found[self.group_from :] = [
                _flagged(str(each), "it stands in a group that never ends")
                for each in self.found[self.group_from :]
            ]
        return self.found

    def _comment(self, at: int) -> int:
        depth, start = 1, at
        while depth and (mark := _COMMENT_MARK.search(self.text, at)) is not None:
            depth += {"(": 1, ")": -1}.get(mark[0], 0)
            at = mark.end()
        if depth:
            self.problem, at = "a comment never ends", len(self.text)
        self.comments.append(self.text[start : at - 1])
        self.spec += " " if self.spec else ""
        return at

    def _group(self, at: int) -> None:
        if self.in_group or self.angle is not None or "@" in self.spec:
            self.problem = "a colon stands where none can"
            return
        self.in_group, self.group_from = True, len(self.found)
        self._begin(at)

    def _take(self, kind: str, token: str) -> None:
        if kind == "space":
            self.spec += " "
            return
        if self.angle is not None:
            self.problem = "text follows the address in angle brackets"
        elif kind == "angle":
            self.angle = token
        elif kind == "stray":
            self.problem = f"{token!r} stands where it cannot"
        else:
            self.words.append(token)
            self.spec += token

    def _finish(self, end: int) -> None:
        spec = self.spec.strip()
        if not (spec or self.angle or self.problem):
            return
        address = spec if self.angle is None else self.angle[1:].removesuffix(">").strip()
        problem = self.problem or self._doubt(address, spec)
        if problem:
            self.found.append(_flagged(self.text[self.start : end], problem))
            return
        words = self.words if self.angle is not None else self.comments[:1]
        name = " ".join(_unquoted(word) for word in words or self.comments[:1])
        self.found.append(Address(decode_header(name), address))

    def _doubt(self, address: str, spec: str) -> str:
        """Why this cannot be believed to be one address, or an empty text."""
        if self.angle is not None and not self.angle.endswith(">"):
            return "an angle bracket is not closed"
        if not address:
            return "the address is empty"
        if _UNSEEN.search(address):
            return "it holds a character that cannot be seen"
        if not _SPEC.fullmatch(address):
            return "it is not one address" if "@" in address else "it holds no address"
        others = [word for word in self.words if "@" in word and not word.startswith(('"', "=?"))]
        if self.angle is not None and others and spec.lower() != address.lower():
            return "it holds two different addresses"
        if any("@" in comment or "<" in comment for comment in self.comments):
            return "it holds a second address in a comment"
        return ""


def _flagged(text: str, problem: str) -> Address:
    return Address(decode_header(one_line(text)), "", problem)


def _unquoted(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word[1:].removesuffix('"')) if word.startswith('"') else word
