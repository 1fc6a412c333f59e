"""Discovery: where it looks, whose metadata it believes, which endpoints it pins."""

from __future__ import annotations

import re
from typing import Any

import pytest

from postroom.errors import InvalidValue, ProtocolError, SignInError
from postroom.oauth.discovery import (
    Endpoints,
    discover,
    issuer_fits,
    locations,
    named_endpoints,
)
from tests.unit.oauth.script import AUTHORITY, answer, play

__all__: list[str] = []

GUID = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"
MICROSOFT = "https://login.microsoftonline.com"
FULL = {
    "issuer": AUTHORITY,
    "token_endpoint": f"{AUTHORITY}/token",
    "authorization_endpoint": f"{AUTHORITY}/authorize",
    "device_authorization_endpoint": f"{AUTHORITY}/device",
    "revocation_endpoint": f"{AUTHORITY}/revoke",
    "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", 7],
    "token_endpoint_auth_signing_alg_values_supported": ["PS256"],
    "authorization_response_iss_parameter_supported": True,
    "jwks_uri": "https://evil.example/keys",
}


def found(document: dict[str, Any], authority: str = AUTHORITY, **more: Any) -> Endpoints:
    return play(discover(authority, **more), [answer(document)]).result


@pytest.mark.parametrize(
    ("authority", "entra", "places"),
    [
        ("https://a.example", False, ("/.well-known/openid-configuration",
                                      "/.well-known/oauth-authorization-server")),
        ("https://a.example/", False, ("/.well-known/openid-configuration",
                                       "/.well-known/oauth-authorization-server")),
        ("https://a.example/realms/mail", False,
         ("/realms/mail/.well-known/openid-configuration",
          "/.well-known/oauth-authorization-server/realms/mail")),
        ("https://a.example/T", True, ("/T/v2.0/.well-known/openid-configuration",)),
        ("https://a.example/T/v2.0/", True, ("/T/v2.0/.well-known/openid-configuration",)),
    ],
)  # fmt: skip
def test_it_looks_where_the_standards_say(
    authority: str, entra: bool, places: tuple[str, ...]
) -> None:
    """RFC 8414, 3.1 puts it between host and path; OpenID appends it; Entra has it below v2.0."""
    wanted = tuple("https://a.example" + place for place in places)
    assert locations(authority, entra=entra) == wanted


def test_endpoints_are_pinned_and_what_is_not_used_is_dropped() -> None:
    endpoints = found(FULL)
    assert endpoints == Endpoints(
        issuer=AUTHORITY,
        token_endpoint=f"{AUTHORITY}/token",
        authorization_endpoint=f"{AUTHORITY}/authorize",
        device_authorization_endpoint=f"{AUTHORITY}/device",
        revocation_endpoint=f"{AUTHORITY}/revoke",
        methods=("client_secret_post", "private_key_jwt"),
        algorithms=("PS256",),
        says_issuer=True,
        openid=True,
    )


@pytest.mark.parametrize("status", [404, 400, 403, 410])
def test_the_second_place_is_looked_at_when_the_first_has_nothing(status: int) -> None:
    played = play(discover(AUTHORITY), [answer(b"not here", status), answer(FULL)])
    assert [each.url for each in played.asked] == list(locations(AUTHORITY, entra=False))
    assert played.asked[0].method == "GET"
    assert not played.result.openid  # RFC 8414's metadata, found where that puts them
    assert not played.asked[0].form


def test_a_fault_names_the_place_that_was_asked() -> None:
    second = locations(AUTHORITY, entra=False)[1]
    with pytest.raises(SignInError, match=re.escape(f"{second} with HTTP 503")):
        play(discover(AUTHORITY), [answer(b"not here", 404), answer(b"", 503)])


def test_a_page_at_the_first_place_does_not_hide_the_second() -> None:
    assert play(discover(AUTHORITY), [answer(b"<html>welcome"), answer(FULL)]).result.issuer


def test_without_metadata_the_sentence_says_what_to_write() -> None:
    with pytest.raises(SignInError, match="has no metadata") as caught:
        play(discover(AUTHORITY), [answer(b"", 404), answer(b"", 404)])
    assert "token_endpoint" in caught.value.hint
    assert not caught.value.temporary


