"""PKCE, state, redirect and callback of the authorization code flow."""

from __future__ import annotations

import dataclasses
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from postroom.errors import InvalidValue, ProtocolError, SignInError
from postroom.oauth import code
from postroom.oauth.code import Pending, begin, callback, challenge_of, check_redirect, loopback
from postroom.oauth.discovery import Endpoints
from postroom.oauth.tokens import exchange_code
from postroom.secret import Secret
from tests.unit.oauth.script import NOW, SERVER, client, fields, jwt, play, refusal, tokens

__all__: list[str] = []

HOME = "http://127.0.0.1:8399/callback"
TENANT = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"
COMMON = dataclasses.replace(
    SERVER, issuer="https://login.microsoftonline.com/{tenantid}/v2.0", says_issuer=True
)


def begun(server: Endpoints = SERVER) -> tuple[Pending, str]:
    """A pending sign-in and its state."""
    pending = begin(
        client("a"), server, ("mail", "offline_access"), redirect_uri=HOME, at=NOW,
        account="a@example.com", extra=(("access_type", "offline"), ("state", "mine")),
    )  # fmt: skip
    return pending, parse_qs(urlsplit(pending.url).query)["state"][0]


def test_the_challenge_is_that_of_rfc_7636_appendix_b() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_address_asks_for_a_code_with_pkce_and_state() -> None:
    pending, state = begun()
    parts = urlsplit(pending.url)
    asked = parse_qs(parts.query)
    assert pending.url.startswith(SERVER.authorization_endpoint + "?")
    assert asked == {
        "access_type": ["offline"],
        "response_type": ["code"],
        "client_id": ["client-1"],
        "redirect_uri": [HOME],
        "scope": ["mail offline_access"],
        "state": [state],
        "code_challenge": [challenge_of(pending.verifier.reveal())],
        "code_challenge_method": ["S256"],
        "login_hint": ["a@example.com"],
    }
    assert len(pending.verifier.reveal()) == 43  # RFC 7636, 4.1: 43 to 128
    assert len(state) == 43
    assert pending.verifier.reveal() not in pending.url + repr(pending)
    assert begun()[1] != state


def test_a_query_of_the_endpoint_s_own_stays() -> None:
    server = dataclasses.replace(SERVER, authorization_endpoint="https://a.example/auth?p=b2c")
    assert begun(server)[0].url.startswith("https://a.example/auth?p=b2c&access_type=")


@pytest.mark.parametrize(
    ("server", "told"),
    [
        (dataclasses.replace(SERVER, authorization_endpoint=""), "names none; write it into"),
        (
            dataclasses.replace(
                SERVER,
                authorization_endpoint="",
                left_out=(("authorization_endpoint", "https://a.example/auth"),),
            ),
            r"names one elsewhere \(https://a\.example/auth\); if that is right, write it into",
        ),
        (Endpoints(token_endpoint=SERVER.token_endpoint), "server is not asked for the others"),
    ],
)
def test_an_endpoint_that_is_missing_says_why(server: Endpoints, told: str) -> None:
    with pytest.raises(InvalidValue, match=told):
        begun(server)


def test_a_callback_gives_its_code() -> None:
    """T85: what belongs together."""
    pending, state = begun()
    query = urlencode({"code": "c-1", "state": state, "session_state": "x"})
    assert code.key_of_state(code.state_of(query)) == pending.key
    assert callback(pending, query, at=NOW + 599).reveal() == "c-1"


def queries(state: str) -> dict[str, tuple[str, float]]:
    good = {"code": "c-1", "state": state}
    return {
        "another sign-in": (urlencode(good | {"state": "x" * 43}), NOW),
        "another sign-in ": (urlencode({"code": "c-1"}), NOW),
        "another sign-in  ": ("", NOW),
        "too late": (urlencode(good), NOW + 601),
        "too late ": (urlencode(good), NOW - 61),
        "another authorization server": (urlencode(good | {"iss": "https://evil.example"}), NOW),
        "something twice": (urlencode(good) + f"&state={state}", NOW),
        "something twice ": (urlencode(good) + "&code=c-2", NOW),
        "no code": (urlencode(good | {"code": ""}), NOW),
        "no code ": (urlencode(good | {"code": "a\r\nb"}), NOW),
        "longer than any": (urlencode(good) + "&x=" + "y" * 20_000, NOW),
        "another sign-in   ": ("&".join(f"a{n}=1" for n in range(100)), NOW),
    }


