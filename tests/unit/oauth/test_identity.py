"""Who signed in against who was expected: names, tenants, and what the tokens do not say."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.errors import SignInError
from postroom.oauth.claims import read_claims
from postroom.oauth.identity import check_account, same_address, signed_in
from postroom.oauth.tokens import TokenGrant
from postroom.secret import Secret
from tests.unit.oauth.script import NOW, jwt

__all__: list[str] = []

TENANT = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"
PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"


def grant(
    id_token: dict[str, Any] | None = None, access: dict[str, Any] | None = None
) -> TokenGrant:
    return TokenGrant(
        Secret("at"), 60, NOW,
        claims=read_claims(jwt(**id_token)) if id_token is not None else None,
        hints=read_claims(jwt(**access)) if access is not None else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Anna@Example.COM", "anna@example.com", True),
        (" anna@example.com ", "anna@example.com", True),
        ("anna@bücher.example", "ANNA@xn--bcher-kva.example", True),
        ("anna@BÜCHER.example", "anna@bücher.example", True),
        ("jörg@example.com", "JO\u0308RG@example.com", True),
        ("anna@example.com.", "anna@example.com", True),
        ("u@straße.example", "u@strasse.example", False),
        ("maß@example.com", "mass@example.com", False),
        ("anna@example.com", "anna@example.org", False),
        ("anna+x@example.com", "anna@example.com", False),
        ("anna", "ANNA", True),
        ("anna@", "anna@", True),
        ("a@b@example.com", "b@example.com", False),
    ],
)
def test_addresses_are_compared_without_case_and_without_folding(
    one: str, other: str, same: bool
) -> None:
    """T90: two spellings of one account are one, two accounts are two."""
    assert same_address(one, other) is same
    assert same_address(other, one) is same


@pytest.mark.parametrize(
    ("id_token", "access", "names"),
    [
        ({"preferred_username": "a@x.org"}, None, ("a@x.org",)),
        ({"preferred_username": "a@x.org"}, {"upn": "b@x.org"}, ("a@x.org",)),
        (None, {"upn": "b@x.org"}, ("b@x.org",)),
        ({"email": "a@x.org", "email_verified": True}, None, ("a@x.org",)),
        ({"email": "a@x.org", "email_verified": "true"}, None, ("a@x.org",)),
        ({"email": "a@x.org", "email_verified": False}, None, ()),
        ({"email": "a@x.org", "email_verified": "false"}, None, ()),
        ({"email": "a@x.org"}, None, ("a@x.org",)),
        (
            {"email": "ceo@x.org", "preferred_username": "a@x.org", "tid": TENANT},
            None,
            ("a@x.org",),
        ),
        ({"email": "a@x.org", "tid": TENANT}, None, ("a@x.org",)),
        ({"preferred_username": "Anna", "email": "a@x.org"}, None, ("a@x.org",)),
        ({"preferred_username": ["a@x.org"], "upn": 7}, None, ()),
        ({}, None, ()),
        (None, None, ()),
    ],
)
def test_names_come_from_the_most_trustworthy_claims(
    id_token: dict[str, Any] | None, access: dict[str, Any] | None, names: tuple[str, ...]
) -> None:
    """T90: in Entra an ``email`` claim can hold anybody's address."""
    found = signed_in(grant(id_token, access))
    assert found.names == names


def test_the_expected_account_is_the_same() -> None:
    found = signed_in(grant({"preferred_username": "Anna@Bücher.example", "tid": TENANT.upper()}))
    assert check_account(found, "anna@xn--bcher-kva.example", tenant=TENANT) == "same"
    assert check_account(found, "anna@bücher.example", tenant="bücher.example") == "same"


def test_another_account_is_refused_and_both_are_named() -> None:
    """T90, T87: whoever else signs in is not taken."""
    found = signed_in(grant({"preferred_username": "eve@example.com\x1b[31m"}))
    with pytest.raises(SignInError, match=r"anna@example\.com was expected") as caught:
        check_account(found, "anna@example.com")
    assert caught.value.facts["signed_in"] == ["eve@example.com\\x1b[31m"]
    assert caught.value.facts["expected"] == "anna@example.com"
    assert not caught.value.temporary


def test_another_email_of_entra_is_no_way_round() -> None:
    """T90: the account of an attacker's tenant whose email says the victim's address."""
    found = signed_in(
        grant(
            {"preferred_username": "eve@evil.example", "email": "anna@example.com", "tid": TENANT}
        )
    )
    with pytest.raises(SignInError, match="was expected"):
        check_account(found, "anna@example.com")


@pytest.mark.parametrize(
    ("tid", "tenant", "sentence"),
    [
        (PERSONAL, TENANT, "another tenant"),
        (TENANT, PERSONAL, "another tenant"),
        (TENANT, "consumers", "another tenant"),
        (PERSONAL, "organizations", "personal account"),
    ],
)
def test_another_tenant_is_refused_even_with_the_right_name(
    tid: str, tenant: str, sentence: str
) -> None:
    """T90: wrong tenant."""
    found = signed_in(grant({"preferred_username": "a@example.com", "tid": tid}))
    with pytest.raises(SignInError, match=sentence):
        check_account(found, "a@example.com", tenant=tenant)


@pytest.mark.parametrize(
    ("tid", "tenant"),
    [
        (TENANT, TENANT.upper()),
        (TENANT, "common"),
        (TENANT, "organizations"),
        (PERSONAL, "consumers"),
        (TENANT, "contoso.example"),
        ("", TENANT),
        (TENANT, ""),
    ],
)
def test_a_tenant_that_fits_or_cannot_be_compared_passes(tid: str, tenant: str) -> None:
    found = signed_in(grant({"preferred_username": "a@example.com", "tid": tid}))
    assert check_account(found, "a@example.com", tenant=tenant) == "same"


def test_what_the_tokens_do_not_say_is_unknown() -> None:
    """Claims are a hint, the call is the proof: Google's access tokens say nothing."""
    assert check_account(signed_in(grant()), "a@example.com") == "unknown"
    named = signed_in(grant({"preferred_username": "a@example.com"}))
    assert check_account(named, "") == "unknown"
    assert named.name == "a@example.com"
