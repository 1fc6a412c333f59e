"""Reading answers: what is garbage, how long to wait, and that nothing secret is shown."""

from __future__ import annotations

import pytest

from postroom.errors import ProtocolError
from postroom.oauth.answers import LARGEST, document, retry_after, server_time, shown
from postroom.oauth.steps import Answer
from postroom.secret import Scrubber, Secret
from tests.unit.oauth.script import NOW, answer

__all__: list[str] = []

DATE = "Wed, 18 Nov 2026 08:26:40 GMT"  # is AT
AT = 1_794_990_400.0


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "with nothing"),
        (b" \r\n", "with nothing"),
        (b"<!DOCTYPE html><title>Blocked</title>", "a web page"),
        (b'{"access_token":"hunter2-token","expires', "no JSON object"),
        (b'["access_token"]', "no JSON object"),
        (b'{"expires_in": NaN}', "no JSON object"),
        (b"[" * 100_000, "no JSON object"),
        (b'{"n": ' + b"9" * 10_000 + b"}", "no JSON object"),
        (b"\xff\xfe\x00", "no JSON object"),
        (b"{" + b" " * LARGEST + b"}", "more than can be read"),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 401, 403])
def test_garbage_is_temporary_and_is_not_quoted(body: bytes, says: str, status: int) -> None:
    """T89: a page of something between says nothing about the sign-in."""
    with pytest.raises(ProtocolError, match=says) as caught:
        document(answer(body, status, content_type="text/html; charset=utf-8"))
    assert caught.value.temporary
    assert caught.value.step == "sign-in"
    assert "hunter2" not in str(caught.value.as_json())
    assert caught.value.said == f"HTTP {status}, text/html, {len(body)} bytes"


def test_a_redirect_is_not_followed() -> None:
    with pytest.raises(ProtocolError, match="never followed"):
        document(answer({}, 302, location="https://evil.example/token"))


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("3", "", 3.0),
        (" 120 ", "", 120.0),
        ("0", "", 0.0),
        ("999999999", "", 86_400.0),
        ("Wed, 18 Nov 2026 08:26:55 GMT", DATE, 15.0),
        ("Wed, 18 Nov 2026 08:26:55 GMT", "", 15.0),
        ("Wednesday, 18-Nov-26 08:26:55 GMT", DATE, 15.0),
        ("Wed, 18 Nov 2026 08:20:00 GMT", DATE, 0.0),
        ("", "", None),
        ("soon", "", None),
        ("-5", "", None),
        ("1_0", "", None),
        ("inf", "", None),
        ("Wed, 99 Nov 9999999 08:26:55 GMT", DATE, None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str, date: str, seconds: float | None) -> None:
    headers = [("RETRY-AFTER", value)] + ([("Date", date)] if date else [])
    assert retry_after(Answer(429, tuple(headers), b"", AT)) == seconds


def test_a_date_is_held_against_the_clock_that_wrote_it() -> None:
    """T89: with a clock ten minutes off, fifteen seconds are fifteen seconds."""
    headers = (("Date", DATE), ("Retry-After", "Wed, 18 Nov 2026 08:26:55 GMT"))
    for off in (-600, 600):
        late = Answer(503, headers, b"", AT + off)
        assert retry_after(late) == 15.0
        assert server_time(late) == AT
    assert server_time(Answer(200, (), b"", NOW)) == NOW


def test_what_is_shown_is_scrubbed_whole_and_then_cut() -> None:
    secret = Secret("hunter2-hunter2-hunter2")
    text = "x" * 490 + " hunter2-hunter2-hunter2\r\n\x1b[31mred"
    clean = shown(text, Scrubber([secret]))
    assert "hunter2" not in clean
    assert clean.endswith("...")
    assert shown("a\r\nb\x1b[31m\u202ec") == "a b\\x1b[31m\\x202ec"
