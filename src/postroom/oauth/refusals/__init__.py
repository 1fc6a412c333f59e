"""What refusals mean: tables of errors, one way to judge an answer, one to explain a pasted text.

    standard    RFC 6749, 8628, 8707, OpenID Connect
    entra       AADSTS codes
    google      Google's own errors, and its descriptions of invalid_grant
    causes      what is usually behind them, for people
    passwords   mail servers that refuse passwords (for people who paste what another program said)

Every table is data, with the date it was seen and its sources.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from postroom.oauth.refusals import entra, google, passwords, standard
from postroom.oauth.refusals.causes import CAUSES
from postroom.oauth.refusals.entra import ENTRA
from postroom.oauth.refusals.google import GOOGLE, GOOGLE_DESCRIBED
from postroom.oauth.refusals.passwords import PASSWORDS
from postroom.oauth.refusals.standard import STANDARD
from postroom.oauth.refusals.table import Meaning

__all__ = ["CAUSES", "Meaning", "codes_in", "explain", "meaning_of", "tables"]

_CODE: Final = re.compile(r"AADSTS([0-9]{4,8})\b", re.IGNORECASE)
_NAMED: Final = {each.key: each for each in (*STANDARD, *GOOGLE)}
_WORD: Final = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")
_QUOTED: Final = re.compile(r'"([^"]{1,300})"')
LONGEST: Final = 20_000  # characters of a pasted text that are read


def codes_in(text: str) -> tuple[int, ...]:
    """The AADSTS numbers a text names, in their order, each once."""
    return tuple(dict.fromkeys(int(number) for number in _CODE.findall(text)))


def meaning_of(error: str, description: str = "", codes: Iterable[int] = ()) -> Meaning | None:
    """The meaning of an OAuth error answer; None when no table knows it.

    The most telling part is judged first: Entra's number, Google's description, then the error.
    ``codes`` are the numbers of Entra's ``error_codes``; those in the description count too.
    """
    for number in (*codes, *codes_in(description)):
        if number in ENTRA:
            return ENTRA[number]
    for name, pattern, meaning in GOOGLE_DESCRIBED:
        if name == error and pattern.search(description):
            return meaning
    return _NAMED.get(error)


def explain(text: str) -> tuple[Meaning, ...]:
    """What a pasted error means, the most telling meaning first; empty when nothing is known."""
    some = text[:LONGEST]
    pieces = (some, *_QUOTED.findall(some))
    words = dict.fromkeys(_WORD.findall(some.lower()))
    found = [ENTRA[number] for number in codes_in(some) if number in ENTRA]
    found += [
        meaning
        for name, pattern, meaning in GOOGLE_DESCRIBED
        if name in words and any(pattern.search(piece) for piece in pieces)
    ]
    for pattern, meaning in PASSWORDS:
        if pattern.search(some) and not any(_is_part(meaning, each) for each in found):
            found.append(meaning)
    found += [_NAMED[word] for word in words if word in _NAMED]
    return tuple(dict.fromkeys(found))


def _is_part(meaning: Meaning, other: Meaning) -> bool:
    """Whether a code alone was said already with its exact text (``535 5.7.139``)."""
    return other.key.startswith(meaning.key)


def tables() -> tuple[tuple[str, str, tuple[str, ...], tuple[Meaning, ...]], ...]:
    """Every table for people: its title, when it was seen, its sources, its rows."""
    return (
        ("Mail servers that refuse a password or a token", passwords.SEEN, passwords.SOURCES,
         tuple(meaning for _, meaning in PASSWORDS)),
        ("Microsoft Entra ID", entra.SEEN, entra.SOURCES, tuple(ENTRA.values())),
        ("Google", google.SEEN, google.SOURCES,
         (*dict.fromkeys((*GOOGLE, *(meaning for _, _, meaning in GOOGLE_DESCRIBED))),)),
        ("Any authorization server", standard.SEEN, standard.SOURCES, STANDARD),
    )  # fmt: skip
