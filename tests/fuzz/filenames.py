"""File names: any text is one safe part of a path, and any folder's name lies inside the sink."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

from postroom.mail import safe_name, unique
from postroom.mail.filenames import LIMIT
from postroom.sources.reading import folder_path

__all__ = ["WORDS", "check", "is_one_safe_component"]

WORDS = (
    b"/", b"\\", b"..", b".", b"~", b"C:", b"CON", b"com1", b"nul.", b"\0", b"\n", b" ", b"_", b"\xff",
    "\u202e".encode(), "\u2028".encode(), "\u00a0".encode(), "e\u0301".encode(), "\ufdfa".encode(),
    "\u2025".encode(), "\uff0f".encode(), "\u0130".encode(), "\U000e0041".encode(), b".pdf", b"x" * 100,
    "日本".encode() * 30, "\u0344".encode() * 40, b"COM\xc2\xb9", b"conin$", b"*?\"<>|",
)  # fmt: skip


def is_one_safe_component(name: str) -> None:
    """T79: what :func:`postroom.mail.safe_name` promises."""
    assert name
    assert name not in {".", ".."}
    assert not name.startswith((".", " "))
    assert not name.endswith((".", " "))
    assert not set(name) & set('/\\:*?"<>|')
    assert all(unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in name)
    assert len(name.encode()) <= LIMIT
    assert PurePosixPath(name).parts == (name,)
    assert not PureWindowsPath(name).is_reserved()
    assert safe_name(name) == name


def check(data: bytes) -> None:
    """Names that a stranger gave to files, one a line, and to a folder."""
    text = data.decode("utf-8", "surrogateescape")
    names = [safe_name(each, fallback="file") for each in (text, *text.split("\n"))]
    for name in names:
        is_one_safe_component(name)
    several = unique(names)
    assert len({unicodedata.normalize("NFKC", each).casefold() for each in several}) == len(names)
    assert all(len(each.encode()) <= LIMIT for each in several)
    for level in PurePosixPath(folder_path(text)).parts:
        is_one_safe_component(level)