def test_a_tenant_that_does_not_exist_is_said_to() -> None:
    none = {"error": "invalid_tenant", "error_description": "AADSTS90002: Tenant not found."}
    with pytest.raises(SignInError, match="There is no such tenant") as caught:
        play(discover(f"{MICROSOFT}/nobody.example"), [answer(none, 400)])
    assert "tenant" in caught.value.hint
    assert caught.value.code == "sign_in_failed"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_fault_is_temporary_and_ends_the_search(status: int) -> None:
    with pytest.raises(SignInError) as caught:
        play(discover(AUTHORITY), [answer(b"", status, retry_after="7")])
    assert (caught.value.temporary, caught.value.facts["retry_after"]) == (True, 7.0)


def test_a_redirect_is_not_followed() -> None:
    with pytest.raises(ProtocolError, match="never followed"):
        play(discover(AUTHORITY), [answer(b"", 301, location="https://evil.example")])


@pytest.mark.parametrize(
    "issuer",
    ["https://evil.example/tenant", "https://login.example.com/other", "", f"{AUTHORITY}/v2.0", 7,
     "http://login.example.com/tenant", "https://login.example.com/TENANT"],
)  # fmt: skip
def test_metadata_of_another_issuer_is_refused(issuer: Any) -> None:
    """T86: RFC 8414, 3.3."""
    with pytest.raises(ProtocolError, match="describes another authorization server"):
        found(FULL | {"issuer": issuer})


@pytest.mark.parametrize(
    ("authority", "issuer", "fits"),
    [
        (f"{MICROSOFT}/{GUID}", f"{MICROSOFT}/{GUID}/v2.0", True),
        (f"{MICROSOFT}/{GUID}/v2.0", f"{MICROSOFT}/{GUID}/v2.0", True),
        (f"{MICROSOFT}/contoso.example", f"{MICROSOFT}/{GUID}/v2.0", True),
        (f"{MICROSOFT}/common", f"{MICROSOFT}/{{tenantid}}/v2.0", True),
        (f"{MICROSOFT}/organizations", f"{MICROSOFT}/{{tenantid}}/v2.0", True),
        (f"{MICROSOFT}/consumers", f"{MICROSOFT}/{GUID}/v2.0", True),
        (f"{MICROSOFT}/{GUID}", f"{MICROSOFT}/{GUID[:-1]}1/v2.0", False),
        (f"{MICROSOFT}/{GUID}", f"{MICROSOFT}/{{tenantid}}/v2.0", False),
        (f"{MICROSOFT}/{GUID}", f"https://sts.windows.net/{GUID}/", False),
        (f"{MICROSOFT}/{GUID}", f"https://evil.example/{GUID}/v2.0", False),
        (f"{MICROSOFT}/contoso.example", f"{MICROSOFT}/fabrikam.example/v2.0", False),
        (f"{MICROSOFT}", f"{MICROSOFT}/{GUID}/v2.0", True),
        (f"{MICROSOFT}/{GUID}", f"{MICROSOFT}/{GUID}/v2.0?x", False),
    ],
)
def test_entra_names_tenants_by_their_guid(authority: str, issuer: str, fits: bool) -> None:
    """T86: a tenant by domain, or several, and an issuer of that tenant."""
    document = {"issuer": issuer, "token_endpoint": f"{MICROSOFT}/{GUID}/oauth2/v2.0/token"}
    if fits:
        assert found(document, authority).issuer == issuer
        return
    with pytest.raises(ProtocolError, match="another authorization server"):
        found(document, authority)


def test_a_server_in_entra_s_layout_can_be_anywhere() -> None:
    """A test server, or a cloud whose host is not known."""
    base = "https://localhost:7443/ground.test"
    document = {"issuer": f"{base}/v2.0", "token_endpoint": f"{base}/oauth2/v2.0/token"}
    played = play(discover(base, entra=True), [answer(document)])
    assert played.asked[0].url == f"{base}/v2.0/.well-known/openid-configuration"
    assert played.result.token_endpoint == f"{base}/oauth2/v2.0/token"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/token",
        "https://login.example.com:8443/token",
        "https://login.example.com.evil.example/token",
    ],
)
def test_a_token_endpoint_elsewhere_is_refused_unless_the_record_names_it(url: str) -> None:
    """T86: a secret goes where a person wrote that it may go."""
    with pytest.raises(ProtocolError, match="token endpoint elsewhere") as caught:
        found(FULL | {"token_endpoint": url})
    assert "write it into token_endpoint" in caught.value.hint
    named = found(FULL | {"token_endpoint": url}, named={"token_endpoint": url})
    assert named.token_endpoint == url
    mine = "https://mine.example/token"
    assert found(FULL, named={"token_endpoint": mine}).token_endpoint == mine


