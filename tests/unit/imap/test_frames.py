"""Any split of the bytes gives the same events, and every limit holds."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.errors import ProtocolError
from postroom.protocols.base import Limits
from postroom.protocols.imap.frames import CHUNK, Chunk, Framer, Large
from postroom.protocols.imap.machine import Machine
from postroom.protocols.imap.responses import Event, Fetch, Search, Vanished
from tests.fuzz.imap import SMALL
from tests.fuzz.imap import events as heard
from tests.fuzz.target import split
from tests.unit.imap.recorded import GREETING, everything


def events(data: bytes, cuts: list[int]) -> list[Event]:
    """What a core makes of the bytes, cut at these places."""
    return heard(split(data, cuts))


@settings(max_examples=300)
@given(st.lists(st.integers(min_value=0), max_size=40))
def test_any_split_gives_the_same_events(cuts: list[int]) -> None:
    assert events(everything(), cuts) == events(everything(), [])


def test_byte_by_byte_gives_the_same_events() -> None:
    whole = events(everything(), [])
    assert events(everything(), list(range(len(everything())))) == whole
    assert sum(isinstance(event, Fetch) for event in whole) == 12


@pytest.mark.parametrize("length", range(SMALL.line // 2 - 3, SMALL.line // 2 + 4))
@pytest.mark.parametrize(
    ("begin", "between"),
    [(b"* SEARCH ", b" "), (b"* VANISHED (EARLIER) ", b","), (b"* ESEARCH UID ALL ", b",")],
)
def test_numbers_about_as_long_as_a_piece_are_cut_alike(
    length: int, begin: bytes, between: bytes
) -> None:
    line = (begin + (b"7" + between) * length)[: length - 1] + b"8\r\n"
    assert len(line) == length + 2
    data = GREETING + line
    assert events(data, list(range(len(data)))) == events(data, [])


def test_numbers_longer_than_a_line_are_all_there() -> None:
    """As many as a folder has messages; one event for each piece."""
    found = events(everything(), [])
    earlier = [e for e in found if isinstance(e, Vanished) and e.earlier and len(e.ranges) > 3]
    searched = [e for e in found if isinstance(e, Search) and e.ranges[:1] >= [(200_000, 200_000)]]
    for pieces, first in ((earlier, 300_000), (searched, 200_000)):
        assert len(pieces) > 3
        assert [r for e in pieces for r in e.ranges] == [
            (n, n) for n in range(first, first + 400, 2)
        ]


@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
@pytest.mark.parametrize("read", [1000, CHUNK, 10 * CHUNK])
def test_a_large_literal_comes_in_whole_pieces(size: int, read: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
    data = GREETING + b"* 1 FETCH (UID 5 BODY[] {%d}\r\n%s FLAGS (\\Seen))\r\n" % (size, body)
    found = events(data, list(range(0, len(data), read)))[1:]
    large, *chunks, fetch = found
    assert isinstance(large, Large)
    assert large.size == size
    pieces = [chunk.data for chunk in chunks if isinstance(chunk, Chunk)]
    assert b"".join(pieces) == body
    assert all(len(piece) == CHUNK for piece in pieces[:-1])
    assert isinstance(fetch, Fetch)
    assert fetch.body is large
    assert (fetch.uid, fetch.flags) == (5, ("\\Seen",))


def feed(core: Machine, data: bytes, read: int) -> None:
    """The bytes in reads of that size, the events thrown away."""
    for start in range(0, len(data), read):
        core.receive(memoryview(data)[start : start + read])


HOSTILE = {
    "literal bomb": b"* 1 FETCH (UID 1 BODY[] {3000000000}\r\n",
    "negative literal": b"* 1 FETCH (UID 1 BODY[] {-1}\r\n",
    "literal beyond numbers": b"* 1 FETCH (UID 1 BODY[] {99999999999999999999}\r\n",
    "literal without size": b"* 1 FETCH (UID 1 BODY[] {}\r\n",
    "endless line": b"* OK " + b"x" * 2_000_000,
    "endless line of brackets": b'* LIST () "/" ' + b"[" * 2_000_000,
    "long line that ends": b"* OK " + b"x" * 100_000 + b"\r\n",
    "endless search": b"* SEARCH " + b"1" * 2_000_000,
    "nested lists": b"* LIST " + b"(" * 100_000 + b"\r\n",
    "nested a little": b"* LIST " + b"(" * 65 + b")" * 65 + b"\r\n",
    "many small literals": b"* LIST (" + b"{1}\r\nx " * 200_000,
    "many literals in one": b"* LIST (" + b"{90000}\r\n" + (b"x" * 90_000 + b" {90000}\r\n") * 30,
    "open quote": b'* LIST () "/" "abc\r\n',
    "open list": b'* LIST (\\Noselect "/" abc\r\n',
    "closed too often": b"* LIST () ) x y\r\n",
    "number beyond numbers": b"* 1 FETCH (UID " + b"9" * 5000 + b")\r\n",
    "uid that is none": b"* 1 FETCH (UID (5) FLAGS ())\r\n",
    "no IMAP at all": b"HTTP/1.1 400 Bad Request\r\n",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("read", [4096, 262_144])
def test_what_is_hostile_ends_the_connection_without_memory(data: bytes, read: int) -> None:
    core = Machine(Limits())
    core.receive(memoryview(GREETING))
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            feed(core, data, read)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_endless_untagged_lines_end_the_connection() -> None:
    core = Machine(Limits())
    core.receive(memoryview(GREETING))
    with pytest.raises(ProtocolError, match="more than anybody asked"):
        feed(core, b"* 1 RECENT\r\n" * 200_000, 262_144)


def test_a_big_folder_may_answer_at_length() -> None:
    core = Machine(Limits())
    core.receive(memoryview(GREETING + b"* 500000 EXISTS\r\n"))
    many = memoryview(b"* 1 FETCH (UID 1 FLAGS ())\r\n" * 1000)
    assert sum(len(core.receive(many)) for _ in range(500)) == 500_000


def test_text_for_people_announces_no_literal() -> None:
    framer = Framer(SMALL)
    lines = [b"* OK use {5}", b"A12 NO [X] see {7}", b"+ go {3}", b"* BYE {1}"]
    assert framer.feed(b"".join(line + b"\r\n" for line in lines)) == [[line] for line in lines]


def test_a_literal_inside_a_response_code_is_one() -> None:
    frames = Framer(SMALL).feed(b"A1 NO [BADCHARSET ({5}\r\nUTF-8)] no\r\n")
    assert frames == [[b"A1 NO [BADCHARSET (", b"UTF-8", b")] no"]]
