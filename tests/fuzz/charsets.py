"""Charsets: any bytes under any label are text that can be stored, and so is no label."""

from __future__ import annotations

from postroom.mail import charsets

__all__ = ["WORDS", "check"]

WORDS = (
    b"\n", b"utf-8\n", b"utf-7\n", b"utf-16\n", b"utf-32-le\n", b"iso-2022-jp\n", b"iso-2022-kr\n", b"hz\n",
    b"gb2312\n", b"big5\n", b"x-sjis\n", b"windows1251\n", b"johab\n", b"punycode\n", b"idna\n", b"cp-850\n",
    b"unicode_escape\n", b"mbcs\n", b"utf-8-sig\n", b"+2AA-", b"\x1b$B", b"~{", b"\xff\xfe", b"\xed\xa0\x80",
    b"\\ud800", b"\xc3", b"\0", b"a",
)  # fmt: skip


def check(data: bytes) -> None:
    """A label, a line end, and the bytes."""
    label, _, content = data.partition(b"\n")
    name = label.decode("latin-1")
    codec = charsets.codec_of(name)
    assert codec is None or codec not in charsets._NOT_TEXT
    for each in (name, None):
        assert isinstance(charsets.decode(content, each).encode(), bytes)
    if content.isascii() and codec in (None, "ascii", "utf_8", "cp1252"):
        assert charsets.decode(content, name) == content.decode()
