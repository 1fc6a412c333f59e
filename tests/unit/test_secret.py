"""Secret, its mask, and the scrubber that removes it from what others send back."""

from __future__ import annotations

import base64
import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.credentials.intake import mask_of
from postroom.errors import SignInError
from postroom.fields import Fields, field, parse, shown
from postroom.secret import Scrubber, Secret, hint, is_mask, open_secrets

VALUE = "hunter2-canary"


class Login(Fields):
    """A declaration with a secret in it."""

    user: str = field("", label="User")
    password: Secret | None = field(None, label="Password")


MASKS = [
    ("", "****"),
    ("a", "****"),
    ("abcd", "****"),
    ("abcdefgh", "****"),
    ("abcdefghijk", "****"),  # 11
    ("abcdefghijkl", "****ijkl"),  # 12
    ("abcdefghijklm", "****jklm"),
    (" abcdefghijkl ", "****ijkl"),
    ("x" * 500, "****xxxx"),
    ("\U0001f600" * 12, "****" + "\U0001f600" * 4),
    ("\U0001f600" * 3, "****"),
    ("abcdefghijkle\u0301", "****"),  # a combining mark would sit on what stands before it
    ("abcdefghijkl\u202eab", "****"),  # right-to-left override
    ("abcdefghij\u200bkl", "****"),  # invisible
    ("\u05d0" * 12, "****" + "\u05d0" * 4),  # a script that runs from right to left
    ("-----BEGIN PRIVATE KEY-----\nabcd\n-----END PRIVATE KEY-----\n", "****"),
    ('{"type": "service_account", "key": "x"}', "****"),
    ('["a", "b", "c", "d"]', "****"),
]


@pytest.mark.parametrize(("value", "shown_as"), MASKS)
def test_the_mask_table(value: str, shown_as: str) -> None:
    """T32: last four from twelve characters on, and nothing where these would say or do more."""
    assert mask_of(hint(value)) == shown_as


@given(st.text(max_size=40))
def test_a_mask_says_nothing_of_the_length_and_is_known_as_one(value: str) -> None:
    """T32, T30: four stars, at most four characters more; and it never passes for a value."""
    shown_as = mask_of(hint(value))
    assert len(shown_as) in {4, 8}
    assert is_mask(shown_as)


@pytest.mark.parametrize("value", ["hunter2", "***", "****wxyz1", "a****", "*** wxyz", "*"])
def test_what_is_no_mask(value: str) -> None:
    assert not is_mask(value)


SHOWING: dict[str, Callable[[Secret], str]] = {
    "repr": repr,
    "str": str,
    "format": lambda secret: format(secret, ">40"),
    "f-string": lambda secret: f"{secret} {secret!r} {secret!s:>9}",
    "percent": lambda secret: "%s %r" % (secret, secret),  # noqa: UP031
    "list": lambda secret: str([secret, {"a": secret}]),
    "model": lambda secret: str(Login(password=secret)) + repr(Login(password=secret)),
    "dump": lambda secret: str(shown(Login(password=secret))),
    "json": lambda secret: Login(password=secret).model_dump_json(),
}


@pytest.mark.parametrize("way", SHOWING)
def test_no_way_of_showing_shows_it(way: str) -> None:
    """T35: a constant, whatever the value."""
    said = {SHOWING[way](Secret(value)) for value in (VALUE, "x", "y" * 100)}
    assert len(said) == 1
    assert "canary" not in said.pop()


FAILING: dict[str, Callable[[Any], Any]] = {
    "pickle": pickle.dumps,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "json": json.dumps,
    "hash": hash,
    "set": lambda secret: {secret},
    "len": len,
    "iter": list,
    "vars": vars,
    "bytes": bytes,
    "change": lambda secret: setattr(secret, "_value", b"x"),
    "concatenation": lambda secret: "a" + secret,
    "index": lambda secret: secret[0],
}


@pytest.mark.parametrize("way", FAILING)
def test_no_way_of_taking_takes_it(way: str) -> None:
    """T35: an exception, which says nothing of the value either."""
    with pytest.raises((TypeError, AttributeError)) as caught:
        FAILING[way](Secret(VALUE))
    assert "canary" not in str(caught.value)


