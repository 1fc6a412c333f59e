"""OAuth: whatever an authorization server answers, a flow ends with its result or an error of ours."""

from __future__ import annotations

import json

from postroom.errors import PostroomError, SignInError
from postroom.oauth.claims import read_claims
from postroom.oauth.code import begin, callback
from postroom.oauth.device import DeviceCode, device_authorization, poll
from postroom.oauth.discovery import discover
from postroom.oauth.identity import address_key
from postroom.oauth.refusals import explain
from postroom.oauth.steps import Answer
from postroom.oauth.tokens import client_credentials, refresh
from postroom.secret import Secret
from tests.unit.oauth.script import AUTHORITY, NOW, SERVER, client, outcome

__all__ = ["WORDS", "check"]

WORDS = (
    b'{"', b'":"', b'","', b'":', b'"}', b"[", b"]", b"200\n", b"401\n", b"503\n", b"access_token",
    b"token_type", b"Bearer", b"expires_in", b"refresh_token", b"id_token", b"error",
    b"error_description", b"error_codes", b"invalid_grant", b"invalid_client", b"slow_down",
    b"authorization_pending", b"AADSTS50076", b"device_code", b"user_code", b"verification_uri",
    b"https://login.example.com/tenant", b"issuer", b"token_endpoint", b"eyJhIjoxfQ", b".", b"\\ud800",
    b"null", b"1e999", b"NaN", b"\x1b[31m", b"canary-hunter2", b"state=", b"&code=", b"&error=", b"%",
)  # fmt: skip
CANARY = "canary-hunter2"
PENDING = begin(client(), SERVER, ("mail",), redirect_uri="http://127.0.0.1:1/", at=NOW)
DEVICE = DeviceCode("AB", "https://x.example/", 5, 60, NOW, Secret(CANARY))


def check(data: bytes) -> None:
    """A status on the first line and a body, given to every flow; the same as a callback and a text."""
    first, _, body = data.partition(b"\n")
    status = int(first) if len(first) == 3 and first.isdigit() else 200
    answer = Answer(status, (("Retry-After", first.decode("latin-1")),), body, NOW)
    public = client()
    flows = (
        client_credentials(client("a", "b"), SERVER, ("mail",), at=NOW),
        refresh(public, SERVER, Secret(CANARY), at=NOW),
        device_authorization(public, SERVER, ("mail",), at=NOW),
        poll(public, SERVER, DEVICE),
        discover(AUTHORITY),
    )
    for number, flow in enumerate(flows):
        found = outcome(flow, [answer])
        if isinstance(found, PostroomError):
            shown = json.dumps(found.as_json())
            assert "\x1b" not in str(found)
            assert number not in (1, 3) or CANARY not in shown
    text = data.decode("utf-8", "replace")
    try:
        callback(PENDING, text, at=NOW)
    except SignInError:
        pass
    else:
        raise AssertionError("a callback without the state was taken")
    explain(text)
    read_claims(text)
    assert address_key(address_key(text)) == address_key(text)
