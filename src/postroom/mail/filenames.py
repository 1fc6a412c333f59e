"""File names from text that strangers wrote: safe on any system, short, and unique in a folder."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

__all__ = ["LIMIT", "extension_of", "safe_name", "unique"]

LIMIT = 200
"""Bytes of a name in UTF-8; most file systems take 255, and numbers and suffixes are added."""
EXTENSION_LIMIT = 20

_RESERVED: Final = {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"} | {
    f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"
}
_SEPARATORS = re.compile(r'[/\\:*?"<>|]+')

EXTENSIONS: Final = {
    "application/json": ".json",
    "application/pdf": ".pdf",
    "application/pgp-signature": ".asc",
    "application/pkcs7-mime": ".p7m",
    "application/pkcs7-signature": ".p7s",
    "application/xml": ".xml",
    "application/zip": ".zip",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "message/rfc822": ".eml",
    "text/calendar": ".ics",
    "text/csv": ".csv",
    "text/html": ".html",
    "text/plain": ".txt",
    "text/xml": ".xml",
}


def extension_of(content_type: str) -> str:
    """The usual extension of a media type, with its dot; ``.bin`` for others."""
    return EXTENSIONS.get(content_type, ".txt" if content_type.startswith("message/") else ".bin")


def safe_name(text: str, *, fallback: str = "file") -> str:
    """One path component made of ``text``, or ``fallback`` when nothing is left of it.

    No separators, controls, direction overrides or other invisible characters, no name that
    Windows reserves, no dot or space at an end, at most ``LIMIT`` bytes; the extension is kept.
    """
    text = text[: 4 * LIMIT] + text[4 * LIMIT :][-EXTENSION_LIMIT:]
    # Cc controls, Cf direction marks and joiners, Cs halves, Co private, Zl and Zp line ends
    shown = "".join(
        " " if unicodedata.category(c) in {"Cc", "Zl", "Zp", "Zs"} else c
        for c in _SEPARATORS.sub("_", text)
        if unicodedata.category(c) not in {"Cf", "Cs", "Co", "Cn"}
    )
    # only now: what was left out may have stood between a letter and its accent
    shown = unicodedata.normalize("NFC", shown)
    shown = re.sub(r"^[. ]+|[. ]+$", "", re.sub(" +", " ", shown))
    shown = shown.lstrip("~") if set(shown) <= set("~_") else shown
    if not shown.strip("_- "):
        return fallback
    stem, dot, extension = shown.partition(".")
    if stem.strip().lower() in _RESERVED:
        shown = f"_{stem}{dot}{extension}"
    return _shortened(shown)


def unique(names: Iterable[str]) -> list[str]:
    """The names, with ``-2``, ``-3`` ... before the extension of those that came before.

    Case and Unicode form do not make names different, as on many file systems.
    """
    taken: set[str] = set()
    last: dict[str, int] = {}
    out: list[str] = []
    for name in names:
        key, free = _key(name), name
        while _key(free) in taken:
            last[key] = last.get(key, 1) + 1
            stem, extension = _split(name)
            free = f"{_cut(stem, LIMIT - 12 - len(extension.encode()))}-{last[key]}{extension}"
        taken.add(_key(free))
        out.append(free)
    return out


def _key(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _split(name: str) -> tuple[str, str]:
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension.encode()) >= EXTENSION_LIMIT or " " in extension:
        return name, ""
    return stem, dot + extension


def _shortened(name: str) -> str:
    if len(name.encode()) <= LIMIT:
        return name
    stem, extension = _split(name)
    return _cut(stem, LIMIT - len(extension.encode())).rstrip(". ") + extension


def _cut(text: str, size: int) -> str:
    return text.encode()[: max(size, 1)].decode("utf-8", "ignore")
