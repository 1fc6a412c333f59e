"""Answers, bodies and what is shown of them."""

from __future__ import annotations

import base64
import datetime as dt
import email.utils
import io

import pytest

from postroom.errors import InvalidValue, ProtocolError
from postroom.net.http_message import Exchange, HttpAnswer, basic, bearer, file_slice, form
from postroom.secret import Secret


def answer(**headers: str) -> HttpAnswer:
    return HttpAnswer(429, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.0), ("17", 17.0), (" 17 ", 17.0), ("-1", None), ("1.5", None), ("soon", None),
     ("", None), ("999999999", 86_400.0), ("9" * 30, 86_400.0), ("١٧", None),
     ("Fri, 31 Dec 9998 23:59:59 GMT", 86_400.0), ("9" * 400, None), ("Fri, 99 Foo 2026", None),
     ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0)],
)  # fmt: skip
def test_retry_after_is_read(text: str, seconds: float | None) -> None:
    assert answer(retry_after=text).retry_after() == seconds


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000"])
def test_retry_after_may_be_a_date(zone: str) -> None:
    then = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=90)
    text = email.utils.format_datetime(then).replace("+0000", zone)
    found = answer(retry_after=text).retry_after()
    assert found is not None
    assert 85 < found <= 90


def test_a_date_is_held_against_the_servers_own_clock() -> None:
    then = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    told = HttpAnswer(
        503,
        {
            "date": email.utils.format_datetime(then, usegmt=True),
            "retry-after": email.utils.format_datetime(
                then + dt.timedelta(seconds=90), usegmt=True
            ),
        },
    )
    assert told.retry_after() == 90


def test_no_retry_after_is_none() -> None:
    assert answer().retry_after() is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"\xff\xfe", b"[" * 200_000])
def test_garbage_is_no_json_and_is_not_repeated(body: bytes) -> None:
    """T89: a broken answer of a broken server may be asked for again, another may not."""
    for status, temporary in ((200, False), (502, True)):
        with pytest.raises(ProtocolError) as caught:
            HttpAnswer(status, {}, body).json()
        assert caught.value.temporary is temporary
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def test_nothing_of_an_answer_is_shown() -> None:
    """T91: answers hold tokens."""
    shown = repr(HttpAnswer(200, {"set-cookie": "canary-1"}, b"canary-2"))
    assert "canary" not in shown


def test_a_form_is_a_secret_and_is_encoded() -> None:
    made = form([("grant_type", "x y"), ("client_secret", Secret("a&b =ü")), ("grant_type", "")])
    assert made.reveal() == "grant_type=x+y&client_secret=a%26b+%3D%C3%BC&grant_type="
    assert str(made) == "****"


def test_basic_encodes_both_parts_before_they_are_joined() -> None:
    """RFC 6749 section 2.3.1: a colon in a client id, anything in a secret."""
    made = basic("app:1", Secret("a:b%+ ü"))
    assert str(made) == "****"
    scheme, _, encoded = made.reveal().partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(encoded) == b"app%3A1:a%3Ab%25%2B+%C3%BC"


def test_a_token_with_other_characters_is_refused_and_not_repeated() -> None:
    """T66: a line break in a token would write a header."""
    assert bearer(Secret("abc.DEF-1~+/==")).reveal() == "Bearer abc.DEF-1~+/=="
    for text in ("a b", "a\r\nX: canary", "", "canäry", "canary\n"):
        with pytest.raises(InvalidValue) as caught:
            bearer(Secret(text))
        assert "canary" not in str(caught.value)


async def test_a_slice_reads_its_part_while_others_read_theirs() -> None:
    file = io.BytesIO(bytes(range(256)) * 1024)
    one, two = file_slice(file, 10, 100_000), file_slice(file, 200_000, 100)
    first = await anext(one.chunks)
    second = b"".join([chunk async for chunk in two.chunks])
    rest = b"".join([chunk async for chunk in one.chunks])
    assert first + rest == file.getvalue()[10:100_010]
    assert second == file.getvalue()[200_000:200_100]


def test_an_exchange_is_one_line_without_a_query() -> None:
    line = str(Exchange("POST", "https://a.test", "/token", 200, 0.0123))
    assert line == "POST https://a.test/token 200 (12 ms)"
    assert "no answer" in str(Exchange("GET", "https://a.test", "/", 0, 1))
