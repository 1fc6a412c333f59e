"""The words of a notice: one line each, whatever a server or a stranger wrote."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json

import pytest

from postroom.errors import InvalidValue
from postroom.mail import Draft, compose
from postroom.notices.saying import Notice, one_line
from postroom.notices.webhook import signature
from postroom.secret import Secret

EVIL = "535 no\r\nBcc: eve@evil.example\n\x1b[31mred\u202etxt\x00 \u2028end"


def notice(said: str, event: str = "began") -> Notice:
    return Notice("1", event, "source", "source", "in", said, "See: it", 1_700_000_000.0, "room-1")  # type: ignore[arg-type]


def test_what_a_stranger_wrote_is_one_line_and_escaped() -> None:
    """T94: a server's reply begins no line, header or terminal sequence of its own."""
    one = notice(f"Source in collects nothing: {EVIL}")
    for text in (one.subject, one.document()["said"], one.document()["text"]):
        assert text.isprintable()
        assert "\\u202e" in text
    assert len(one.text.splitlines()) == 6
    draft = Draft("a@example.com", to="b@example.com", subject=one.subject, text=one.text)
    made = compose(draft, message_id="<1@x>", date=dt.datetime.now(dt.UTC))
    head = made.content.partition(b"\r\n\r\n")[0]
    assert made.recipients == ("b@example.com",)
    assert b"\r\nBcc" not in head
    assert json.loads(one.body())["v"] == 1


def test_a_long_sentence_is_cut() -> None:
    assert len(one_line("x" * 5000)) == 500
    assert len(notice("y" * 5000).subject) == 160


def test_an_open_secret_is_not_repeated() -> None:
    """T34: a server that echoes what it was sent."""
    secret = Secret("hunter2-hunter2-hunter2")
    assert "hunter2" not in notice(f"it said {secret.reveal()}").text
    del secret


def test_what_is_over_tells_nobody_what_to_do() -> None:
    assert notice("Source in collects again.", "over").subject.startswith("Postroom: over: ")
    assert "See: it" not in notice("x", "over").text
    assert notice("x", "over").document()["do"] == ""


@pytest.mark.parametrize(
    ("key", "raw"),
    [
        ("plain-key-of-ours", b"plain-key-of-ours"),
        ("whsec_" + base64.b64encode(b"\x00\x01raw").decode(), b"\x00\x01raw"),
    ],
)
def test_the_signature_is_that_of_standard_webhooks(key: str, raw: bytes) -> None:
    signed = hmac.new(raw, b"msg_1.1700000000.{}", hashlib.sha256).digest()
    wanted = f"v1,{base64.b64encode(signed).decode()}"
    assert signature(Secret(key), "msg_1", 1_700_000_000, b"{}") == wanted


def test_a_key_that_is_no_base64_is_refused_without_repeating_it() -> None:
    with pytest.raises(InvalidValue) as refused:
        signature(Secret("whsec_not base64 at all!"), "1", 1, b"")
    assert "not base64 at all" not in str(refused.value)
