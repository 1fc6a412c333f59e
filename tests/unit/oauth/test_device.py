"""The device flow as scripts: waits, slow_down, refusals, expiry, lost connections (RFC 8628)."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.errors import DialError, InvalidValue, ProtocolError, SignInError, TlsError
from postroom.oauth.device import DeviceCode, device_authorization, poll
from postroom.oauth.discovery import Endpoints
from postroom.oauth.steps import Answer, Ask
from postroom.secret import Secret
from tests.unit.oauth.script import NOW, SERVER, answer, client, fields, jwt, play, refusal, tokens

__all__: list[str] = []

GIVEN = {
    "device_code": "dc-hunter2",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://example.com/device",
    "verification_uri_complete": "https://example.com/device?user_code=WDJB-MJHT",
    "expires_in": 900,
    "interval": 5,
}
PENDING = refusal("authorization_pending")
LOST = DialError("timed out", code="timed_out", temporary=True)


def begun(**more: Any) -> DeviceCode:
    flow = device_authorization(client(), SERVER, ("mail", "offline_access"), at=NOW)
    given = {key: value for key, value in {**GIVEN, **more}.items() if value is not None}
    return play(flow, [answer(given)]).result


def test_a_code_is_asked_for_and_read() -> None:
    flow = device_authorization(client("a"), SERVER, ("mail", "offline_access"), at=NOW)
    played = play(flow, [answer(GIVEN)])
    assert played.asked[0].url == SERVER.device_authorization_endpoint
    assert fields(played.asked[0]) == {"scope": "mail offline_access", "client_id": "client-1"}
    code = played.result
    assert (code.user_code, code.interval, code.expires_at) == ("WDJB-MJHT", 5.0, NOW + 900)
    assert code.verification_uri_complete.endswith("=WDJB-MJHT")
    assert "hunter2" not in repr(code)


@pytest.mark.parametrize(
    ("more", "interval", "lasts"),
    [
        ({"interval": None}, 5.0, 900.0),
        ({"interval": 0}, 5.0, 900.0),
        ({"interval": "2"}, 2.0, 900.0),
        ({"interval": 0.01}, 1.0, 900.0),
        ({"interval": 10**9}, 60.0, 900.0),
        ({"expires_in": None}, 5.0, 900.0),
        ({"expires_in": 10**9}, 5.0, 3600.0),
    ],
)
def test_times_are_kept_within_reason(more: dict[str, Any], interval: float, lasts: float) -> None:
    code = begun(**more)
    assert (code.interval, code.expires_in) == (interval, lasts)


def test_google_s_older_name_of_the_address_is_read() -> None:
    code = begun(verification_uri=None, verification_url="https://www.google.com/device")
    assert code.verification_uri == "https://www.google.com/device"


@pytest.mark.parametrize(
    "more",
    [
        {"user_code": None},
        {"user_code": "\x1b[2J"},
        {"user_code": "x" * 200},
        {"user_code": "\u202eABCD"},
        {"device_code": None},
        {"device_code": "a\nb"},
        {"verification_uri": None},
        {"verification_uri": "http://example.com/device"},
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "https://user@example.com/device"},
        {"verification_uri": "https://example.com/\x1b[31m"},
        {"verification_uri": "https://[::1/device"},
    ],
)
def test_what_could_not_be_shown_to_a_person_is_refused(more: dict[str, Any]) -> None:
    """T94: a terminal shows the code and the address as they are."""
    with pytest.raises(ProtocolError, match="no code that a person could type"):
        begun(**more)


def test_a_complete_address_that_is_unfit_is_left_out() -> None:
    assert begun(verification_uri_complete="http://evil.example/").verification_uri_complete == ""


def test_a_server_without_the_flow_says_so() -> None:
    server = Endpoints(issuer=SERVER.issuer, token_endpoint=SERVER.token_endpoint)
    with pytest.raises(InvalidValue, match="no device flow; use authorization code"):
        play(device_authorization(client(), server, (), at=NOW), [])


def later(*replies: Answer | Exception) -> list[Answer | Exception]:
    return [*replies, tokens(refresh_token="rt", scope="mail", id_token=ID)]


ID = jwt(iss=SERVER.issuer, aud="client-1", exp=NOW + 60, preferred_username="a@example.com")
SLOW = refusal("slow_down")
BUSY = answer({}, 429, retry_after="30")


@pytest.mark.parametrize(
    ("replies", "waits"),
    [
        (later(), [5]),
        (later(PENDING, PENDING), [5, 5, 5]),
        (later(refusal("authorization_pending", "AADSTS70016: pending")), [5, 5]),
        (later(SLOW, PENDING, SLOW), [5, 10, 10, 15]),
        (later(LOST, LOST, PENDING), [5, 10, 20, 20]),
        (later(LOST, LOST, LOST, LOST, LOST), [5, 10, 20, 40, 60, 60]),
        (later(BUSY, PENDING), [5, 30, 10]),
        (later(answer(b"<html>", 502)), [5, 10]),
        (later(answer(b"", 200)), [5, 10]),
    ],
)
def test_it_polls_at_the_pace_of_the_server(
    replies: list[Answer | Exception], waits: list[float]
) -> None:
    played = play(poll(client(), SERVER, begun()), replies)
    assert played.waited == waits
    assert fields(played.asked[0]) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": "dc-hunter2",
        "client_id": "client-1",
    }
    grant = played.result
    assert grant.refresh_token == Secret("rt")
    assert grant.claims is not None
    assert grant.claims.preferred_username == "a@example.com"


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (refusal("access_denied"), "refused by the person or by a rule"),
        (refusal("authorization_declined"), "The person refused the sign-in"),
        (refusal("expired_token"), "not entered in time"),
        (refusal("expired_token", "AADSTS70020: expired"), "The code has expired"),
        (refusal("bad_verification_code"), "does not know the code"),
        (refusal("invalid_grant", "AADSTS50105: not assigned"), "not assigned to this app"),
        (refusal("access_denied", "AADSTS53003: blocked"), "Conditional Access policy blocks"),
        (refusal("invalid_grant", "AADSTS530036"), "blocked the device flow"),
    ],
)
def test_a_refusal_ends_it_and_marks_nothing_stored(reply: Answer, sentence: str) -> None:
    """T89: a failed sign-in leaves the one that is stored as it was."""
    with pytest.raises(SignInError, match=sentence) as caught:
        play(poll(client(), SERVER, begun()), [PENDING, reply])
    assert caught.value.code == "sign_in_failed"
    assert not caught.value.temporary


def test_an_error_that_stays_is_not_polled_through() -> None:
    with pytest.raises(TlsError):
        play(poll(client(), SERVER, begun()), [TlsError("untrusted")])


def test_it_ends_when_the_code_does_whatever_the_server_says() -> None:
    """A server that says pending for ever is asked for as long as the code lasts."""
    with pytest.raises(SignInError, match="not entered in time") as caught:
        play(poll(client(), SERVER, begun(expires_in=60)), lambda _ask: PENDING)
    assert caught.value.waited == [5] * 11  # type: ignore[attr-defined]


def test_a_tiny_life_is_no_endless_loop() -> None:
    with pytest.raises(SignInError, match="not entered in time"):
        play(poll(client(), SERVER, begun(expires_in=1)), [])


def test_an_id_token_of_somebody_else_s_client_is_refused() -> None:
    other = jwt(iss=SERVER.issuer, aud="another", exp=NOW + 60)
    with pytest.raises(ProtocolError, match="another client"):
        play(poll(client(), SERVER, begun()), [tokens(id_token=other)])


def test_the_secret_is_shown_only_after_the_server_asked() -> None:
    seen: list[bool] = []

    def server(question: Ask) -> Answer:
        seen.append("client_secret" in fields(question))
        if not seen[-1]:
            return refusal("invalid_client", "AADSTS7000218: client_secret", 401)
        return answer(GIVEN) if len(seen) == 2 else tokens()

    code = play(device_authorization(client("a"), SERVER, (), at=NOW), server).result
    assert code.proof == "a"
    assert play(poll(client("a"), SERVER, code), server).result.proof == "a"
    assert seen == [False, True, True]
