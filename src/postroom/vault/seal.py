"""The sealed format: one value under one key, bound to what it belongs to (RFC 5116), pure.

    sealed value   "PRSV" version suite key-id(16) nonce(12) ciphertext tag(16)
    wrapped key    "PRWK" version suite            nonce(12) ciphertext tag(16)

Suite 1 is AEAD_AES_256_GCM (RFC 5116 section 5.2) with a random 96-bit nonce and the whole 128-bit
tag.  A random nonce is the "RBG-based construction" of NIST SP 800-38D section 8.2.2, which allows
2**32 seals under one key (8.3).  We stay far below it: a data key seals the few fields of one
record version, and a vault key wraps one data key for each of them.

What is bound to a value (its associated data) is a list whose every part is preceded by its length,
so no two different lists have the same bytes.  Whatever does not begin with a known magic, version
and suite is ``unreadable``: there is no older format, and nothing is ever taken for plain text.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from postroom.errors import Unreadable

__all__ = [
    "KEY_BYTES",
    "LABEL",
    "NONCE_BYTES",
    "SUITE",
    "associated_data",
    "decrypt",
    "derive",
    "encrypt",
    "key_id_of",
    "open_value",
    "pad",
    "seal_value",
    "unpad",
    "unwrap_key",
    "wrap_key",
]

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
ID_BYTES: Final = 16
PAD_TO: Final = 64
VERSION: Final = 1
SUITE: Final = 1
LABEL: Final = b"postroom"
"""The product's name in all associated data: what we seal opens for nobody else's purpose."""

_VALUE = b"PRSV" + bytes((VERSION, SUITE))
_KEY = b"PRWK" + bytes((VERSION, SUITE))
_VALUE_HEAD = len(_VALUE) + ID_BYTES
_length = struct.Struct(">Q").pack


def associated_data(parts: Iterable[bytes]) -> bytes:
    """The parts as one text: their number, then each one's length (8 bytes) and bytes."""
    listed = list(parts)
    framed = [_length(len(listed))]
    for part in listed:
        framed += (_length(len(part)), part)
    return b"".join(framed)


def pad(plaintext: bytes) -> bytes:
    """The text with one 0x80 and zeros up to a multiple of 64 (ISO/IEC 7816-4).

    The pad is there for every text, so it comes off in exactly one way.  It hides how long a
    password is: GCM itself does not.  It lies inside the seal, so there is no padding to probe.
    """
    return plaintext + b"\x80" + bytes(-(len(plaintext) + 1) % PAD_TO)


def unpad(padded: bytes) -> bytes:
    """What :func:`pad` was given; raises Unreadable for anything it does not make."""
    text = padded.rstrip(b"\0")
    if len(padded) % PAD_TO or len(padded) - len(text) >= PAD_TO or text[-1:] != b"\x80":
        raise Unreadable("A sealed value has no proper padding.")
    return text[:-1]


def derive(key: bytes, label: bytes, *, salt: bytes | None = None, size: int = KEY_BYTES) -> bytes:
    """A key of its own for one purpose: HKDF-SHA-256 (RFC 5869) of ``key``, with ``label`` as info."""
    return HKDF(SHA256(), size, salt=salt, info=label).derive(key)


def encrypt(key: AESGCM, nonce: bytes, plaintext: bytes, bound: bytes) -> bytes:
    """AEAD_AES_256_GCM and nothing else: the nonce (12 bytes), the ciphertext, the tag (16)."""
    return nonce + key.encrypt(nonce, plaintext, bound)


def decrypt(key: AESGCM, sealed: bytes, bound: bytes, otherwise: str) -> bytes:
    """What :func:`encrypt` sealed; raises Unreadable with the sentence ``otherwise``."""
    try:
        return key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
    except InvalidTag:
        raise Unreadable(otherwise) from None


def seal_value(
    key: AESGCM,
    key_id: str,
    plaintext: bytes,
    bound: bytes,
    *,
    random: Callable[[int], bytes] = os.urandom,
) -> bytes:
    """Seal one value.  ``bound`` is its associated data; ``key_id`` 32 hexadecimal characters.

    The head of the blob is authenticated too, so an edited version, suite or key id does not open.
    """
    head = _VALUE + bytes.fromhex(key_id)
    return head + encrypt(key, random(NONCE_BYTES), pad(plaintext), head + bound)


def key_id_of(blob: bytes) -> str:
    """The id of the data key a sealed value names; raises Unreadable for any other format."""
    shortest = _VALUE_HEAD + NONCE_BYTES + PAD_TO + TAG_BYTES
    if not isinstance(blob, bytes) or blob[: len(_VALUE)] != _VALUE or len(blob) < shortest:
        raise Unreadable("A sealed value is in no format that this release knows.")
    return blob[len(_VALUE) : _VALUE_HEAD].hex()


def open_value(key: AESGCM, blob: bytes, bound: bytes) -> bytes:
    """Open one value; raises Unreadable when key, text, head or associated data differ by a bit."""
    key_id_of(blob)
    head, rest = blob[:_VALUE_HEAD], blob[_VALUE_HEAD:]
    return unpad(
        decrypt(
            key,
            rest,
            head + bound,
            "A sealed value does not open: it was damaged, moved or edited.",
        )
    )


def wrap_key(wrapper: AESGCM, key: bytes, bound: bytes) -> bytes:
    """Seal a key under another key.

    The same AEAD as for values: the keys are uniform random bytes, so nothing would be won by the
    deterministic key wrap of RFC 3394, and only an AEAD binds a key to its room and purpose.
    """
    return _KEY + encrypt(wrapper, os.urandom(NONCE_BYTES), key, _KEY + bound)


def unwrap_key(wrapper: AESGCM, wrapped: bytes, bound: bytes) -> bytes:
    """Open a wrapped key (32 bytes); raises Unreadable."""
    size = len(_KEY) + NONCE_BYTES + KEY_BYTES + TAG_BYTES
    if not isinstance(wrapped, bytes) or not wrapped.startswith(_KEY) or len(wrapped) != size:
        raise Unreadable("A wrapped key is in no format that this release knows.")
    return decrypt(
        wrapper,
        wrapped[len(_KEY) :],
        _KEY + bound,
        "A wrapped key does not open: it was damaged or moved.",
    )
