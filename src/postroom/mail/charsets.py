"""Charset labels of real mail to text (RFC 2978 names, WHATWG supersets); decoding never raises."""

from __future__ import annotations

import re
from encodings.aliases import aliases
from typing import Final

__all__ = ["codec_of", "decode", "guess"]

GUESSED = 8 * 1024
"""Bytes shown to the detector: its cost grows fast, and more text rarely changes its answer."""

_NOT_TEXT = {
    "base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec",
    "charmap", "mbcs", "oem", "undefined", "unicode_escape", "raw_unicode_escape",
    # punycode and idna are quadratic, and no mail is written in them
    "punycode", "idna",
}  # fmt: skip

_SUPERSETS: Final = {
    # Senders write the label of the standard and the bytes of its superset; WHATWG reads it so too.
    "latin_1": "cp1252",
    "iso8859_1": "cp1252",
    "iso8859_9": "cp1254",
    "iso8859_11": "cp874",
    "tis_620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "iso2022_jp": "iso2022_jp_ext",
}

_OURS: Final = {
    "ansix341968": "ascii",
    "cp936": "gb18030",
    "eucgb2312cn": "gb18030",
    "cp720": "cp720",
    "cp737": "cp737",
    "cp874": "cp874",
    "koi8u": "koi8_u",
    "iso88598e": "iso8859_8",
    "iso88598i": "iso8859_8",
    "ksc56011987": "cp949",
    "macintosh": "mac_roman",
    "unicode11utf7": "utf_7",
    "utf8mb4": "utf_8",
    "windows31j": "cp932",
    "windows874": "cp874",
}

_COMPACT: Final = {
    name.replace("_", ""): target
    for alias, target in aliases.items()
    for name in (alias, target)
    if target not in _NOT_TEXT
} | _OURS
_PREFIX = re.compile(r"^(?:x|cs|win|ibm|cp|windows)(?=\d|[a-z])")
_SURROGATE = re.compile("[\ud800-\udfff]")


def codec_of(label: str | None) -> str | None:
    """The Python codec for a charset label, or None when there is no such text charset.

    ``cp-850``, ``x-sjis``, ``windows1251`` and quoted labels are understood; codecs that are no
    charset of text are not.  Nothing is looked up by importing: a label comes from a stranger.
    """
    if not label:
        return None
    compact = re.sub(r"[^a-z0-9]+", "", label.lower())
    codec = _COMPACT.get(compact)
    if codec is None:
        rest = _PREFIX.sub("", compact)
        codec = _COMPACT.get(rest) or _COMPACT.get(f"cp{rest}")
    return _SUPERSETS.get(codec, codec) if codec else None


def decode(data: bytes, label: str | None = None) -> str:
    """The text of some bytes that claim a charset; wrong claims are repaired where that is safe.

    A claim that fits is believed (with the superset that its senders use).  Where it does not fit,
    or there is none, UTF-8 is tried, then the claim with U+FFFD for what does not fit, or a guess.
    """
    codec = codec_of(label)
    if codec == "ascii":
        codec = None
    if codec is not None:
        text = _strict(data, codec)
        if text is not None:
            return text
    text = _strict(data, "utf_8")
    if text is not None:
        return text.removeprefix("\ufeff")
    return _clean(data.decode(codec or guess(data), "replace"))


def guess(data: bytes) -> str:
    """The likely codec of bytes that are not UTF-8 and carry no label; windows-1252 in doubt."""
    from charset_normalizer import from_bytes

    best = from_bytes(data[:GUESSED], steps=3, chunk_size=256).best()
    codec = codec_of(best.encoding) if best is not None else None
    return "cp1252" if codec in (None, "ascii", "utf_8") else str(codec)


def _strict(data: bytes, codec: str) -> str | None:
    try:
        return _clean(data.decode(codec)) if codec == "utf_7" else data.decode(codec)
    except (UnicodeError, ValueError):
        return None


def _clean(text: str) -> str:
    # utf-7 can spell half of a pair, which no database or JSON writer takes
    return _SURROGATE.sub("\ufffd", text)
