"""Charsets: every label of real mail finds its codec, and decoding never raises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.charsets import codec_of, decode

__all__: list[str] = []


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("utf-8", "utf_8"),
        ("UTF8", "utf_8"),
        ('"utf-8"', "utf_8"),
        ("utf-8mb4", "utf_8"),
        ("iso-8859-1", "cp1252"),
        ("latin1", "cp1252"),
        ("windows-1252", "cp1252"),
        ("cp-850", "cp850"),
        ("ibm850", "cp850"),
        ("windows1251", "cp1251"),
        ("win-1251", "cp1251"),
        ("x-cp1251", "cp1251"),
        ("gb2312", "gb18030"),
        ("GBK", "gb18030"),
        ("x-gbk", "gb18030"),
        ("cp936", "gb18030"),
        ("shift_jis", "cp932"),
        ("x-sjis", "cp932"),
        ("windows-31j", "cp932"),
        ("euc-kr", "cp949"),
        ("ks_c_5601-1987", "cp949"),
        ("big5", "big5hkscs"),
        ("iso-2022-jp", "iso2022_jp_ext"),
        ("iso-8859-8-i", "iso8859_8"),
        ("tis-620", "cp874"),
        ("koi8-u", "koi8_u"),
        ("macintosh", "mac_roman"),
        ("unicode-1-1-utf-7", "utf_7"),
        ("us-ascii", "ascii"),
        ("x-unknown", None),
        ("", None),
        (None, None),
        ("punycode", None),
        ("idna", None),
        ("hex", None),
        ("base64", None),
        ("unicode_escape", None),
        ("rot13", None),
        ("a\0b", None),
        ("é", None),
        ("x" * 10_000, None),
    ],
)
def test_codec_of(label: str | None, codec: str | None) -> None:
    assert codec_of(label) == codec


@pytest.mark.parametrize(
    ("data", "label", "text"),
    [
        (b"\xe2\x82\xac", "us-ascii", "€"),
        (b"\xe2\x82\xac", "x-unknown", "€"),
        (b"\xef\xbb\xbfa", None, "a"),
        (b"a\xffb", "utf-8", "a\ufffdb"),
        (b"\x93q\x94", "iso-8859-1", "“q”"),
        ("naïve café".encode("latin-1"), None, "naïve café"),
        (b"", "nonsense", ""),
    ],
)
def test_decode(data: bytes, label: str | None, text: str) -> None:
    assert decode(data, label) == text


@given(
    st.binary(max_size=100),
    st.sampled_from(
        [
            "utf-8",
            "utf-7",
            "utf-16",
            "utf-32",
            "iso-2022-jp",
            "hz",
            "gb2312",
            "big5",
            "shift_jis",
            "euc-kr",
            "iso-2022-kr",
            "cp1252",
            "johab",
            "none",
            "ascii",
        ]
    ),
)
def test_decode_never_raises_and_its_text_can_be_written(data: bytes, label: str) -> None:
    assert isinstance(decode(data, label).encode(), bytes)
