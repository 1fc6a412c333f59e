"""SASL mechanisms: the exact bytes of the RFCs, what is refused, which one is taken."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.errors import InvalidValue, ProtocolError, SignInError
from postroom.protocols import sasl
from postroom.protocols.base import SignIn
from postroom.secret import Secret

__all__: list[str] = []


def password(user: str = "tim", secret: str = "tanstaaftanstaaf") -> SignIn:
    return SignIn("password", user, Secret(secret))


def token(
    user: str = "user@example.com", secret: str = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg"
) -> SignIn:
    return SignIn("token", user, Secret(secret))


def test_plain_is_the_example_of_rfc_4616():
    assert sasl.Plain(password()).initial() == b"\0tim\0tanstaaftanstaaf"


def test_login_tells_the_user_then_the_password_whatever_it_is_asked():
    login: sasl.Mechanism = sasl.Login(password())
    assert login.initial() is None
    assert [login.respond(b"Benutzer:"), login.respond(b"")] == [b"tim", b"tanstaaftanstaaf"]
    with pytest.raises(ProtocolError, match="LOGIN"):
        login.respond(b"more?")


def test_oauthbearer_is_the_form_of_rfc_7628():
    mechanism = sasl.OAuthBearer(token())
    assert mechanism.initial() == (
        b"n,a=user@example.com,\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg\x01\x01"
    )
    assert mechanism.respond(b'{"status":"invalid_token"}') == b"\x01"
    assert mechanism.error == b'{"status":"invalid_token"}'


def test_oauthbearer_escapes_a_user_that_would_end_its_field():
    assert sasl.OAuthBearer(token("a,b=c")).initial().startswith(b"n,a=a=2Cb=3Dc,\x01")


def test_xoauth2_is_the_documented_form_and_answers_the_error_with_nothing():
    mechanism = sasl.XOAuth2(token("someuser@example.com", "ya29.x"))
    assert mechanism.initial() == b"user=someuser@example.com\x01auth=Bearer ya29.x\x01\x01"
    assert mechanism.respond(b'{"status":"401"}') == b""
    with pytest.raises(ProtocolError):
        mechanism.respond(b"again")


@pytest.mark.parametrize("bad", ["\0", "\r", "\n", "x\r\nX1 DELETE INBOX"])
@pytest.mark.parametrize("field", ["user", "secret"])
@pytest.mark.parametrize("method", ["password", "token"])
def test_line_breaks_and_nul_are_refused_before_a_byte_exists(bad, field, method):
    values = {"user": "tim", "secret": "s3cret"} | {field: "a" + bad + "b"}
    sign_in = SignIn(method, values["user"], Secret(values["secret"]))
    with pytest.raises(InvalidValue) as caught:
        sasl.choose(["PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"], sign_in)
    assert caught.value.field == field
    assert "s3cret" not in str(caught.value)


def test_the_separator_of_the_token_mechanisms_is_refused_in_them():
    with pytest.raises(InvalidValue):
        sasl.choose(["XOAUTH2"], token("a\x01auth=Bearer stolen"))


@pytest.mark.parametrize("sign_in", [password(""), password("tim", ""), SignIn("password", "tim")])
def test_a_sign_in_needs_both_halves(sign_in):
    with pytest.raises(InvalidValue):
        sasl.choose(["PLAIN"], sign_in)


@pytest.mark.parametrize(
    ("offered", "sign_in", "taken"),
    [
        (["LOGIN", "PLAIN"], password(), "PLAIN"),
        (["login"], password(), "LOGIN"),
        (["CRAM-MD5", "PLAIN"], password(), "PLAIN"),
        (["PLAIN", "XOAUTH2"], token(), "XOAUTH2"),
        (["XOAUTH2", "oauthbearer"], token(), "OAUTHBEARER"),
    ],
)
def test_choice(offered, sign_in, taken):
    assert sasl.choose(offered, sign_in).name == taken


@pytest.mark.parametrize(
    ("offered", "sign_in"),
    [(["CRAM-MD5", "GSSAPI"], password()), ([], password()), (["PLAIN"], token())],
)
def test_nothing_fits_and_the_sentence_says_what_was_offered(offered, sign_in):
    with pytest.raises(SignInError) as caught:
        sasl.choose(offered, sign_in)
    assert (", ".join(sorted(offered)) or "none") in caught.value.sentence
    assert not caught.value.temporary


def test_an_initial_response_waits_for_the_challenge_when_there_is_no_room():
    wide, narrow = (sasl.Exchange(sasl.Plain(password())) for _ in range(2))
    encoded = base64.b64encode(b"\0tim\0tanstaaftanstaaf")
    assert wide.initial(len(encoded)) == encoded
    assert narrow.initial(len(encoded) - 1) is None
    assert narrow.answer(b"") == encoded


def test_a_challenge_that_is_no_base64_is_an_error_except_for_login():
    exchange = sasl.Exchange(sasl.XOAuth2(token()))
    assert exchange.initial(1000)
    with pytest.raises(ProtocolError):
        exchange.answer(b"%%%")
    login = sasl.Exchange(sasl.Login(password()))
    assert login.initial(1000) is None
    assert login.answer(b"Username:") == base64.b64encode(b"tim")


@given(st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), min_size=1))
def test_any_other_password_arrives_whole(secret):
    initial = sasl.Plain(password("tim", secret)).initial()
    assert initial.split(b"\0") == [b"", b"tim", secret.encode()]
