"""Content on the wire: nothing in it can end the message, and nothing of it is lost."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.protocols.smtp.wireform import END, Stuffer, examine, examine_whole, stuffed

__all__: list[str] = []

# what smuggling is made of, close together
contents = st.lists(
    st.sampled_from([b"\r", b"\n", b".", b"a", b"\r\n", b"\r\n."]), max_size=30
).map(b"".join)


def normal(data: bytes) -> bytes:
    data = re.sub(rb"\r\n|\r|\n", b"\r\n", data)
    return data if not data or data.endswith(b"\r\n") else data + b"\r\n"


def in_pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in [*sizes, len(data)]:
        pieces.append(data[:size])
        data = data[size:]
    return pieces


def unstuffed(wire: bytes) -> bytes:
    """What a server takes that believes in CRLF alone."""
    assert wire.endswith(END)
    lines = wire[: -len(END)].split(b"\r\n")
    assert b"." not in lines, "the message ends in its middle"
    return b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)


@given(contents, st.lists(st.integers(0, 5), max_size=10))
def test_a_stream_is_stuffed_like_a_whole_and_read_back_whole(data, sizes):
    whole = stuffed(data, tidy=examine_whole(data).tidy) + END
    stuffer = Stuffer()
    stream = b"".join(map(stuffer.feed, in_pieces(data, sizes))) + stuffer.end() + END
    assert whole == stream
    assert unstuffed(whole) == normal(data)


@given(contents)
def test_a_lenient_server_sees_one_message_too(data):
    """T70: a sink that takes CR, LF and CRLF for line ends finds one end of data."""
    wire = stuffed(data, tidy=examine_whole(data).tidy) + END
    lines = re.split(rb"\r\n|\r|\n", wire)
    assert lines.count(b".") == 1
    assert b"\n" not in wire.replace(b"\r\n", b"")
    assert b"\r" not in wire.replace(b"\r\n", b"")


@given(contents, st.lists(st.integers(0, 5), max_size=10))
def test_examination_in_pieces_is_that_of_the_whole(data, sizes):
    seen = examine(in_pieces(data, sizes))
    assert seen == examine_whole(data) == examine((data,))
    assert seen.size == len(normal(data))
    assert seen.tidy == (data == normal(data))
    assert seen.longest == max(map(len, re.split(rb"\r\n|\r|\n", data)))


@pytest.mark.parametrize(
    ("data", "eight_bit", "nul"),
    [(b"a\r\n", False, False), (b"\xfc", True, False), (b"\0", False, True)],
)
def test_what_servers_do_not_always_take(data, eight_bit, nul):
    seen = examine_whole(data)
    assert (seen.eight_bit, seen.nul) == (eight_bit, nul)
