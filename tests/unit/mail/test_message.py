"""Message on hostile mail: it never raises, takes little time and memory, and says what was odd."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from postroom.mail import Message, mimeread
from tests.fuzz.message import WORDS, everything
from tests.memory import MIB, memory_growth

__all__: list[str] = []


def multipart(*parts: bytes, boundary: bytes = b"B", kind: bytes = b"mixed") -> bytes:
    lines = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    head = b"Content-Type: multipart/" + kind + b'; boundary="' + boundary + b'"\r\n\r\n'
    return head + lines + b"--" + boundary + b"--\r\n"


def nested(depth: int) -> bytes:
    raw = b"\r\ninner"
    for level in range(depth):
        raw = multipart(raw, boundary=b"b%d" % level)
    return raw


BOMBS: dict[str, tuple[bytes, str]] = {
    "100,000 headers": (b"A: b\r\n" * 100_000 + b"\r\nx", "longer than 262144"),
    "encoded words": (b"Subject: " + b"=?utf-8?q?=41?= " * 16_000 + b"\r\n\r\n", "16384"),
    "addresses": (b"To: " + b"a@x.org, " * 4000 + b"\r\n\r\n", "16384"),
    "parens": (b"To: " + b"(" * 20_000 + b"\r\n\r\n", "16384"),
    "parameters": (b"Content-Type: text/plain" + b"; a=b" * 20_000 + b"\r\n\r\nx", "16384"),
    "semicolons": (b"Content-Type: text/plain" + b";" * 200_000 + b"\r\n\r\nx", "16384"),
    "quotes": (b"Content-Type: text/plain" + b';a="' * 4000 + b"\r\n\r\nx", ""),
    "folds": (b"Subject: x" + b"\r\n " * 80_000 + b"\r\n\r\nx", "16384"),
    "stray lines": (b"A: b\r\n" + b"nonsense\r\nA: b\r\n" * 10_000 + b"\r\nx", "not a field"),
    "pieces": (
        b"Content-Disposition: attachment"
        + b"".join(b"; filename*%d*=a" % n for n in range(900))
        + b"\r\n\r\nx",
        "",
    ),
    "depth": (nested(2000), "nested deeper"),
    "parts": (multipart(*[b"\r\nx"] * 100_000), "more than 1000 parts"),
    "rfc822": (b"Content-Type: message/rfc822\r\n\r\n" * 2000, ""),
    "rfc822 parts": (multipart(*[b"Content-Type: message/rfc822\r\n\r\nA: b"] * 2000), "1000"),
    "no boundary line": (
        b"Content-Type: multipart/mixed; boundary=B\r\n\r\n" + b"x" * 10**6,
        "no parts",
    ),
    "near boundaries": (multipart(b"\r\n" + b"--BB\r\n" * 10**6), ""),
    "delimiter spaces": (multipart(b"\r\n" + (b"--B" + b" " * 1000 + b"x\r\n") * 1000), ""),
    "line feeds": (b"\n" * 10**6, ""),
    "no line end": (b"A" * 10**6, ""),
    "colons": (b":" * 10**6, ""),
    "unknown charsets": (
        multipart(*[b"Content-Type: text/plain; charset=q\r\n\r\n" + b"\xff\xfe\x80" * 99] * 999),
        "",
    ),
    "raw bytes in headers": ((b"X: " + bytes(range(128, 256)) + b"\r\n") * 1900 + b"\r\n", ""),
    "base64 pads": (
        b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"QQ==" * 10**5,
        "",
    ),
    "uu": (
        b"Content-Type: a/b\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 x\r\n"
        + b"M\r\n" * 10**5,
        "",
    ),
    "qp": (b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"= " * 10**6, ""),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_read_as_far_as_the_limits_go(name: str) -> None:
    """T75, T76: caps hold before anything is parsed; the exact bytes stay, and a cut is said."""
    raw, problem = BOMBS[name]
    start = time.process_time()
    message = Message(raw)
    everything(message)
    assert time.process_time() - start < 2
    assert problem in " ".join(message.problems)
    assert message.raw is raw


BIG = """
import resource, sys
from postroom.mail import Message
size = 50_000_000
head, line = {{
    "base64": (b"Content-Type: a/b\\r\\nContent-Transfer-Encoding: base64\\r\\n\\r\\n", b"QUJD"),
    "text": (b"\\r\\n", b"abc "),
    "wide text": (
        b"Content-Type: text/plain; charset=utf-8\\r\\n\\r\\n\\xf0\\x9f\\x98\\x80", b"abc ",
    ),
    "nested": (
        b"".join(
            b'Content-Type: multipart/mixed; boundary="b%d"\\r\\n\\r\\n--b%d\\r\\n' % (n, n)
            for n in range(60)
        ),
        b"\\n--b",
    ),
    "encoded words": (b"Subject: ", b"=?utf-8?q?=41?= "),
    "parens": (b"To: ", b"("),
    "headers": (b"", b"A: b\\r\\n"),
}}[{kind!r}]
message = Message(head + line * (size // len(line)))
parts = [len(part.data()) for part in message.attachments]
seen = [message.subject, message.to, message.headers, message.text, message.problems]
used = resource.getrusage(resource.RUSAGE_SELF)
# not ru_maxrss: that one begins as high as the process that started this one ever was
status = open("/proc/self/status").read().split()
print(used.ru_utime + used.ru_stime, int(status[status.index("VmHWM:") + 1]) // 1024)
"""


@pytest.mark.parametrize(
    "kind", ["base64", "text", "wide text", "nested", "encoded words", "parens", "headers"]
)
def test_fifty_megabytes_need_two_seconds_and_256_megabytes(kind: str) -> None:
    """T75, T76: bodies, and headers alone."""
    source = Path(__file__).parents[3] / "src"
    run = subprocess.run(
        [sys.executable, "-c", BIG.format(kind=kind)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PYTHONPATH": str(source)},
    )
    seconds, megabytes = map(float, run.stdout.split())
    assert seconds < 3  # two for the message, the rest for starting Python on a busy machine
    assert megabytes < 256


@settings(max_examples=300)
@given(st.binary(max_size=300) | st.lists(st.sampled_from(WORDS), max_size=40).map(b"".join))
@example(b"Content-Type: multipart/mixed; boundary=B\r\n\r\n--B")
@example(b"Content-Type: multipart/mixed; boundary=B\r\n\r\n--B--")
@example(b"--B\n")
@example(b"From x")
def test_any_bytes_are_a_message(raw: bytes) -> None:
    """T76, T83: any bytes."""
    for value in everything(Message(raw)):
        assert isinstance(str(value).encode(), bytes)


def test_a_usual_message_has_no_problems() -> None:
    raw = b"From: a@x.org\r\nTo: b@x.org\r\n" + multipart(b"\r\nhello")
    message = Message(raw)
    assert message.problems == []
    assert message.text == "hello"


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (
            multipart(b"\r\nx")[: -len(b"--B--\r\n")],
            "A multipart has no end; it may have been cut off.",
        ),
        (
            b"Content-Type: multipart/mixed\r\n\r\nx",
            "A multipart has no boundary; it is read as text.",
        ),
        (
            b"From: a@x(<b@y>)\r\n\r\n",
            "An address cannot be believed: it holds a second address in a comment.",
        ),
        (b"hello\r\nworld\r\n", "The header ends without an empty line."),
        (b"A: b\r\nstray\r\nC: d\r\n\r\n", "A line in the header is not a field; it was left out."),
    ],
)
def test_what_is_odd_is_said(raw: bytes, problem: str) -> None:
    assert Message(raw).problems == [problem]


def test_alternatives_related_and_attachments() -> None:
    html = multipart(
        b"Content-Type: text/html\r\n\r\n<img src=cid:i>",
        b"Content-Type: image/png\r\nContent-ID: <i>\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\nQQ==",
        boundary=b"R",
        kind=b"related",
    )
    body = multipart(
        b"Content-Type: text/plain\r\n\r\ntext", html, boundary=b"A", kind=b"alternative"
    )
    message = Message(
        multipart(
            body, b"Content-Type: text/csv\r\n\r\n1,2", b"Content-Type: text/plain\r\n\r\nfooter"
        )
    )
    assert message.text == "text\nfooter"
    assert message.html == "<img src=cid:i>"
    assert [
        (part.name, part.inline, part.content_id, part.data()) for part in message.attachments
    ] == [
        ("attachment-3.png", True, "i", b"A"),
        ("attachment-4.csv", False, "", b"1,2"),
    ]


def test_a_boundary_that_begins_like_another() -> None:
    inner = multipart(b"\r\ninner", boundary=b"BB")
    message = Message(multipart(inner, b"\r\nouter"))
    assert message.text == "inner\nouter"


def test_an_inner_part_that_never_ends_does_not_swallow_its_sibling() -> None:
    cut = multipart(b"\r\none", boundary=b"C").removesuffix(b"--C--\r\n")
    assert Message(multipart(cut, b"\r\ntwo")).text == "one\n\ntwo"


def test_a_digest_holds_messages() -> None:
    message = Message(multipart(b"\r\nSubject: one\r\n\r\nx", kind=b"digest"))
    assert [part.content_type for part in message.attachments] == ["message/rfc822"]


def test_a_whole_message_of_another_type_is_an_attachment() -> None:
    message = Message(b"Content-Type: application/pdf; name=a.pdf\r\n\r\npdf")
    assert message.text is None
    assert [(part.name, part.size) for part in message.attachments] == [("a.pdf", 3)]


def test_a_header_alone_has_no_attachments() -> None:
    message = Message(b"Subject: x\r\nContent-Type: application/pdf\r\n")
    assert (message.subject, message.attachments) == ("x", [])


def test_the_line_of_an_mbox_file_is_no_header() -> None:
    message = Message(b"From a@x.org Fri Jan  2 2026\r\nSubject: x\r\n\r\nbody")
    assert (message.subject, message.text, message.problems) == ("x", "body", [])


def test_names_of_parts_are_one_line_and_never_empty() -> None:
    raw = multipart(
        b'Content-Type: a/b; name="=?utf-8?q?a=0d=0ab?="\r\n\r\n',
        b"Content-Type: a/b\r\nContent-Disposition: attachment; filename*=utf-8''%0A%00\r\n\r\n",
        b"Content-Type: message/rfc822\r\n\r\nA: b\r\n",
    )
    assert [part.name for part in Message(raw).attachments] == [
        "a b",
        "attachment-2.bin",
        "message-3.eml",
    ]


def test_several_base64_texts_in_a_row() -> None:
    raw = b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\nQQ==\r\nQkI=\r\nQ0ND"
    assert Message(raw).attachments[0].data() == b"ABBCCC"


def test_uuencode() -> None:
    raw = b"Content-Type: a/b\r\nContent-Transfer-Encoding: uuencode\r\n\r\n"
    raw += b"begin 644 x\r\n#0V%T\r\n`\r\nend\r\n"
    assert Message(raw).attachments[0].data() == b"Cat"


def test_archives_are_never_opened() -> None:
    """T78: neither by Content-Encoding nor by type."""
    raw = b"Content-Type: application/zip\r\nContent-Encoding: gzip\r\n\r\nPK\x03\x04bomb"
    assert Message(raw).attachments[0].data() == b"PK\x03\x04bomb"


def test_nothing_is_copied_before_it_is_asked_for() -> None:
    raw = multipart(b"Content-Type: a/b\r\n\r\n" + b"x" * 30_000_000)
    with memory_growth() as growth:
        message = Message(raw)
        assert len(message.attachments) == 1
    assert growth() < 16 * MIB


def test_the_tree_is_there_for_who_needs_it() -> None:
    problems: list[str] = []
    root = mimeread.read(multipart(b"\r\na", b"\r\nb"), problems)
    assert [leaf.body for leaf in root.leaves()] == [b"a", b"b"]
