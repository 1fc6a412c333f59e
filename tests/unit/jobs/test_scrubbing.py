"""Scrubbing a stream: secrets leave it however the bytes are split, and nothing else changes."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.jobs.scrubbing import Scrubbing
from postroom.secret import Scrubber, Secret

VALUE = "Canary-7f3a.word"
LONG = "-----BEGIN PRIVATE KEY-----\nMIIabcdefghijklmnop\nqrstuvwxyz0123456789\n-----END PRIVATE KEY-----\n"


def scrubbed(parts: list[bytes], *values: str) -> bytes:
    stream = Scrubbing([Secret(value) for value in values])
    return b"".join([*map(stream.feed, parts), stream.end()])


@pytest.mark.parametrize("size", range(1, 20))
def test_a_secret_that_is_split_over_reads_is_removed(size: int) -> None:
    """T34: a program that writes a secret in pieces does not get it past the scrubber."""
    data = f"before {VALUE} between {VALUE.upper()}{VALUE} after {LONG}end".encode()
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    assert scrubbed(parts, VALUE, LONG) == b"before **** between ******** after ****end"


def test_its_encodings_are_removed_too() -> None:
    data = base64.b64encode(b"user:" + VALUE.encode()) + b" " + VALUE.encode().hex().encode()
    found = scrubbed([data[:9], data[9:]], VALUE)
    assert b"****" in found
    assert VALUE.encode().hex().encode() not in found
    assert base64.b64encode(VALUE.encode())[3:-4] not in found


def test_the_longer_of_two_that_begin_alike_goes_as_a_whole() -> None:
    assert scrubbed([b"x pass", b"word1 y"], "pass", "password1") == b"x **** y"
    assert scrubbed([b"x pass", b"ing y"], "pass", "password1") == b"x ****ing y"


def test_only_what_may_be_a_beginning_is_held_back() -> None:
    stream = Scrubbing([Secret(VALUE)])
    assert stream.feed(b"Password: ") == b"Password: "
    assert stream.feed(b"a Cana") == b"a "
    assert stream.feed(b"da") == b"Canada"


@given(
    st.lists(st.sampled_from([b"a", b"b", b"ab", b"abab", b"ababab", b"x", b"\n"]), max_size=40),
    st.lists(st.integers(1, 7), min_size=1, max_size=8),
)
def test_any_split_gives_what_scrubbing_the_whole_gives(
    words: list[bytes], sizes: list[int]
) -> None:
    data, parts, at, turn = b"".join(words), [], 0, 0
    while at < len(data):
        parts.append(data[at : at + sizes[turn % len(sizes)]])
        at += len(parts[-1])
        turn += 1
    values = ["ababab", "abab", "xabab"]
    found = scrubbed(parts, *values)
    assert not any(value.encode() in found for value in values)
    assert found.replace(b"****", b"") == Scrubber(map(Secret, values)).bytes(data).replace(
        b"****", b""
    )
