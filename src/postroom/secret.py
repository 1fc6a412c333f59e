"""Secret: a value that shows as ``****`` everywhere, and the scrubber that removes it from text."""

from __future__ import annotations

import base64
import hmac
import json
import re
import unicodedata
import weakref
from collections.abc import Iterable
from typing import Any, Final, NoReturn
from urllib.parse import quote, quote_plus

__all__ = ["MASK", "Scrubber", "Secret", "hint", "is_mask", "open_secrets"]

MASK: Final = "****"
_MASKED: Final = MASK.encode()
_UNSHOWN: Final = frozenset({"Mn", "Me", "Cf", "Cc", "Cs"})
HINT_FROM = 12
"""A value this long (in characters) shows its last four; a shorter one shows none of itself."""


class Secret:
    """A text or bytes value that never shows itself.

    ``reveal()`` is the only way to the value, and a test holds the list of the places that call it.
    ``repr``, ``str``, ``format`` and f-strings give ``****``; pickling, copying and hashing are
    refused; equality takes the same time wherever the values differ.
    """

    __slots__ = ("__weakref__", "_value")

    def __init__(self, value: str | bytes) -> None:
        object.__setattr__(self, "_value", value if isinstance(value, bytes) else _encoded(value))
        _OPEN.add(self)

    def reveal(self) -> str:
        """The value as text.  Call it only where it leaves for the wire or the seal."""
        return self.reveal_bytes().decode("utf-8", "surrogateescape")

    def reveal_bytes(self) -> bytes:
        """The value as bytes; the same rule as for :meth:`reveal`."""
        value: bytes = object.__getattribute__(self, "_value")
        return value

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret cannot be changed")

    def __bool__(self) -> bool:
        return bool(self.reveal_bytes())

    def __repr__(self) -> str:
        return "Secret('****')"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal_bytes(), other.reveal_bytes())

    __hash__ = None  # type: ignore[assignment]  # a hash would be an oracle for equality

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied")

    def __copy__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """A declared field of this type takes a Secret or a text; it is written out as its mask."""
        from pydantic_core import core_schema

        def take(value: object) -> Secret:
            if isinstance(value, Secret):
                return value
            if isinstance(value, str):
                return Secret(value)
            raise ValueError("give a text")

        return core_schema.no_info_plain_validator_function(
            take,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: MASK),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        """In JSON Schema a secret is a write-only text."""
        return {"type": "string", "writeOnly": True, "format": "password"}


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        # that error holds the whole text; half a character cannot have been typed or read
        raise ValueError("a secret holds half a character") from None


class _Register:
    """The secrets alive in this process, without keeping them alive (they have no hash)."""

    def __init__(self) -> None:
        self._refs: dict[int, weakref.ref[Secret]] = {}

    def add(self, secret: Secret) -> None:
        key = id(secret)
        self._refs[key] = weakref.ref(secret, lambda _ref: self._refs.pop(key, None))

    def alive(self) -> list[Secret]:
        return [secret for ref in list(self._refs.values()) if (secret := ref()) is not None]


_OPEN = _Register()


def open_secrets() -> list[Secret]:
    """Every secret this process holds open: what the log scrubber removes."""
    return _OPEN.alive()


def hint(value: str) -> str:
    """The last four characters that a mask may show, from twelve characters on; or an empty text.

    A PEM block or a JSON object shows no characters of itself: its last four are braces or dashes.
    """
    text = value.strip()
    if len(text) < HINT_FROM or text.startswith(("-----BEGIN", "{", "[")):
        return ""
    tail = text[-4:]
    # marks, direction overrides and bytes that are no text change how the mask around them reads
    return "" if any(unicodedata.category(c) in _UNSHOWN for c in tail) else tail


def is_mask(value: str) -> bool:
    """Whether a submitted value looks like a mask shown earlier: it must never become the secret."""
    return re.fullmatch(r"\*{4,}.{0,4}", value.strip(), re.DOTALL) is not None


SHORTEST_SCRUBBED = 4
"""Shorter secrets are not searched for: removing every ``a`` would say more than it hides."""
SHORTEST_PIECE: Final = 12
"""Of the lines of a secret, shorter ones are left: they may be a word of anything."""
SHORTEST_WRAPPED: Final = 30
"""What xxd, the first to do so, breaks into lines."""
_ARMOUR: Final = b"-----"
_ESCAPED: Final = frozenset("\\\"'/")


