"""The sealed format: what opens, what never does, and what it hides."""

from __future__ import annotations

import dataclasses
import itertools
import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hypothesis import given
from hypothesis import strategies as st

from postroom.errors import RoomError, Unreadable
from postroom.vault.datakey import Binding, DataKey
from postroom.vault.seal import (
    associated_data,
    derive,
    key_id_of,
    open_value,
    pad,
    seal_value,
    unpad,
)
from postroom.vault.seal import unwrap_key as unwrap
from postroom.vault.seal import wrap_key as wrap
from tests.faults.dose import dose

KEY_ID = "00112233445566778899aabbccddeeff"


def test_every_flipped_bit_of_a_blob_is_noticed() -> None:
    """T7: none of the bits of a sealed value is free, its head included."""
    key, bound = AESGCM(os.urandom(32)), b"bound"
    blob = seal_value(key, KEY_ID, b"hunter2", bound)
    assert open_value(key, blob, bound) == b"hunter2"
    for bit in range(len(blob) * 8):
        flipped = bytearray(blob)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Unreadable):
            open_value(key, bytes(flipped), bound)


def test_every_flipped_bit_of_a_wrapped_key_is_noticed() -> None:
    """T7: the same for data keys and vault keys in their wrapping."""
    wrapper, key = AESGCM(os.urandom(32)), os.urandom(32)
    wrapped = wrap(wrapper, key, b"bound")
    assert unwrap(wrapper, wrapped, b"bound") == key
    for bit in range(len(wrapped) * 8):
        flipped = bytearray(wrapped)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Unreadable):
            unwrap(wrapper, bytes(flipped), b"bound")


FOREIGN = [
    b"",
    b"P",
    b"hunter2",
    b"PRSV",
    b"PRSV\x01\x01",
    b"$wd01$b64:aGVsbG8=",  # EmailEngine
    b"gAAAAABkx0s3b2Fyc2UgdGV4dCBvZiBhIGZlcm5ldCB0b2tlbg==",  # Fernet
    os.urandom(200),
    b"PRSW\x01\x01" + bytes(150),
    b"PRSV\x02\x01" + bytes(150),
    b"PRSV\x01\x02" + bytes(150),
    b"PRSV\x01\x01" + bytes(150),
]


@pytest.mark.parametrize("blob", FOREIGN, ids=range(len(FOREIGN)))
def test_what_has_another_format_is_an_error_and_never_a_value(blob: bytes) -> None:
    """T8: no older format, no plain text, no downgrade."""
    with pytest.raises(Unreadable):
        open_value(AESGCM(bytes(32)), blob, b"")


def test_a_text_in_place_of_bytes_is_an_error() -> None:
    """T8: SQLite gives a text when somebody wrote one."""
    with pytest.raises(Unreadable):
        key_id_of("hunter2")  # type: ignore[arg-type]


# The Galois/Counter Mode of Operation (McGrew, Viega), appendix B, test cases 13 to 16.
GCM = [
    ("00" * 32, "00" * 12, "", "", "530f8afbc74536b9a963b4f1c4cb738b"),
    ("00" * 32, "00" * 12, "00" * 16, "",
     "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"),
    ("feffe9928665731c6d6a8f9467308308" * 2, "cafebabefacedbaddecaf888",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
     "76fc6ece0f4e1768cddf8853bb2d551b"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "nonce", "text", "bound", "sealed"), GCM)
def test_the_cipher_is_aes_gcm(key: str, nonce: str, text: str, bound: str, sealed: str) -> None:
    """T9: published vectors of AES-256-GCM."""
    found = AESGCM(bytes.fromhex(key)).encrypt(
        bytes.fromhex(nonce), bytes.fromhex(text), bytes.fromhex(bound)
    )
    assert found.hex() == sealed


def test_the_key_derivations_are_the_published_ones() -> None:
    """T9: HKDF of RFC 5869 (A.1) and Argon2id of RFC 9106 (5.3)."""
    label = bytes(range(0xF0, 0xFA))
    assert derive(b"\x0b" * 22, label, salt=bytes(range(13)), size=42).hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )
    argon2 = Argon2id(
        salt=b"\x02" * 16, length=32, iterations=3, lanes=4, memory_cost=32,
        ad=b"\x04" * 12, secret=b"\x03" * 8,
    )  # fmt: skip
    assert argon2.derive(b"\x01" * 32).hex() == (
        "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"
    )


