"""A message taken apart in its file, and what is said of it to Graph."""

from __future__ import annotations

import io
import tracemalloc

import pytest

from postroom.errors import InvalidValue
from postroom.protocols.base import Envelope
from postroom.protocols.graph.composing import outgoing, structured, with_bcc
from postroom.protocols.graph.cursors import Cursor, leaf_of
from postroom.protocols.graph.parts import take_apart

__all__: list[str] = []

MIXED = (
    b"From: Ada <ada@a.example>\r\nTo: b@b.example, c@c.example\r\nCc: d@d.example\r\n"
    b"Subject: =?utf-8?q?Gr=C3=B6=C3=9Fe?=\r\nMessage-ID: <1@a.example>\r\nX-Order: 7\r\n"
    b'Content-Type: multipart/mixed; boundary="b b"\r\n\r\npreamble\r\n--b b  \r\n'
    b"Content-Type: multipart/alternative; boundary=c\r\n\r\n"
    b"--c\r\n\r\nplain\r\n--c\r\nContent-Type: text/html; charset=latin-1\r\n\r\n<p>\xe4</p>\r\n"
    b"--c--\r\nnothing\r\n--b b\r\nContent-Type: text/csv; name=a.csv\r\n\r\n1;2\r\n\r\n"
    b"--b b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\n--not a boundary\r\n"
    b"--b b\r\nContent-Type: image/png\r\nContent-ID: <logo>\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nAAEC\r\nAwQ=\r\n--b b--\r\nepilogue\r\n"
)


def _leaves(raw: bytes) -> list[tuple[str, bytes]]:
    file = io.BytesIO(raw)
    return [(x.content_type, b"".join(x.decoded(file))) for x in take_apart(file).leaves]


@pytest.mark.parametrize("ends", [b"\r\n", b"\n"])
def test_every_part_to_its_last_byte(ends: bytes):
    """RFC 2046, 5.1.1: the line end before a boundary is the boundary's."""
    assert _leaves(MIXED.replace(b"\r\n", ends)) == [
        ("text/plain", b"plain"),
        ("text/html", b"<p>\xe4</p>"),
        ("text/csv", b"1;2" + ends),
        ("message/rfc822", b"Subject: inner" + ends * 2 + b"--not a boundary"),
        ("image/png", b"\0\1\2\3\4"),
    ]


@pytest.mark.parametrize(
    ("raw", "leaves"),
    [
        (b"", []),
        (b"Subject: a\r\n\r\n", [("text/plain", b"")]),
        (b"Subject: a\r\n\r\nbody\r\n", [("text/plain", b"body\r\n")]),
        (b"Content-Type: multipart/mixed\r\n\r\nx\r\n", [("text/plain", b"x\r\n")]),
        (
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ncut",
            [("text/plain", b"cut")],
        ),
        (
            b"Content-Transfer-Encoding: quoted-printable\r\n\r\na=\r\nb=3D\r\n",
            [("text/plain", b"ab=\r\n")],
        ),
    ],
)
def test_broken_and_empty_ones_too(raw: bytes, leaves: list[tuple[str, bytes]]):
    assert _leaves(raw) == leaves


def test_what_is_meant_to_harm_is_refused():
    deep = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(99)
    )
    many = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 5000
    for raw in (deep, many):
        with pytest.raises(InvalidValue):
            take_apart(io.BytesIO(raw))


def test_a_long_line_is_not_held_in_memory():
    raw = b"Subject: a\r\n\r\n" + b"x" * 20_000_000
    file = io.BytesIO(raw)
    tracemalloc.start()
    (leaf,) = take_apart(file).leaves
    assert leaf.size(file) == 20_000_000
    assert tracemalloc.get_traced_memory()[1] < 3_000_000
    tracemalloc.stop()


def test_a_structured_message_keeps_what_graph_can_carry():
    file = io.BytesIO(MIXED)
    taken = take_apart(file)
    envelope = Envelope("ada@a.example", ("b@b.example", "d@d.example", "hidden@e.example"))
    said = outgoing(taken.fields, envelope, envelope.recipients, "team@a.example")
    assert not said.exact, "c@c.example stands in the header and is no recipient"
    message, files = structured(taken, file, said)
    addresses = {
        key: [one["emailAddress"]["address"] for one in message[f"{key}Recipients"]]
        for key in ("to", "cc", "bcc")
    }
    assert addresses == {"to": ["b@b.example"], "cc": ["d@d.example"], "bcc": ["hidden@e.example"]}
    assert message["from"] == {"emailAddress": {"address": "ada@a.example", "name": "Ada"}}
    assert message["subject"] == "Größe"
    assert message["body"] == {"contentType": "html", "content": "<p>ä</p>"}
    assert message["internetMessageId"] == "<1@a.example>"
    assert message["internetMessageHeaders"] == [{"name": "X-Order", "value": "7"}]
    names = [one.shown_name(number) for number, one in enumerate(files, 1)]
    assert names == ["a.csv", "part-2.eml", "part-3.png"]
    assert files[2].content_id == "logo"


def test_who_stands_in_no_header_goes_as_bcc():
    assert with_bcc(b"To: a@b.example\r\n\r\n", ()) == b"To: a@b.example\r\n\r\n"
    many = with_bcc(b"To: x\r\n\r\n", [f"r{n}@b.example" for n in range(100)])
    assert all(len(line) < 100 for line in many.split(b"\r\n"))
    assert many.startswith(b"Bcc: r0@b.example,\r\n r1@b.example")


@pytest.mark.parametrize(
    "cursor",
    [
        Cursor("F=", "/v1.0/users/a/mailFolders/F/messages/delta?$deltatoken=x y"),
        Cursor("F=", "", "2026-01-01T00:00:00Z", ("A=", "B=")),
        Cursor("F=", "", ""),
    ],
)
def test_a_cursor_is_read_as_it_was_written(cursor: Cursor):
    assert Cursor.read(str(cursor)) == cursor
    assert Cursor.read("17/42") is None


def test_the_last_word_of_a_page_counts():
    removed = {"@removed": {"reason": "deleted"}}
    leaf = leaf_of({
        "@odata.deltaLink": "x",
        "value": [{"id": "a"}, {"id": "b"}, {"id": "a", **removed}, {"id": "c", **removed}, {"id": "c"}],
    })  # fmt: skip
    assert ([row["id"] for row in leaf.rows], leaf.gone, leaf.last) == (["b", "c"], ["a"], True)
