"""Sealed values and key files: what was not sealed with this key for this place is never a value."""

from __future__ import annotations

import contextlib

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from postroom.errors import Locked, Unreadable
from postroom.vault.keyfile import parse_key
from postroom.vault.seal import (
    KEY_BYTES,
    associated_data,
    key_id_of,
    open_value,
    pad,
    seal_value,
    unpad,
    unwrap_key,
    wrap_key,
)

__all__ = ["WORDS", "check"]

WORDS = (
    b"PRSV\x01\x01", b"PRWK\x01\x01", b"\x80", bytes(16), bytes(63), b"hunter2", b"\x01", b"\0", b"#",
    b"\n", b"A" * 43, b"=", b"0f" * 31, b"0f",
)  # fmt: skip
KEY = AESGCM(bytes(range(32)))
KEY_ID = "00112233445566778899aabbccddeeff"
BOUND = associated_data([b"room", b"field"])
SEALED = seal_value(KEY, KEY_ID, b"hunter2", BOUND, random=bytes)
WRAPPED = wrap_key(KEY, bytes(range(32)), BOUND)


def check(data: bytes) -> None:
    """The bytes as a blob, as damage to a blob, as padding, as what it is bound to, and as a value."""
    for blob in (data, *_damaged(SEALED, data)):
        _unreadable(open_value, blob)
    for blob in (data, *_damaged(WRAPPED, data)):
        _unreadable(unwrap_key, blob)
    if data != b"field":
        _unreadable(open_value, SEALED, associated_data([b"room", data]))
    with contextlib.suppress(Unreadable):
        assert pad(unpad(data)) == data
    assert unpad(pad(data)) == data
    _key_file(data.decode("utf-8", "replace"))
    sealed = seal_value(KEY, KEY_ID, data, BOUND)
    assert key_id_of(sealed) == KEY_ID
    assert open_value(KEY, sealed, BOUND) == data
    assert len(data) < 8 or data not in sealed


def _key_file(text: str) -> None:
    """The text as a key file: one key, or a refusal that does not quote it."""
    try:
        assert len(parse_key(text, "here").reveal_bytes()) == KEY_BYTES
    except Locked as error:
        refused = str(error.as_json())
        assert not any(len(word) > 40 and word in refused for word in text.split())


def _damaged(blob: bytes, data: bytes) -> list[bytes]:
    """The blob with the bytes over its beginning, over its end, behind it, and cut by their number."""
    some = data[: len(blob)]
    rest = len(blob) - len(some)
    mixed = (
        bytes(a ^ b for a, b in zip(blob, some + bytes(rest), strict=True)),
        bytes(a ^ b for a, b in zip(blob, bytes(rest) + some, strict=True)),
        some + blob[len(some) :],
        blob + data,
        blob[: len(blob) - len(data) % len(blob)],
    )
    return [each for each in mixed if each != blob]


def _unreadable(read: object, blob: bytes, bound: bytes = BOUND) -> None:
    assert callable(read)
    try:
        value = read(KEY, blob, bound)
    except Unreadable as error:
        refused = str(error.as_json())
        assert len(blob) < 8 or repr(blob)[2:-1] not in refused
    else:
        raise AssertionError(f"opened as {value!r}")