@pytest.mark.parametrize(
    "url",
    ["http://login.example.com/token", "ftp://login.example.com/", "token", "https:///token",
     "https://user@login.example.com/token", "https://login.example.com/token#x",
     "https://login.example.com/to ken", "https://login.example.com\\@evil.example/",
     "https://login.example.com/\r\nHost: evil", "https://[::1/token", "https://login.example.com:x/"],
)  # fmt: skip
def test_an_endpoint_that_is_no_https_url_is_refused(url: str) -> None:
    """T86: also when it is one that is not needed at once."""
    for name in ("token_endpoint", "revocation_endpoint"):
        with pytest.raises(ProtocolError, match="no https:// URL"):
            found(FULL | {name: url})


def test_other_endpoints_elsewhere_are_left_out_and_listed() -> None:
    """T86: Google's metadata, whose endpoints lie on three hosts."""
    google = {
        "issuer": "https://accounts.google.com",
        "authorization_endpoint": "https://accounts.google.com/o/oauth2/v2/auth",
        "token_endpoint": "https://oauth2.googleapis.com/token",
        "device_authorization_endpoint": "https://oauth2.googleapis.com/device/code",
        "revocation_endpoint": "https://oauth2.googleapis.com/revoke",
    }
    named = {
        "token_endpoint": "https://oauth2.googleapis.com/token",
        "revocation_endpoint": "https://oauth2.googleapis.com/revoke",
    }
    endpoints = found(google, "https://accounts.google.com", named=named)
    assert endpoints.revocation_endpoint == named["revocation_endpoint"]
    assert endpoints.device_authorization_endpoint == ""
    assert endpoints.left_out == (
        ("device_authorization_endpoint", "https://oauth2.googleapis.com/device/code"),
    )


def test_metadata_without_a_token_endpoint_is_of_no_use() -> None:
    with pytest.raises(ProtocolError, match="names no token endpoint"):
        found({"issuer": AUTHORITY})


@pytest.mark.parametrize(
    "authority", ["", "login.example.com", "http://login.example.com", "https://"]
)
def test_an_authority_that_is_no_https_url_is_refused_before_anything_is_asked(
    authority: str,
) -> None:
    with pytest.raises(InvalidValue) as caught:
        play(discover(authority), [])
    assert caught.value.field == "authority"


def test_a_named_endpoint_is_checked_too() -> None:
    with pytest.raises(InvalidValue) as caught:
        play(discover(AUTHORITY, named={"token_endpoint": "http://x.example/"}), [])
    assert caught.value.field == "token_endpoint"


def test_a_server_without_metadata_is_used_by_what_the_record_names() -> None:
    token, device = f"{AUTHORITY}/token", "https://device.example/"
    named = named_endpoints({"token_endpoint": token, "device_authorization_endpoint": device})
    assert (named.token_endpoint, named.device_authorization_endpoint) == (token, device)
    assert (named.issuer, named.revocation_endpoint) == ("", "")
    for wrong in ({}, {"token_endpoint": "http://x.example/"}, {"revocation_endpoint": "x"}):
        with pytest.raises(InvalidValue):
            named_endpoints(wrong)


def test_google_s_issuer_without_its_scheme_is_google_s() -> None:
    assert issuer_fits("https://accounts.google.com", "accounts.google.com")
    assert not issuer_fits("https://login.example.com", "login.example.com")


def test_a_slash_at_the_end_of_an_issuer_makes_no_other_server() -> None:
    assert found(FULL | {"issuer": AUTHORITY + "/"}).issuer == AUTHORITY + "/"
    assert issuer_fits(AUTHORITY + "/", AUTHORITY)
    assert not issuer_fits("", "")


@pytest.mark.parametrize(
    ("said", "methods"),
    [
        ("client_secret_post", ("client_secret_post",)),
        (["client_secret_basic", 7, None], ("client_secret_basic",)),
        ({"client_secret_post": 1}, ()),
        (None, ()),
    ],
)
def test_a_strange_list_is_read_as_far_as_it_is_one(said: Any, methods: tuple[str, ...]) -> None:
    assert found(FULL | {"token_endpoint_auth_methods_supported": said}).methods == methods