def test_no_nonce_comes_twice() -> None:
    """T10: a hundred thousand seals, as many nonces; a million with ``FAULTS=full``."""
    key = AESGCM(os.urandom(32))
    seals = dose(100_000, 1_000_000, 1_000_000)
    nonces = {seal_value(key, KEY_ID, b"x", b"")[22:34] for _ in range(seals)}
    assert len(nonces) == seals


def test_a_random_source_that_repeats_itself_stops_the_seal() -> None:
    """T10: the guard of the data key, not luck."""
    key = DataKey(KEY_ID, os.urandom(32), random=lambda size: b"\x07" * size)
    key.seal(b"one", b"value")
    with pytest.raises(RoomError, match="same number twice"):
        key.seal(b"two", b"value")


def test_a_data_key_seals_a_field_once() -> None:
    """T10: another value of the same field needs another version, and with it another key."""
    key = DataKey(KEY_ID, os.urandom(32))
    key.seal(b"one", b"value")
    with pytest.raises(RoomError, match="twice"):
        key.seal(b"one", b"other value")


@st.composite
def same_text_cut_twice(draw: st.DrawFn) -> tuple[list[bytes], list[bytes]]:
    """Two lists of parts with the same concatenation: what an ambiguous coding mixes up."""
    text = draw(st.binary(min_size=1, max_size=12))

    def cut() -> list[bytes]:
        places = draw(st.lists(st.integers(0, len(text)), max_size=4).map(sorted))
        return [text[i:j] for i, j in itertools.pairwise([0, *places, len(text)])]

    return cut(), cut()


@given(same_text_cut_twice())
def test_two_different_lists_have_different_associated_data(
    lists: tuple[list[bytes], list[bytes]],
) -> None:
    """T11: lengths stand before the parts, so nothing can move from one part to the next."""
    one, two = lists
    assert (associated_data(one) == associated_data(two)) == (one == two)


@st.composite
def bound_alike(draw: st.DrawFn) -> tuple[tuple[Binding, str], tuple[Binding, str]]:
    """Two bindings with their fields, whose words run together to the same text."""
    text = draw(st.text("ab1", min_size=1, max_size=8))

    def words() -> tuple[Binding, str]:
        at = draw(st.lists(st.integers(0, len(text)), min_size=4, max_size=4).map(sorted))
        kind, record, name, type_, field = (
            text[i:j] for i, j in itertools.pairwise([0, *at, len(text)])
        )
        lines = tuple(draw(st.lists(st.sampled_from(["a", "b", "ab"]), max_size=2)))
        return Binding(kind, record, name, type_, draw(st.sampled_from([1, 11])), lines), field

    return words(), words()


@given(bound_alike())
def test_two_different_bindings_have_different_associated_data(
    pair: tuple[tuple[Binding, str], tuple[Binding, str]],
) -> None:
    """T11: the same for what records are bound to; the order of destinations does not count."""
    (one, field), (two, other) = pair
    same = field == other and dataclasses.replace(one, destinations=()) == dataclasses.replace(
        two, destinations=()
    )
    same = same and set(one.destinations) == set(two.destinations)
    assert (one.bound("room", field) == two.bound("room", other)) == same


def test_a_blob_does_not_tell_how_long_a_password_is() -> None:
    """T12: one to sixty bytes take the same room."""
    key = AESGCM(os.urandom(32))
    sizes = {len(seal_value(key, KEY_ID, b"x" * length, b"")) for length in range(1, 61)}
    assert len(sizes) == 1


@given(st.binary(max_size=300))
def test_padding_comes_off_as_it_went_on(text: bytes) -> None:
    """T12: every text has exactly one padded form, of a multiple of 64 bytes."""
    assert unpad(pad(text)) == text
    assert len(pad(text)) % 64 == 0


@pytest.mark.parametrize(
    "padded", [b"", bytes(64), b"x" * 64, b"\x80" + bytes(62), pad(b"x")[:-1], b"\x80" + bytes(127)]
)
def test_what_is_no_padding_is_refused(padded: bytes) -> None:
    with pytest.raises(Unreadable):
        unpad(padded)