@pytest.mark.parametrize("why", list(queries("")))
def test_a_callback_that_does_not_fit_is_refused(why: str) -> None:
    """T85: wrong, missing or old state, parameters twice, another issuer (RFC 9207)."""
    pending, state = begun()
    query, at = queries(state)[why]
    with pytest.raises(SignInError, match=why.strip()) as caught:
        callback(pending, query, at=at)
    assert "c-1" not in str(caught.value.as_json())
    assert caught.value.code == "sign_in_failed"


def test_the_state_of_another_session_is_another_sign_in() -> None:
    """T85: two sign-ins at once do not take each other's answers."""
    (mine, _), (_, theirs) = begun(), begun()
    with pytest.raises(SignInError, match="another sign-in"):
        callback(mine, urlencode({"code": "c", "state": theirs}), at=NOW)


def test_the_issuer_is_judged_before_the_error() -> None:
    pending, state = begun()
    said = {"state": state, "error": "access_denied", "iss": "https://evil.example"}
    with pytest.raises(SignInError, match="another authorization server"):
        callback(pending, urlencode(said), at=NOW)


@pytest.mark.parametrize(
    ("issuer", "fits"),
    [
        (f"https://login.microsoftonline.com/{TENANT}/v2.0", True),
        ("https://login.microsoftonline.com/{tenantid}/v2.0", False),
        ("https://login.microsoftonline.com/common/v2.0", False),
        (f"https://evil.example/{TENANT}/v2.0", False),
        ("", False),
    ],
)
def test_a_server_that_announced_its_issuer_has_to_say_it(issuer: str, fits: bool) -> None:
    """T85: mix-up (RFC 9207, 2.4)."""
    pending, state = begun(COMMON)
    query = urlencode({"code": "c-1", "state": state} | ({"iss": issuer} if issuer else {}))
    if fits:
        assert callback(pending, query, at=NOW).reveal() == "c-1"
        return
    with pytest.raises(SignInError, match="another authorization server"):
        callback(pending, query, at=NOW)


def test_a_server_without_metadata_has_no_name_to_compare() -> None:
    pending, state = begun(dataclasses.replace(SERVER, issuer=""))
    query = urlencode({"code": "c-1", "state": state, "iss": "https://whatever.example"})
    code = callback(pending, query, at=NOW)
    somebody = jwt(iss="https://whatever.example", aud="client-1", exp=NOW + 60)
    unnamed = dataclasses.replace(SERVER, issuer="")
    flow = exchange_code(client(), unnamed, pending, code, at=NOW)
    assert play(flow, [tokens(id_token=somebody)]).result.claims is not None


@pytest.mark.parametrize(
    ("error", "description", "sentence", "temporary"),
    [
        ("access_denied", "the user cancelled", "refused by the person", False),
        ("access_denied", "AADSTS65004: declined", "declined to consent", False),
        ("admin_policy_enforced", "", "Workspace administrator", False),
        ("server_error", "", "fault of its own", True),
        ("new_error", "\x1b[31m", "refused the sign-in", False),
    ],
)
def test_an_error_in_a_callback_is_explained(
    error: str, description: str, sentence: str, temporary: bool
) -> None:
    pending, state = begun()
    said = {"state": state, "error": error, "error_description": description}
    with pytest.raises(SignInError, match=sentence) as caught:
        callback(pending, urlencode(said), at=NOW)
    assert caught.value.temporary is temporary
    assert caught.value.code != "sign_in_required"
    assert "\x1b" not in str(caught.value.as_json())


