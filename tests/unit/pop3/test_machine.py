"""The POP3 core: any split gives the same content; limits hold; nothing unasked is believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.errors import FolderError, ProtocolError
from postroom.protocols.base import Limits
from postroom.protocols.pop3.headers import header_block, pick
from postroom.protocols.pop3.listing import Listed, join_listing
from postroom.protocols.pop3.machine import Answer, Chunk, Kind, Pop3Core
from tests.fuzz.pop3 import heard
from tests.fuzz.target import split

__all__: list[str] = []

bodies = st.lists(
    st.sampled_from([b".", b"..", b"a", b"\r\n", b"\r\n.", b"\r\n..\r\n", b"x" * 40, b"\r", b"\n"]),
    max_size=25,
).map(lambda parts: b"".join(parts) + b"\r\n")


def stuffed(body: bytes) -> bytes:
    return b"\r\n".join(b"." + line if line[:1] == b"." else line for line in body.split(b"\r\n"))


@given(
    st.lists(bodies, max_size=4),
    st.lists(st.integers(0, 10_000), max_size=12),
    st.sampled_from([1, 16, 100_000]),
)
def test_any_split_and_any_limit_give_the_same_messages(messages, cuts, in_memory):
    wire = b"+OK ready\r\n" + b"".join(b"+OK n\r\n" + stuffed(m) + b".\r\n" for m in messages)
    core = Pop3Core(Limits(in_memory=in_memory))
    for _ in messages:
        core.expect("message")
    expected = [(True, b"ready", b""), *((True, b"n", message) for message in messages)]
    assert heard(core, split(wire, cuts)) == expected


def test_an_empty_answer_has_no_data():
    core = Pop3Core()
    core.expect("listing", "message", "line")
    assert heard(core, [b"+OK\r\n+OK 0\r\n.\r\n+OK\r\n.\r\n-ERR [IN-USE] no\r\n"]) == [
        (True, b"", b""),
        (True, b"0", b""),
        (True, b"", b""),
        (False, b"[IN-USE] no", b""),
    ]


def test_a_challenge_is_not_the_answer_yet():
    core = Pop3Core()
    core.receive(b"+OK\r\n")
    core.expect("line")
    assert core.receive(b"+ \r\n+OK in\r\n") == [Answer(None, b""), Answer(True, b"in")]


def test_a_large_message_comes_in_chunks_and_little_is_kept():
    core = Pop3Core(Limits(in_memory=1000))
    core.expect("message")
    core.receive(b"+OK\r\n+OK big\r\n")
    line = b"." + b"x" * 70 + b"\r\n"
    sizes = []
    for _ in range(1000):
        sizes += [len(e.data) for e in core.receive(b"." + line) if isinstance(e, Chunk)]
    assert sum(sizes) > 70_000
    (last,) = [e for e in core.receive(b".\r\n") if isinstance(e, Answer)]
    assert last.size == 1000 * len(line)


def test_a_header_block_too_long_is_cut_after_a_whole_line():
    core = Pop3Core(Limits(in_memory=1000))
    core.expect("headers")
    core.receive(b"+OK\r\n")
    answers = core.receive(b"+OK\r\n" + b"X-Long: y\r\n" * 5000) + core.receive(b"\r\n.\r\n")
    (answer,) = [e for e in answers if isinstance(e, Answer)]
    assert 900 < len(answer.data) <= 1000
    assert answer.data == b"X-Long: y\r\n" * (len(answer.data) // 11)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("line", b"x" * 3000),
        ("line", b"OK\r\n"),
        ("line", b"+OKAY\r\n"),
        ("message", b"+OK\r\n" + b"x" * 5000),
        ("message", b"+OK\r\n" + b"x\r\n" * 2000),
        ("headers", b"+OK\r\n" + b"X: y\r\n" * 2000),
        ("listing", b"+OK\r\n" + b"1 2\r\n" * 2000),
        ("line", b"+OK\r\n+OK nobody asked\r\n"),
    ],
)
def test_what_ends_the_connection(kind: Kind, data):
    core = Pop3Core(Limits(line=2000, literal=4000, in_memory=100))
    core.receive(b"+OK\r\n")
    core.expect(kind)
    with pytest.raises(ProtocolError):
        heard(core, split(data, list(range(0, len(data), 50))))


def test_a_listing_is_kept_up_to_its_own_limit_whatever_the_messages_may_have():
    core = Pop3Core()
    core.receive(b"+OK\r\n")
    core.expect("listing")
    core.receive(b"+OK\r\n")
    with pytest.raises(ProtocolError, match="8388608"):
        heard(core, [b"1 aaaaaaaa\r\n" * 10_000] * 100)


def test_listing():
    assert join_listing(b"1 abc\r\n2 d~!\r\n", b"1 120\r\n2 90 extra\r\n") == {
        "abc": Listed(1, 120),
        "d~!": Listed(2, 90),
    }


def test_an_id_given_twice_is_refused_by_name():
    with pytest.raises(FolderError, match="abc") as caught:
        join_listing(b"1 abc\r\n2 abc\r\n", b"1 1\r\n2 1\r\n")
    assert not caught.value.temporary


@pytest.mark.parametrize("line", [b"1", b"x abc", b"1 a b", b"1 a\x00b", b"1 " + b"x" * 300])
def test_a_line_that_is_no_uidl_is_an_error(line):
    with pytest.raises(ProtocolError):
        join_listing(line + b"\r\n", b"1 1\r\n")


BLOCK = b"Subject: a\r\n b\r\nX: y\r\nsubject: c\r\nTo: d\r\n\r\n"


@pytest.mark.parametrize(
    ("names", "picked"),
    [
        (["SUBJECT"], b"Subject: a\r\n b\r\nsubject: c\r\n\r\n"),
        (["to", "x"], b"X: y\r\nTo: d\r\n\r\n"),
        (["cc"], b""),
        ([], b""),
    ],
)
def test_fields_are_picked_with_their_folded_lines(names, picked):
    assert pick(BLOCK, names) == picked


def test_body_lines_behind_the_header_are_left_out():
    assert header_block(BLOCK + b"body\r\n\r\nmore") == BLOCK
    assert header_block(b"\r\nbody") == b"\r\n"
    assert header_block(b"X: y\r\n") == b"X: y\r\n"
