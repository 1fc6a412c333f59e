"""Header fields for the wire: folding (RFC 5322), encoded words (2047), parameters (2231)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

from postroom.mail.addresses import Address

__all__ = ["address_field", "encoded_words", "fold", "parameter", "text_field"]

LINE = 78
WORD_LINE = 76
"""A line that holds an encoded word (RFC 2047, 2)."""
LONG_NAME = 40
LONGEST_TOKEN = 900
"""A token that cannot be folded, with its field name, stays under the 998 of RFC 5322, 2.1.1."""

_PLAIN = re.compile(r"[\x20-\x7e]*")
_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_ATTRIBUTE_SAFE = "!#$&+-.^_`|~"


def fold(name: str, tokens: Iterable[str], limit: int = LINE) -> str:
    """``Name: token token ...`` with a line end before each token that would pass the limit.

    A token that opens with a space of its own keeps exactly that space.
    """
    lines = [f"{name}:"]
    for token in tokens:
        spaced = token if token.startswith(" ") else f" {token}"
        # right after a short name never: some readers take such a field for an empty one
        first = len(lines) == 1 and lines[0] == f"{name}:" and len(name) <= LONG_NAME
        if not first and len(lines[-1]) + len(spaced) > limit:
            lines.append(spaced)
        else:
            lines[-1] += spaced
    return "\r\n".join(lines)


def text_field(name: str, text: str) -> str:
    """An unstructured field.  Text that is not ASCII, or looks encoded, becomes encoded words."""
    text = text.strip()
    tokens = re.findall(r" *[^ ]+", text)
    plain = _PLAIN.fullmatch(text) and "=?" not in text
    if plain and all(len(token) <= LONGEST_TOKEN for token in tokens):
        return fold(name, tokens)
    return fold(name, encoded_words(text, first=WORD_LINE - len(name) - 2), WORD_LINE)


def address_field(name: str, addresses: Iterable[Address]) -> str:
    """A list of addresses.  Local parts that are not ASCII stand as UTF-8 (RFC 6532)."""
    tokens: list[str] = []
    for address in addresses:
        if tokens:
            tokens[-1] += ","
        if address.name:
            tokens += _phrase(address.name)
        tokens.append(f"<{address.envelope}>" if address.name else address.envelope)
    return fold(name, tokens, WORD_LINE)


def _phrase(name: str) -> list[str]:
    if _PLAIN.fullmatch(name) and "=?" not in name and len(name) <= 60:
        if _PHRASE.fullmatch(name):
            return [name]
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return [f'"{escaped}"']
    return encoded_words(name, first=60, rest=60)


def encoded_words(text: str, first: int, rest: int = WORD_LINE - 1) -> list[str]:
    """Text as encoded words in UTF-8, of at most ``first`` and then ``rest`` characters each.

    No character is split over two words.  The shorter of the two encodings is used for all.
    """
    data = text.encode()
    q_length = sum(1 if byte in _Q_SAFE or byte == 32 else 3 for byte in data)
    write = _q if q_length <= len(data) * 4 / 3 else _b
    words: list[str] = []
    chunk = ""
    room = max(first, 24)
    for character in text:
        if chunk and len(write(chunk + character)) > room:
            words.append(write(chunk))
            chunk, room = "", rest
        chunk += character
    return [*words, write(chunk)]


def _q(text: str) -> str:
    shown = (
        chr(byte) if byte in _Q_SAFE else "_" if byte == 32 else f"={byte:02X}"
        for byte in text.encode()
    )
    return f"=?utf-8?q?{''.join(shown)}?="


def _b(text: str) -> str:
    import binascii

    return f"=?utf-8?b?{binascii.b2a_base64(text.encode(), newline=False).decode()}?="


def parameter(name: str, value: str) -> list[str]:
    """``name="value"``, or its RFC 2231 form in as many pieces as it needs, each a token."""
    if _PLAIN.fullmatch(value) and len(value) <= 60 and not re.search(r'["\\]|=\?', value):
        return [f'{name}="{value}"']
    pieces = [""]
    for character in value:
        escaped = quote(character, safe=_ATTRIBUTE_SAFE)
        if len(pieces[-1]) + len(escaped) > 50:
            pieces.append("")
        pieces[-1] += escaped
    if len(pieces) == 1:
        return [f"{name}*=utf-8''{pieces[0]}"]
    start = "utf-8''"
    return [
        f"{name}*{at}*={start if at == 0 else ''}{piece}" + (";" if at + 1 < len(pieces) else "")
        for at, piece in enumerate(pieces)
    ]