def test_logs_and_tracebacks_show_the_mask(caplog: pytest.LogCaptureFixture) -> None:
    """T35: ``%s`` in a log, and the locals of a traceback."""
    secret = Secret(VALUE)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("x").debug("signing in with %s and %r", secret, secret)
    assert "canary" not in caplog.text
    try:
        raise SignInError("no", said=f"{secret}")
    except SignInError as error:
        whole = traceback.TracebackException.from_exception(error, capture_locals=True)
        assert "canary" not in "".join(whole.format())


def test_equality_compares_values() -> None:
    assert Secret("a") == Secret(b"a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert bool(Secret("a"))
    assert not Secret("")


def test_a_value_comes_back_as_it_was() -> None:
    for value in ("", VALUE, "pässwörd", "\udcff\udc80"):
        assert Secret(value.encode("utf-8", "surrogateescape")).reveal() == value


def test_a_wrong_value_is_not_repeated() -> None:
    """T33: the error of a field names the field."""
    with pytest.raises(Exception, match="password") as caught:
        parse(Login, {"password": [VALUE]})
    assert "canary" not in str(caught.value)


def test_the_register_forgets_what_is_gone() -> None:
    import gc

    secret = Secret("only here")
    assert any(one is secret for one in open_secrets())
    before = len(open_secrets())
    del secret
    gc.collect()
    assert len(open_secrets()) < before


# ---------------------------------------------------------------------------- the scrubber

AWKWARD = 'p"\\ä/+&% x'
FORMS: dict[str, Callable[[str], str]] = {
    "raw": lambda value: value,
    "base64": lambda value: base64.b64encode(value.encode()).decode().rstrip("="),
    "hex": lambda value: value.encode().hex(),
    "HEX": lambda value: value.encode().hex().upper(),
    "url": lambda value: quote(value, safe=""),
    "form": quote_plus,
    "json": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    "json in ASCII": lambda value: json.dumps(value)[1:-1],
    "json with slashes": lambda value: json.dumps(value)[1:-1].replace("/", "\\/"),
    "python": lambda value: repr(value)[1:-1],
    "python in ASCII": lambda value: ascii(value)[1:-1],
    "bytes": lambda value: repr(value.encode())[2:-1],
    "quoted": lambda value: value.replace("\\", "\\\\").replace('"', '\\"'),
}
LONG = "-----BEGIN PRIVATE KEY-----\n" + "\n".join(
    base64.b64encode(bytes(range(at, at + 48))).decode() for at in range(0, 192, 24)
) + "\n-----END PRIVATE KEY-----\n"  # fmt: skip
"""As long as a key, and with lines as one has."""


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "value", [VALUE, AWKWARD, "hunter2", "abcd", LONG.rstrip(), "a 'b\" c\n\td"]
)
def test_every_form_of_a_secret_is_scrubbed(value: str, form: str) -> None:
    """T34: what a server says back, in whatever dress."""
    said = f"535 5.7.8 <{FORMS[form](value)}> is wrong"
    scrubbed = Scrubber([Secret(value)]).text(said)
    assert FORMS[form](value) not in scrubbed
    assert scrubbed.startswith("535 5.7.8 <")
    assert scrubbed.endswith("> is wrong")


LAID_OUT: dict[str, Callable[[str], str]] = {
    "indented": lambda value: "\n".join(f"    {line}" for line in value.splitlines()),
    "of Windows": lambda value: value.replace("\n", "\r\n"),
    "on one line": lambda value: value.replace("\n", ""),
    "a list": lambda value: json.dumps(value.splitlines()),
}
WRAPPED: dict[str, Callable[[str], str]] = {
    "base64, as base64 wraps it": lambda value: base64.encodebytes(value.encode()).decode(),
    "base64, as openssl wraps it": lambda value: "\n".join(_wrapped(_base64(value), 64)),
    "hexadecimal, as xxd wraps it": lambda value: "\n".join(_wrapped(value.encode().hex(), 60)),
}


