"""Tokens: what is granted, what is kept of it, rotation, and which refusal ends a sign-in."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from postroom.errors import DialError, ProtocolError, SignInError
from postroom.oauth.discovery import Endpoints
from postroom.oauth.steps import Answer
from postroom.oauth.tokens import TokenGrant, client_credentials, refresh, revoke
from postroom.secret import Secret
from tests.unit.oauth.script import (
    AUTHORITY,
    NOW,
    SERVER,
    answer,
    client,
    fields,
    jwt,
    play,
    refusal,
    tokens,
)

__all__: list[str] = []

OLD = "rt-old-hunter2"
GOOD = {"iss": AUTHORITY, "aud": "client-1", "sub": "s", "exp": NOW + 60, "email": "a@example.com"}


def renewed(reply: Answer, scopes: tuple[str, ...] = ()) -> TokenGrant:
    return play(refresh(client(), SERVER, Secret(OLD), scopes, at=NOW), [reply]).result


def test_client_credentials_ask_and_get_what_the_rfc_says() -> None:
    reply = tokens("at-1", scope="mail.read", refresh_token="never used", odd={"x": 1})
    flow = client_credentials(client("a"), SERVER, ("mail.read", "x"), at=NOW)
    played = play(flow, [reply])
    assert played.asked[0].url == SERVER.token_endpoint
    assert fields(played.asked[0]) == {
        "grant_type": "client_credentials", "scope": "mail.read x", "client_id": "client-1",
        "client_secret": "a-value",
    }  # fmt: skip
    grant = played.result
    assert grant.access_token.reveal() == "at-1"
    assert (grant.scope, grant.expires_at) == (("mail.read",), NOW + 3600)
    assert grant.refresh_token is None
    assert "odd" not in {each.name for each in dataclasses.fields(grant)}


@pytest.mark.parametrize(
    ("given", "kept", "rotated"),
    [(None, OLD, False), ("rt-new", "rt-new", True), (OLD, OLD, False), ("", OLD, False)],
)
def test_a_rotated_refresh_token_takes_the_place_of_the_old(
    given: str | None, kept: str, rotated: bool
) -> None:
    more: dict[str, Any] = {} if given is None else {"refresh_token": given}
    grant = renewed(tokens(**more))
    assert grant.refresh_token is not None
    assert (grant.refresh_token.reveal(), grant.rotated) == (kept, rotated)


def test_without_scopes_in_the_answer_those_asked_for_were_granted() -> None:
    assert renewed(tokens(), ("a", "b")).scope == ("a", "b")
    assert renewed(tokens(scope="a c"), ("a", "b")).scope == ("a", "c")


@pytest.mark.parametrize(
    ("said", "lasts"),
    [
        (3599, 3599.0), ("3599", 3599.0), (3599.5, 3599.5), (0, 0.0), (None, 600.0), (-1, 600.0),
        (True, 600.0), ("soon", 600.0), ("1e9", 600.0), (10**30, 600.0), (10**10, 366 * 86_400.0),
        ([], 600.0),
    ],
)  # fmt: skip
def test_expires_in_is_read_as_servers_write_it(said: Any, lasts: float) -> None:
    assert renewed(tokens(expires_in=said)).expires_in == lasts


@pytest.mark.parametrize(
    "more",
    [
        {"access_token": ""},
        {"access_token": None},
        {"access_token": 7},
        {"access_token": "a\r\nX-Evil: 1"},
        {"access_token": "a b"},
        {"access_token": "ä"},
        {"access_token": "x" * 70_000},
        {"refresh_token": "r\nt"},
        {"token_type": "DPoP"},
        {"token_type": "mac"},
        {"token_type": None},
    ],
)
def test_tokens_that_could_not_be_used_are_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError) as caught:
        renewed(answer({"access_token": "at", "token_type": "bearer"} | more))
    assert "Evil" not in str(caught.value.as_json())


def test_an_id_token_is_read_and_the_rest_of_it_dropped() -> None:
    grant = renewed(tokens(jwt(upn="hint@example.com", roles=["Mail.Read"]), id_token=jwt(**GOOD)))
    assert grant.claims is not None
    assert grant.hints is not None
    assert (grant.claims.email, grant.claims.subject) == ("a@example.com", "s")
    assert (grant.hints.upn, grant.hints.roles) == ("hint@example.com", ("Mail.Read",))
    assert grant.problem == ""


@pytest.mark.parametrize(
    ("id_token", "problem"),
    [
        (jwt(**GOOD | {"iss": "https://evil.example"}), "another issuer"),
        (jwt(**GOOD | {"aud": "client-2"}), "another client"),
        (jwt(**GOOD | {"aud": ["client-1", "client-2"]}), "several clients"),
        (jwt(**GOOD | {"exp": NOW - 3600}), "expired"),
        (jwt(**{key: GOOD[key] for key in ("iss", "aud")}), "expired"),
        ("no.token", "cannot be read"),
        ("a.!!!!.c", "cannot be read"),
        (7, "cannot be read"),
    ],
)
def test_a_bad_id_token_loses_no_rotated_refresh_token(id_token: Any, problem: str) -> None:
    """T89: the old refresh token may be used up, so the new one is handed out all the same."""
    grant = renewed(tokens(id_token=id_token, refresh_token="rt-new"))
    assert problem in grant.problem
    assert grant.claims is None
    assert grant.refresh_token is not None
    assert grant.refresh_token.reveal() == "rt-new"


@pytest.mark.parametrize("off", [-600, 600])
def test_a_clock_ten_minutes_off_does_not_end_a_sign_in(off: int) -> None:
    """T89: an id token of a minute's life is held against the server's own clock."""
    at = 1_794_990_400.0
    good = jwt(**GOOD | {"exp": at + 60})
    reply = Answer(200, (("Date", "Wed, 18 Nov 2026 08:26:40 GMT"),), tokens(id_token=good).body)
    grant = renewed(dataclasses.replace(reply, at=at + off))
    assert grant.problem == ""


# which refusal ends the stored sign-in, and which does not
ENDS = [
    refusal("invalid_grant"),
    refusal("invalid_grant", "Token has been expired or revoked."),
    refusal("invalid_grant", "Bad Request"),
    refusal("invalid_grant", "reauth related error", error_subtype="invalid_rapt"),
    refusal("invalid_grant", "AADSTS700082: The refresh token has expired due to inactivity."),
    refusal("invalid_grant", "AADSTS70043: bad token", error_codes=[70043]),
    refusal("invalid_grant", "AADSTS50173: revoked"),
    refusal("invalid_grant", "AADSTS50076: MFA", error_codes=[50076]),
    refusal("interaction_required", "AADSTS50079: enroll"),
    refusal("invalid_grant", "AADSTS9999999: a code nobody has seen", error_codes=[9999999]),
    refusal("invalid_grant", status=401),
]
STAYS = [
    refusal("invalid_grant", "AADSTS53003: blocked by Conditional Access", error_codes=[53003]),
    refusal("invalid_grant", "AADSTS50057: The user account is disabled."),
    refusal("invalid_grant", "AADSTS65001: no consent", error_codes=[65001]),
    refusal("invalid_grant", "AADSTS65004: declined"),
    refusal("consent_required"),
    refusal("invalid_client", "AADSTS7000222: expired secret", 401),
    refusal("unauthorized_client", "AADSTS700016: no such app"),
    refusal("invalid_scope"),
    refusal("invalid_request"),
    refusal("something_new"),
    refusal("admin_policy_enforced"),
    answer({}, 400),
    answer({"error": ["invalid_grant"]}, 400),
]
PASSES = [
    refusal("temporarily_unavailable"),
    refusal("server_error"),
    refusal("slow_down"),
    refusal("invalid_grant", status=500),
    refusal("invalid_grant", status=503),
    refusal("invalid_grant", status=429),
    refusal("invalid_grant", "AADSTS90033: directory unavailable", error_codes=[90033]),
    refusal("invalid_grant", "AADSTS50053: locked"),
    answer({}, 429),
    answer(b"", 503),
    answer(b"<html>502</html>", 502),
    answer(b"<html>please log in</html>", 200),
    answer(b"", 200),
    answer(b'{"access_token": "a', 200),
    answer({}, 302, location="https://elsewhere.example"),
]


@pytest.mark.parametrize("reply", ENDS)
def test_a_definite_refusal_says_that_a_person_has_to_sign_in(reply: Answer) -> None:
    """T89: the refusals that mark a sign-in as ended."""
    with pytest.raises(SignInError) as caught:
        renewed(reply)
    assert caught.value.code == "sign_in_required"
    assert not caught.value.temporary
    assert caught.value.exit_status == 1
    shown = caught.value.as_json()
    assert shown["error"] == caught.value.sentence, "no fact takes the place of the sentence"
    assert shown["oauth_error"] in ("invalid_grant", "interaction_required")
    assert shown["hint"]


@pytest.mark.parametrize("reply", STAYS)
def test_a_refusal_that_a_setting_can_lift_ends_nothing(reply: Answer) -> None:
    """T89: permanent, but what is stored is still good once it is put right."""
    with pytest.raises(SignInError) as caught:
        renewed(reply)
    assert caught.value.code == "sign_in_failed"
    assert not caught.value.temporary


@pytest.mark.parametrize("reply", PASSES)
def test_a_fault_is_temporary_whatever_it_is_written_on(reply: Answer) -> None:
    """T89: 429, 5xx, garbage, redirects, an empty body."""
    with pytest.raises((SignInError, ProtocolError)) as caught:
        renewed(reply)
    assert caught.value.temporary
    assert caught.value.exit_status == 75
    assert caught.value.code in ("deferred", "protocol_error")


def test_what_to_wait_stands_in_the_error() -> None:
    with pytest.raises(SignInError) as caught:
        renewed(answer({}, 429, retry_after="17"))
    assert caught.value.facts["retry_after"] == 17.0
    with pytest.raises(ProtocolError) as page:
        renewed(answer(b"<html>", 403, retry_after="9"))
    assert page.value.facts["retry_after"] == 9.0


def test_an_error_of_the_network_goes_through() -> None:
    lost = DialError("no route", temporary=True)
    with pytest.raises(DialError) as caught:
        play(refresh(client(), SERVER, Secret(OLD), at=NOW), [lost])
    assert caught.value is lost


@pytest.mark.parametrize("status", [400, 401, 200])
def test_a_server_that_echoes_the_secrets_gives_none_of_them_away(status: int) -> None:
    """T91: client secret and refresh token, in the error and in its description."""
    echo = refusal(f"bad {OLD}", f"secret a-value, token {OLD}, {OLD.encode().hex()}")
    reply = dataclasses.replace(echo, status=status)
    flow = refresh(client("a"), SERVER, Secret(OLD), at=NOW, prove=True)
    with pytest.raises(SignInError) as caught:
        play(flow, [reply])
    said = str(caught.value.as_json()) + repr(caught.value) + caught.value.reason
    assert "hunter2" not in said
    assert "a-value" not in said
    assert "****" in caught.value.said
    assert OLD.encode().hex() not in said


def test_revocation_tells_the_server_where_it_has_an_endpoint() -> None:
    flow = revoke(client("a"), SERVER, Secret("rt"), at=NOW, prove=True)
    played = play(flow, [Answer(200, (), b"", NOW)])
    assert played.result is True
    assert played.asked[0].url == SERVER.revocation_endpoint
    assert fields(played.asked[0])["token_type_hint"] == "refresh_token"
    gone = refusal("invalid_token", "Token expired or revoked")
    assert play(revoke(client(), SERVER, Secret("rt"), at=NOW), [gone]).result is True
    without = Endpoints(token_endpoint=SERVER.token_endpoint)
    assert play(revoke(client(), without, Secret("rt"), at=NOW), []).result is False


def test_half_a_character_in_an_answer_breaks_nothing() -> None:
    """JSON can say ``\\ud800``, which no text can hold: found by the fuzz target."""
    raw = b'{"error":"invalid_\\ud800grant","error_description":"\\ud83d\\ude00 \xed\xa0\x80"}'
    with pytest.raises(SignInError) as caught:
        renewed(answer(raw, 400))
    str(caught.value.as_json()).encode()
    assert "\U0001f600" in caught.value.said
    grant = renewed(tokens(scope="a \ud800", id_token=jwt(**GOOD | {"email": "\udfff@x.org"})))
    repr(grant).encode()


def test_a_program_is_not_told_to_sign_in() -> None:
    """Client credentials: no person is there, an administrator consents."""
    flow = client_credentials(client("a"), SERVER, (), at=NOW)
    with pytest.raises(SignInError, match="Nobody has consented") as caught:
        play(flow, [refusal("invalid_grant", "AADSTS65001: no consent", error_codes=[65001])])
    assert "admin consent" in caught.value.hint
    assert caught.value.code == "sign_in_failed"


def test_a_refused_revocation_says_why() -> None:
    with pytest.raises(SignInError, match="fault of its own") as caught:
        play(revoke(client(), SERVER, Secret("rt"), at=NOW), [answer({}, 503)])
    assert caught.value.temporary
