"""The record of a conversation: bounded, in lines, without secrets."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.protocols.transcript import Transcript
from postroom.secret import Scrubber, Secret


def _transcript(*secrets: str) -> Transcript:
    return Transcript(Scrubber([Secret(secret) for secret in secrets]))


def test_lines_of_both_sides_stand_in_order() -> None:
    record = _transcript()
    record.received(b"* OK ready\r\n")
    record.sent(b"A1 NOOP\r\nA2 CAPA")
    record.received(b"A1 OK\r\n* BYE")
    record.note("TLS begins")
    assert record.lines() == [
        "S: * OK ready", "C: A1 NOOP", "S: A1 OK", "C: A2 CAPA", "S: * BYE", "*: TLS begins",
    ]  # fmt: skip
    assert record.last_said() == "* BYE"


@given(st.data())
def test_a_secret_is_not_kept_however_it_is_split_and_encoded(data: st.DataObject) -> None:
    secret = "correct horse battery"
    plain = base64.b64encode(f"\0user\0{secret}".encode()).decode()
    said = f"A1 LOGIN user {secret}\r\nA2 AUTHENTICATE PLAIN {plain}\r\nA1 NO {secret}?\r\n"
    raw = said.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    record = _transcript(secret)
    for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        record.received(raw[start:end])
    shown = "\n".join(record.lines())
    assert secret not in shown
    assert base64.b64encode(secret.encode()).decode()[2:-4] not in shown
    assert "A1 LOGIN user ****" in shown


def test_a_secret_at_the_cut_of_a_long_line_is_not_half_kept() -> None:
    record = _transcript("correct horse battery")
    record.received(b"x" * 290 + b"correct horse battery" + b"y" * 300 + b"\r\n")
    assert "correct" not in record.lines()[0]
    assert len(record.lines()[0]) < 320


def test_content_is_counted_and_not_kept() -> None:
    record = _transcript()
    record.received(b"+OK follows\r\n")
    for _ in range(100):
        record.received(b"z" * 59_998 + b"\r\n")
    record.received(b".\r\n")
    assert record.lines() == ["S: +OK follows", "S: (6000000 bytes)", "S: ."]


def test_quiet_counts_only() -> None:
    record = _transcript()
    record.quiet = True
    record.received(b"Subject: a private matter\r\n")
    record.quiet = False
    record.received(b"A2 OK\r\n")
    assert record.lines() == ["S: (27 bytes)", "S: A2 OK"]


def test_what_is_kept_is_bounded() -> None:
    record = _transcript()
    for number in range(5000):
        record.received(b"* line %d %s\r\n" % (number, b"x" * (number % 500)))
    lines = record.lines()
    assert len(lines) <= 200
    assert sum(map(len, lines)) < 20_000
    assert lines[-1].startswith("S: * line 4999")


@pytest.mark.parametrize(
    "pieces",
    [
        [b"!" * 4090 + b"hunter2-ca", b"nary and more\r\nnext\r\n"],
        [b"!" * 100, b"!" * 3990 + b"hunter2-ca", b"nary", b" and more\r\nnext\r\n"],
        [b"!" * 4090 + b"hunter2-ca", b"nary" + b"!" * 4092, b"\r\nnext\r\n"],
    ],
)
def test_a_secret_across_the_end_of_what_is_kept_of_a_long_line(pieces: list[bytes]) -> None:
    """T34: the rest of a line that was cut is counted, not kept: half a secret is not found."""
    transcript = Transcript(Scrubber([Secret("hunter2-canary")]))
    for piece in pieces:
        transcript.received(piece)
    lines = transcript.lines()
    assert lines[-1] == "S: next"
    assert not any("nary" in line for line in lines)
