"""Any bytes as an answer: every flow ends with its result or with an error of the one tree."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.errors import PostroomError, SignInError
from postroom.oauth.client import Client, ClientSecret
from postroom.oauth.code import begin, callback, key_of_state, state_of
from postroom.oauth.device import DeviceCode, device_authorization, poll
from postroom.oauth.discovery import Endpoints, discover
from postroom.oauth.identity import check_account, signed_in
from postroom.oauth.refusals import explain
from postroom.oauth.scopes import compare
from postroom.oauth.steps import Answer, Flow
from postroom.oauth.tokens import (
    TokenGrant,
    client_credentials,
    exchange_code,
    refresh,
    revoke,
)
from postroom.secret import Secret
from tests.unit.oauth.script import AUTHORITY, NOW, SERVER, client, jwt, outcome

__all__: list[str] = []

CANARY = "canary-hunter2-secret"
PENDING = begin(client(), SERVER, ("mail",), redirect_uri="http://127.0.0.1:1/", at=NOW)
DEVICE = DeviceCode("AB", "https://x.example/", 5, 60, NOW, Secret(CANARY))
APP = Client("client-1", (ClientSecret("a", Secret(CANARY)), ClientSecret("b", Secret(CANARY))))
FLOWS: dict[str, Callable[[], Flow[Any]]] = {
    "client": lambda: client_credentials(APP, SERVER, ("mail",), at=NOW),
    "refresh": lambda: refresh(APP, SERVER, Secret(CANARY), at=NOW),
    "code": lambda: exchange_code(APP, SERVER, PENDING, Secret(CANARY), at=NOW),
    "device": lambda: device_authorization(APP, SERVER, ("mail",), at=NOW, prove=True),
    "poll": lambda: poll(APP, SERVER, DEVICE),
    "revoke": lambda: revoke(APP, SERVER, Secret(CANARY), at=NOW),
    "discover": lambda: discover(AUTHORITY),
    "entra": lambda: discover(AUTHORITY, entra=True),
}
KINDS: dict[str, type] = {
    "client": TokenGrant, "refresh": TokenGrant, "code": TokenGrant, "poll": TokenGrant,
    "device": DeviceCode, "revoke": bool, "discover": Endpoints, "entra": Endpoints,
}  # fmt: skip

NAMES = st.sampled_from(
    ["access_token", "token_type", "expires_in", "refresh_token", "scope", "id_token", "error",
     "error_description", "error_codes", "error_subtype", "error_code", "device_code", "user_code",
     "verification_uri", "verification_url", "verification_uri_complete", "interval", "issuer",
     "token_endpoint", "authorization_endpoint", "device_authorization_endpoint",
     "token_endpoint_auth_methods_supported", "revocation_endpoint"]
)  # fmt: skip
WORDS = st.sampled_from(
    ["Bearer", "at", "invalid_grant", "invalid_client", "slow_down", "authorization_pending", CANARY,
     f"AADSTS50076 {CANARY}", "Bad Request", "https://login.example.com/tenant", AUTHORITY + "/v2.0",
     "https://evil.example/x", "https://[::1/", "http://x", "3600", jwt(iss=AUTHORITY, aud="client-1"),
     jwt(aud=[1, "client-1"], exp="soon", tid=7, email_verified=[]), "a.b.c", "..", "\ud800", "\x1b[2J"]
)  # fmt: skip
VALUES = st.recursive(
    WORDS | st.text(max_size=30) | st.none() | st.booleans() | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=8).map(
    lambda found: json.dumps(found).encode("utf-8", "surrogatepass")
)
CUT = st.tuples(DOCUMENTS, st.integers(0, 400)).map(lambda pair: pair[0][: pair[1]])
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["Date", "Retry-After", "Content-Type", "Location"]),
        st.sampled_from(["Wed, 18 Nov 2026 08:26:40 GMT", "3", "-1", "text/html"])
        | st.text(max_size=40),
    ),
    max_size=3,
).map(tuple)
ANSWERS = st.builds(
    Answer,
    st.sampled_from([200, 200, 200, 201, 204, 302, 400, 400, 401, 403, 404, 429, 500, 503, 0, 999]),
    HEADERS,
    DOCUMENTS | CUT | st.binary(max_size=200),
    st.just(NOW),
)


@pytest.mark.parametrize("name", list(FLOWS))
@settings(max_examples=60, derandomize=True, database=None)
@given(replies=st.lists(ANSWERS, min_size=1, max_size=4))
def test_a_flow_ends_with_its_result_or_a_typed_error(name: str, replies: list[Answer]) -> None:
    """T89, T91: whatever the server says, and none of the request's secrets comes back out."""
    found = outcome(FLOWS[name](), replies)
    if isinstance(found, PostroomError):
        shown = json.dumps(found.as_json())
        assert "\x1b" not in str(found)
    else:
        assert isinstance(found, KINDS[name])
        shown = repr(found)
    if name not in ("discover", "entra"):  # they send nothing secret
        assert CANARY not in shown
    if isinstance(found, TokenGrant):
        judged(found)


def judged(grant: TokenGrant) -> None:
    """What is made of a grant afterwards."""
    with contextlib.suppress(SignInError):
        told = check_account(signed_in(grant), "a@example.com", tenant="consumers")
        assert told in ("same", "unknown")
    compare(("mail",), grant.scope, renewable=grant.refresh_token is not None)


@settings(max_examples=100, derandomize=True, database=None)
@given(
    query=st.text(max_size=300)
    | st.lists(
        st.tuples(st.sampled_from(["state", "code", "iss", "error", "x"]), st.text(max_size=20)),
        max_size=6,
    ).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))
)
def test_any_callback_is_a_refusal(query: str) -> None:
    """T85: whoever does not know the state gets nowhere."""
    with pytest.raises(SignInError):
        callback(PENDING, query, at=NOW)
    with contextlib.suppress(SignInError):
        assert key_of_state(state_of(query)) != PENDING.key


@settings(max_examples=100, derandomize=True, database=None)
@given(text=st.text(max_size=200) | st.lists(WORDS, max_size=5).map(" ".join))
def test_any_text_can_be_pasted(text: str) -> None:
    assert all(each.sentence for each in explain(text))