class Scrubber:
    """Removes secrets, in every form they take on a wire, from text and bytes.

    Forms: as it is, base64 at its three alignments, hexadecimal, percent- and form-encoded, escaped as
    SMTP, JSON and Python do, and base64 of SASL strings that contain it (the alignments find it there,
    since they match inside a longer base64 text); of a key its lines, of a long token those that
    base64, openssl and xxd make of it; each in any case of its ASCII letters.
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._forms: list[bytes] = []
        for secret in secrets:
            self.add(secret)

    def add(self, secret: Secret) -> None:
        """Scrub this secret too from now on."""
        found = {form.lower() for form in _forms(secret.reveal_bytes())}
        forms = {*self._forms, *found}
        self._forms = sorted(forms, key=len, reverse=True)  # the longest first: it holds others

    @property
    def forms(self) -> tuple[bytes, ...]:
        """What is searched for, in lower case, the longest first."""
        return tuple(self._forms)

    def bytes(self, data: bytes) -> bytes:
        """The data with every form of every secret replaced by ``****``.

        No regular expression: the cache of ``re`` would keep the forms as long as the process.
        """
        lowered = data.lower()  # of bytes: A to Z alone, so every place stays where it is
        for form in self._forms:
            if form in lowered:
                data = _without(form, data, lowered)
                lowered = data.lower()
        return data

    def text(self, text: str) -> str:
        """The text with every form of every secret replaced by ``****``."""
        try:
            data, halves = text.encode("utf-8", "surrogateescape"), "surrogateescape"
        except UnicodeEncodeError:  # of a surrogate pair: no text that was received has one
            data, halves = text.encode("utf-8", "surrogatepass"), "surrogatepass"
        return self.bytes(data).decode("utf-8", halves)


def _without(form: bytes, data: bytes, lowered: bytes) -> bytes:
    kept, at = [], 0
    while (found := lowered.find(form, at)) >= 0:
        kept.append(data[at:found])
        at = found + len(form)
    return _MASKED.join([*kept, data[at:]])


def _escaped(text: str) -> set[bytes]:
    """As the texts of SMTP, JSON and Python write it; most are written as they are."""
    if text.isascii() and text.isprintable() and not _ESCAPED.intersection(text):
        return set()
    in_json = json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(text)[1:-1]
    said = {
        text.replace("\\", "\\\\").replace('"', '\\"'),
        *in_json,
        *(one.replace("/", "\\/") for one in in_json),
        repr(text)[1:-1],
        ascii(text)[1:-1],
        repr(_encoded(text))[2:-1],
    }
    return {_encoded(one) for one in said}


def _pieces(value: bytes) -> set[bytes]:
    """The lines of a key, as it is printed; those that base64, openssl and xxd make of a long token."""
    lines = [line.strip() for line in value.splitlines()]
    if len(lines) > 1:
        return {one for one in lines if len(one) >= SHORTEST_PIECE and not one.startswith(_ARMOUR)}
    found = set()
    if len(value) > SHORTEST_WRAPPED:
        encoded, digits = base64.b64encode(value), value.hex().encode()
        for whole, width in ((encoded, 76), (encoded, 64), (digits, 60)):
            found |= {whole[at : at + width] for at in range(0, len(whole), width)}
    return {one for one in found if len(one) >= SHORTEST_PIECE}


def _forms(value: bytes) -> set[bytes]:
    if len(value) < SHORTEST_SCRUBBED:
        return set()
    text = value.decode("utf-8", "surrogateescape")
    quoted = {quote(value, safe="").encode(), quote_plus(value).encode()}
    forms = {value, value.hex().encode()} | quoted | _escaped(text) | _pieces(value)
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + value)
        # the first and last characters also carry bits of the neighbours, so they are left out
        start = (0, 2, 3)[shift]
        end = len(encoded) - (0, 3, 2)[(shift + len(value)) % 3]
        core = encoded[start:end]
        if len(core) >= SHORTEST_SCRUBBED:
            forms |= {core, core.replace(b"+", b"-").replace(b"/", b"_")}
    return forms
