"""The primitives that everything sealed rests on, by vectors that others published."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from postroom.errors import Unreadable
from postroom.vault import seal

VECTORS: Final = Path(__file__).with_name("gcm256.rsp")


def vectors() -> Iterator[dict[str, bytes]]:
    """Every case of the file; ``FAIL`` is a key where opening has to be refused."""
    for block in VECTORS.read_text().split("\n\n")[1:]:
        pairs = (line.partition("=") for line in block.splitlines() if line)
        yield {name.strip(): bytes.fromhex(value.strip()) for name, _, value in pairs}


def test_the_vectors_of_nist_open_and_are_refused_as_published() -> None:
    """T9: 200 cases of CAVP for AES-256-GCM with a 96-bit nonce: 50 of them must not open."""
    opened = refused = 0
    for case in vectors():
        key, sealed = AESGCM(case["Key"]), case["CT"] + case["Tag"]
        if "FAIL" in case:
            with pytest.raises(InvalidTag):
                key.decrypt(case["IV"], sealed, case["AAD"])
            refused += 1
        else:
            assert key.decrypt(case["IV"], sealed, case["AAD"]) == case["PT"]
            assert key.encrypt(case["IV"], case["PT"], case["AAD"]) == sealed
            opened += 1
    assert (opened, refused) == (150, 50)


WYCHEPROOF: Final[Any] = json.loads(VECTORS.with_name("wycheproof.json").read_text())


def test_our_seal_gives_and_refuses_what_wycheproof_says() -> None:
    """T9: all 66 cases for 256-bit keys, 96-bit nonces and 128-bit tags, by what seals every secret."""
    results: Counter[str] = Counter()
    for case in WYCHEPROOF["aes_gcm"]:
        parts = ("key", "iv", "aad", "msg", "ct", "tag")
        key, nonce, bound, text, sealed, tag = (bytes.fromhex(case[part]) for part in parts)
        aead, blob = AESGCM(key), nonce + sealed + tag
        if case["result"] == "valid":
            assert seal.encrypt(aead, nonce, text, bound) == blob, case["tcId"]
            assert seal.decrypt(aead, blob, bound, "-") == text, case["tcId"]
        else:
            with pytest.raises(Unreadable):
                seal.decrypt(aead, blob, bound, "-")
        results[case["result"]] += 1
    assert results == {"valid": 39, "invalid": 27}


def test_our_keys_are_derived_as_wycheproof_says() -> None:
    """T9: HKDF-SHA-256 with 256-bit keys, with salt and without, up to the longest output and beyond."""
    results: Counter[str] = Counter()
    for case in WYCHEPROOF["hkdf_sha256"]:
        key, salt, info = (bytes.fromhex(case[part]) for part in ("ikm", "salt", "info"))
        if case["result"] == "valid":
            found = seal.derive(key, info, salt=salt, size=case["size"])
            assert found.hex() == case["okm"], case["tcId"]
        else:
            with pytest.raises(ValueError):
                seal.derive(key, info, salt=salt, size=case["size"])
        results[case["result"]] += 1
    assert results == {"valid": 36, "invalid": 1}


FLIPPED: Final = (
    *((bit,) for bit in (0, 1, 7, 8, 31, 32, 33, 63, 64, 71, 77, 80, 96, 97, 103, 120, 121, 126,
                         127)),
    (0, 64), (31, 63), (63, 127), tuple(range(128)), tuple(range(0, 128, 8)),
    tuple(range(7, 128, 8)),
)  # fmt: skip
"""The bits of the tag that Wycheproof flips in aes_gcm_test.json, its invalid cases."""


@pytest.mark.parametrize("bits", FLIPPED, ids=lambda bits: f"{bits[0]}x{len(bits)}")
def test_a_modified_tag_is_refused(bits: tuple[int, ...]) -> None:
    """T9: rebuilt from the descriptions of Wycheproof's invalid cases, over every NIST case."""
    for case in vectors():
        if "FAIL" not in case:
            tag = bytearray(case["Tag"])
            for bit in bits:
                tag[bit // 8] ^= 1 << bit % 8
            with pytest.raises(InvalidTag):
                AESGCM(case["Key"]).decrypt(case["IV"], case["CT"] + bytes(tag), case["AAD"])


@pytest.mark.parametrize("tag", [bytes(16), b"\xff" * 16, b"", b"\0", None])
def test_a_replaced_or_truncated_tag_is_refused(tag: bytes | None) -> None:
    """T9: all zeros, all ones, none, one byte, and each truncation of the right one."""
    for case in list(vectors())[::7]:
        if "FAIL" in case:
            continue
        for wrong in [tag] if tag is not None else [case["Tag"][:size] for size in range(16)]:
            with pytest.raises(InvalidTag):
                AESGCM(case["Key"]).decrypt(case["IV"], case["CT"] + wrong, case["AAD"])