def _base64(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def _wrapped(text: str, width: int) -> list[str]:
    return [text[at : at + width] for at in range(0, len(text), width)]


@pytest.mark.parametrize("way", LAID_OUT)
def test_a_long_secret_is_scrubbed_however_its_lines_are_laid_out(way: str) -> None:
    """T34: a key is printed by lines."""
    scrubbed = Scrubber([Secret(LONG)]).text(f"The key:\n{LAID_OUT[way](LONG)}\nThat was it.")
    assert not any(line in scrubbed for line in LONG.splitlines() if "-----" not in line)
    assert scrubbed.startswith("The key:")
    assert scrubbed.endswith("That was it.")


@pytest.mark.parametrize("way", WRAPPED)
@pytest.mark.parametrize("length", [40, 60, 200, 1500])
def test_a_long_token_is_scrubbed_where_what_encodes_it_breaks_lines(way: str, length: int) -> None:
    """T34: each line but a last one of a few characters."""
    token = "".join(chr(48 + at * 7 % 74) for at in range(length))
    encoded = WRAPPED[way](token)
    scrubbed = Scrubber([Secret(token)]).text(f"The token:\n{encoded}\nThat was it.")
    assert not any(line in scrubbed for line in encoded.splitlines() if len(line) >= 12)


@pytest.mark.parametrize("change", [str.upper, str.lower, str.swapcase])
def test_the_scrubber_finds_a_secret_in_any_case(change: Callable[[str], str]) -> None:
    """T34: a server that tells it in capitals; what stands around it stays as it was."""
    value = "Hunter2-Canary/9"
    said = f"535 No {change(value)} Here {change(value.encode().hex())}, {change(value)}É"
    assert Scrubber([Secret(value)]).text(said) == "535 No **** Here ****, ****É"


SASL: dict[str, Callable[[str, str], str]] = {
    "PLAIN": lambda user, value: f"\0{user}\0{value}",
    "PLAIN with authzid": lambda user, value: f"{user}\0{user}\0{value}",
    "LOGIN": lambda user, value: value,
    "XOAUTH2": lambda user, value: f"user={user}\x01auth=Bearer {value}\x01\x01",
    "OAUTHBEARER": lambda user, value: f"n,a={user},\x01host=h\x01auth=Bearer {value}\x01\x01",
}


@pytest.mark.parametrize("mechanism", SASL)
@pytest.mark.parametrize("user", ["u", "us", "use", "user@example.com"])
def test_sasl_answers_are_scrubbed_at_every_alignment(mechanism: str, user: str) -> None:
    """T34: the core of the secret is gone, wherever base64 puts it."""
    value = "correct-horse-battery"
    encoded = base64.b64encode(SASL[mechanism](user, value).encode()).decode()
    scrubbed = Scrubber([Secret(value)]).text(f"AUTH {mechanism} {encoded}\r\n")
    assert "****" in scrubbed
    left = scrubbed.split()[-1]
    for part in left.split("****"):
        for shift in range(4):
            # whatever is left of the encoded answer decodes to less than three characters of it
            piece = part[shift:]
            decoded = base64.b64decode(piece[: len(piece) // 4 * 4] or "")
            runs = [value[i : i + 3].encode() for i in range(len(value) - 2)]
            assert not any(run in decoded for run in runs), decoded


@given(st.binary(max_size=12), st.binary(min_size=6, max_size=24), st.binary(max_size=12))
def test_base64_of_a_text_around_a_secret_never_keeps_it(
    before: bytes, secret: bytes, after: bytes
) -> None:
    encoded = base64.b64encode(before + secret + after)
    scrubbed = Scrubber([Secret(secret)]).bytes(encoded)
    assert b"****" in scrubbed


def test_short_secrets_are_left_since_removing_them_would_say_more() -> None:
    assert Scrubber([Secret("abc")]).text("abc is a word") == "abc is a word"


def test_text_without_the_secret_is_not_touched() -> None:
    scrubber = Scrubber([Secret(VALUE)])
    assert scrubber.text("235 2.7.0 Authentication successful \udcff") == (
        "235 2.7.0 Authentication successful \udcff"
    )
    assert Scrubber().bytes(b"anything") == b"anything"


def test_a_secret_added_later_is_scrubbed_from_then_on() -> None:
    scrubber = Scrubber([Secret("first-secret")])
    assert scrubber.text("second-secret") == "second-secret"
    scrubber.add(Secret("second-secret"))
    assert scrubber.text("first-secret second-secret") == "**** ****"