def test_the_exchange_repeats_the_redirect_and_shows_the_verifier() -> None:
    pending, _ = begun()
    good = jwt(iss=SERVER.issuer, aud="client-1", exp=NOW + 60, email="a@example.com")
    flow = exchange_code(client(), SERVER, pending, Secret("c-1"), at=NOW)
    played = play(flow, [tokens(refresh_token="rt", id_token=good)])
    assert fields(played.asked[0]) == {
        "grant_type": "authorization_code", "code": "c-1", "redirect_uri": HOME,
        "code_verifier": pending.verifier.reveal(), "client_id": "client-1",
    }  # fmt: skip
    assert played.result.scope == ("mail", "offline_access")
    assert played.result.rotated


def test_an_exchange_says_the_scopes_again_where_the_server_wants_them() -> None:
    """Entra gives no token for a code of its multi-service kind without them (AADSTS28003)."""
    pending, _ = begun()
    flow = exchange_code(client(), SERVER, pending, Secret("c-1"), pending.scopes, at=NOW)
    asked = play(flow, [tokens(refresh_token="rt")]).asked[0]
    assert fields(asked)["scope"] == " ".join(pending.scopes)


def test_a_refused_code_marks_nothing_stored() -> None:
    """T89: ``invalid_grant`` of an exchange is about the code, not about what is stored."""
    pending, _ = begun()
    flow = exchange_code(client(), SERVER, pending, Secret("c-hunter2"), at=NOW)
    with pytest.raises(SignInError) as caught:
        play(flow, [refusal("invalid_grant", "code c-hunter2 was used")])
    assert caught.value.code == "sign_in_failed"
    assert "hunter2" not in str(caught.value.as_json())


def test_a_wrong_id_token_ends_a_first_sign_in() -> None:
    pending, _ = begun()
    flow = exchange_code(client(), SERVER, pending, Secret("c"), at=NOW)
    with pytest.raises(ProtocolError, match="another issuer"):
        play(flow, [tokens(id_token=jwt(iss="https://x.example", aud="client-1", exp=NOW))])


@pytest.mark.parametrize(
    ("uri", "fits"),
    [
        ("https://mail.example.com/oauth/callback", True),
        ("https://mail.example.com:8443/cb?x=1", True),
        ("http://localhost", True),
        ("http://localhost:8399/", True),
        ("http://127.0.0.1:8399/callback", True),
        ("http://[::1]:8399/", True),
        ("http://mail.example.com/callback", False),
        ("http://127.0.0.1.evil.example/", False),
        ("http://localhost@evil.example/", False),
        ("https://mail.example.com/cb#x", False),
        ("https://mail.example.com/cb#", False),
        ("myapp:/callback", False),
        ("//mail.example.com/cb", False),
        ("https:///cb", False),
        ("https://mail.example.com/c b", False),
        ("https://mail.example.com:99999/", False),
        ("https://[::1/", False),
        ("", False),
    ],
)
def test_redirects_are_https_or_this_machine(uri: str, fits: bool) -> None:
    """RFC 8252, 7.3 and 8.3; RFC 9700, 2.1."""
    if fits:
        check_redirect(uri)
        return
    with pytest.raises(InvalidValue) as caught:
        check_redirect(uri)
    assert caught.value.field == "redirect_uri"


@pytest.mark.parametrize(
    ("registered", "listens"),
    [
        ("http://localhost", "http://localhost:8399"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:8399/cb"),
        ("http://127.0.0.1:1/cb", "http://127.0.0.1:8399/cb"),
        ("http://[::1]/cb", "http://[::1]:8399/cb"),
    ],
)
def test_a_loopback_redirect_takes_the_port_of_its_listener(registered: str, listens: str) -> None:
    assert loopback(registered, 8399) == listens


def test_only_this_machine_can_listen_for_the_command_line() -> None:
    with pytest.raises(InvalidValue, match="listens on"):
        loopback("https://mail.example.com/cb", 8399)
