"""The types: every declared field, what is missing, what is refused, and where each may go."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from postroom.credentials.intake import Intake
from postroom.credentials.types import TYPES, type_named
from postroom.credentials.types.base import Details
from postroom.credentials.types.pem import generate_pair
from postroom.errors import InvalidValue, PostroomError, UnknownField
from postroom.fields import describe
from postroom.secret import Secret


def made(kind: str, values: dict[str, Any]) -> Any:
    """The record that these values make, as the store makes it."""
    cls = type_named(kind)
    intake = Intake({}, {})
    for name, value in values.items():
        cls.take(intake, name, value)
    record = cls.load(Details(intake.plain, intake.sealed))
    record.check()
    return record


FIELDS = {
    "smtp": "host port email_address allowed_senders user_name password* tls "
            "check_server_identity trust proxy",
    "msgraph": "tenant_id client_id client_secrets private_key* certificate next_private_key* "
               "next_certificate mailbox mailboxes authority graph_url",
    "oauth_client": "authority client_id client_secrets private_key* certificate next_private_key* "
                    "next_certificate token_endpoint device_authorization_endpoint "
                    "authorization_endpoint revocation_endpoint trust proxy",
    "password": "user_name password*",
    "secret": "value*",
    "certificate": "certificate private_key* passphrase*",
    "trusted_certificate": "certificate",
}  # fmt: skip


def test_the_types_are_those_of_the_design() -> None:
    assert {kind.type_name for kind in TYPES} == {*FIELDS, "generic"}


@pytest.mark.parametrize("kind", FIELDS)
def test_the_fields_are_those_of_the_design(kind: str) -> None:
    found = [field.name + "*" * field.sealed for field in describe(type_named(kind))]
    assert found == FIELDS[kind].split()


MISSING = [
    ("smtp", {}, ["host"]),
    ("smtp", {"host": "h"}, []),
    ("smtp", {"host": "h", "user_name": "u"}, ["password"]),
    ("smtp", {"host": "h", "tls": True, "password": "p"}, ["user_name"]),
    ("password", {}, ["user_name", "password"]),
    ("secret", {}, ["value"]),
    ("generic", {}, ["fields"]),
    ("generic", {"a": "1"}, []),
    ("generic", {"a": {"value": "1", "plain": True}}, []),
    ("certificate", {}, ["certificate", "private_key"]),
    ("trusted_certificate", {}, ["certificate"]),
    ("msgraph", {}, ["client_id", "tenant_id", "client_secrets"]),
    ("msgraph", {"client_id": "c", "authority": "https://login.example.com"}, ["client_secrets"]),
    ("msgraph", {"client_id": "c", "tenant_id": "example.com", "client_secrets": {"a": {}}},
     ["client_secrets.a.value"]),
    ("msgraph", {"client_id": "c", "tenant_id": "example.com",
                 "client_secrets": {"a": {"value": "v"}}}, []),
    ("oauth_client", {}, ["authority", "client_id"]),
    ("oauth_client", {"authority": "https://a.example.com", "client_id": "c"}, []),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "values", "missing"), MISSING)
def test_what_is_missing(kind: str, values: dict[str, Any], missing: list[str]) -> None:
    details = made(kind, values).split()
    assert type_named(kind).lacks(details.plain, details.sealed) == missing


REFUSED = [
    ("smtp", {"port": "0"}, "from 1 to 65535"),
    ("smtp", {"port": "smtp"}, "from 1 to 65535"),
    ("smtp", {"port": True}, "from 1 to 65535"),
    ("smtp", {"host": "a b"}, "host"),
    ("smtp", {"host": "smtp.example.com:25"}, "host"),
    ("smtp", {"host": "127.1"}, "IPv4"),
    ("smtp", {"email_address": "nobody"}, "like orders@example.com"),
    ("smtp", {"email_address": "a@b\r\nRCPT TO:<c@d>"}, "like orders@example.com"),
    ("smtp", {"allowed_senders": "a@example.com, nobody"}, "allowed_senders"),
    ("smtp", {"proxy": "proxy"}, "HOST:PORT"),
    ("smtp", {"host": "h", "user_name": "u", "password": "p"}, "unencrypted"),
    ("msgraph", {"client_secrets": {"a": {"value": "0F8FAD5B-D9CB-469F-A165-70867728950E"}}},
     "this is the Secret ID; copy the Value"),
    ("msgraph", {"client_secrets": {"a": {"value": "one\ntwo"}}}, "give one line; there are 2"),
    ("password", {"password": "one\r\ntwo\nthree"}, "password: give one line; there are 3"),
    ("password", {"password": "one\0two"}, "password: holds a NUL byte"),
    ("password", {"user_name": "one\ntwo"}, "user_name: give one line"),
    ("smtp", {"host": "h", "password": "one\rtwo"}, "password: give one line; there are 2"),
    ("smtp", {"host": "h", "user_name": "one\ntwo"}, "user_name: give one line"),
    ("msgraph", {"client_secrets": {"a b": {"value": "v"}}}, "the label"),
    ("msgraph", {"client_secrets": "v"}, "map by label"),
    ("msgraph", {"client_secrets": {"a": "v"}}, "field value"),
    ("msgraph", {"client_secrets": {"a": {"value": "v", "valid_until": "soon"}}}, "2027-01-31"),
    ("msgraph", {"tenant_id": "my company"}, "GUID"),
    ("msgraph", {"authority": "http://login.example.com"}, "https://"),
    ("msgraph", {"graph_url": "https://u:p@graph.microsoft.com"}, "leave user name"),
    ("oauth_client", {"token_endpoint": "login.example.com"}, "https://"),
    ("oauth_client", {"private_key": "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----"},
     "no private key in PEM"),
    ("certificate", {"certificate": "x"}, "BEGIN CERTIFICATE"),
    ("certificate", {"passphrase": "x"}, "without a private key"),
    ("trusted_certificate", {"certificate": "MIIB"}, "BEGIN CERTIFICATE"),
    ("generic", {"a": 1}, "give a text"),
    ("generic", {"a b": "x"}, "name"),
    ("generic", {"a": {"value": "x", "plain": "yes"}}, "true or false"),
    ("generic", {"a": {"plain": True}}, "needs its value"),
    ("generic", {"a": {"text": "x"}}, "there is no 'text'"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "values", "said"), REFUSED)
def test_what_is_refused_and_what_is_said(kind: str, values: dict[str, Any], said: str) -> None:
    with pytest.raises(PostroomError, match=said) as caught:
        made(kind, values)
    assert caught.value.exit_status == 2


def test_an_unknown_field_of_a_client_secret_is_named() -> None:
    with pytest.raises(UnknownField, match=r"client_secrets\.a\.expires"):
        made("msgraph", {"client_secrets": {"a": {"value": "v", "expires": "2027-01-31"}}})


TAIL = "trust=system;name=checked;proxy=none"
LINES = [
    ("smtp", {}, set()),
    ("smtp", {"host": "SMTP.Example.COM."}, {f"smtp://smtp.example.com:25;security=none;{TAIL}"}),
    ("smtp", {"host": "h", "port": ""}, {f"smtp://h:25;security=none;{TAIL}"}),
    ("smtp", {"host": "h", "tls": True}, {f"smtp://h:25;security=starttls;{TAIL}"}),
    ("smtp", {"host": "h", "tls": True, "port": 587}, {f"smtp://h:587;security=starttls;{TAIL}"}),
    ("smtp", {"host": "h", "tls": "true", "port": "465"}, {f"smtp://h:465;security=tls;{TAIL}"}),
    ("smtp", {"host": "::1", "port": 465, "check_server_identity": False, "proxy": "P:3128"},
     {"smtp://[::1]:465;security=none;trust=system;name=unchecked;proxy=p:3128"}),
    ("password", {"user_name": "u", "password": "p"}, set()),
    ("generic", {"host": "h"}, set()),
    ("msgraph", {"client_id": "c", "tenant_id": "example.com", "mailboxes": "A@example.com"},
     {"https://login.microsoftonline.com:443;trust=system;proxy=none",
      "bearer+https://graph.microsoft.com:443;trust=system;proxy=none",
      "mailbox:a@example.com"}),
    ("oauth_client", {"authority": "https://a.example.com/x"},
     {"https://a.example.com:443;trust=system;proxy=none"}),
    ("oauth_client", {"authority": "https://a.example.com", "proxy": "p:1",
                      "token_endpoint": "https://b.example.com:8443/token"},
     {"https://b.example.com:8443;trust=system;proxy=p:1"}),
    ("oauth_client", {"authority": "https://a.example.com",
                      "token_endpoint": "https://b.example.com/token",
                      "revocation_endpoint": "https://c.example.com/revoke"},
     {"https://b.example.com:443;trust=system;proxy=none",
      "https://c.example.com:443;trust=system;proxy=none"}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "values", "lines"), LINES)
def test_where_a_record_may_go(kind: str, values: dict[str, Any], lines: set[str]) -> None:
    assert made(kind, values).own_destinations() == lines


def test_a_trust_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InvalidValue, match="no trusted_certificate credential 'ca'"):
        made("smtp", {"host": "h", "trust": "ca"}).own_destinations()


def test_a_password_in_the_clear_stays_on_this_machine() -> None:
    signs_in = {"user_name": "u", "password": "p"}
    for host in ("127.0.0.1", "::1", "localhost", "mail.localhost"):
        made("smtp", {"host": host, **signs_in})
    # behind a proxy it is another machine that calls itself so
    for away in ({"host": "10.0.0.1"}, {"host": "localhost", "proxy": "proxy.example.com:3128"}):
        with pytest.raises(InvalidValue) as caught:
            made("smtp", {**away, **signs_in})
        assert caught.value.code == "cleartext_sign_in"


# ---------------------------------------------------------------------------- certificates


def test_a_key_belongs_to_its_certificate(
    pair: tuple[Secret, str], certificates: tuple[str, str]
) -> None:
    key, own = pair
    for kind in ("certificate", "msgraph", "oauth_client"):
        made(kind, {"certificate": own, "private_key": key})
        with pytest.raises(InvalidValue, match="does not belong to this certificate"):
            made(kind, {"certificate": certificates[1], "private_key": key})
    with pytest.raises(InvalidValue, match="give the certificate alone"):
        made("trusted_certificate", {"certificate": own + key.reveal()})


@pytest.mark.parametrize("kind", ["msgraph", "oauth_client"])
def test_what_is_wrong_with_the_next_key_pair_names_its_fields(
    kind: str, pair: tuple[Secret, str], certificates: tuple[str, str]
) -> None:
    key, own = pair
    good = {"certificate": own, "private_key": key}
    for wrong, field in (
        ({"next_certificate": certificates[1], "next_private_key": key}, "next_private_key"),
        ({"next_private_key": "no key"}, "next_private_key"),
        ({"next_certificate": "no certificate"}, "next_certificate"),
    ):
        with pytest.raises(InvalidValue) as caught:
            made(kind, good | wrong)
        assert caught.value.field == field


def test_an_encrypted_key_needs_its_passphrase(pair: tuple[Secret, str]) -> None:
    key = serialization.load_pem_private_key(pair[0].reveal_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"open sesame"),
    ).decode()  # fmt: skip
    values = {"certificate": pair[1], "private_key": locked}
    made("certificate", values | {"passphrase": "open sesame"})
    with pytest.raises(InvalidValue, match="no passphrase is given"):
        made("certificate", values)
    with pytest.raises(InvalidValue, match="passphrase is wrong"):
        made("certificate", values | {"passphrase": "open barley"})
    with pytest.raises(InvalidValue, match="not encrypted"):
        made("certificate", values | {"private_key": pair[0], "passphrase": "open sesame"})


def test_a_chain_is_taken_and_shown_by_its_first_certificate(certificates: tuple[str, str]) -> None:
    record = made("trusted_certificate", {"certificate": "\n".join(certificates)})
    shown = record.present(record.split().plain)["certificate"]
    assert shown.startswith("CN=test.example.com, valid until ")
    assert "sha256:" in shown


def test_a_generated_pair_fits_and_names_what_it_is_for(pair: tuple[Secret, str]) -> None:
    key, certificate = generate_pair("orders")
    made("msgraph", {"certificate": certificate, "private_key": key})
    assert key != pair[0]
    with pytest.raises(InvalidValue, match="1 to 64"):
        generate_pair("x" * 65)


# ---------------------------------------------------------------------------- custom fields


def test_custom_fields_are_sealed_unless_they_say_otherwise() -> None:
    record = made("generic", {"key": "a secret", "url": {"value": "https://x", "plain": True}})
    details = record.split()
    assert details.plain == {"url": "https://x"}
    assert details.sealed == {"key": Secret("a secret")}
    assert record.as_input(details.plain) == {"url": {"value": "https://x", "plain": True}}


@pytest.mark.parametrize(("value", "plain", "sealed"), [
    ("new", {"url": "new"}, {}),                                       # plain stays plain
    ({"value": "new", "plain": True}, {"url": "new"}, {}),
    ({"value": "new", "plain": False}, {}, {"url": Secret("new")}),
    ({"value": "new"}, {}, {"url": Secret("new")}),
    ({"value": "", "plain": False}, {"url": "old"}, {}),               # empty keeps
    (Secret("new"), {}, {"url": Secret("new")}),                       # what came as a secret is one
    (None, {}, {}),
])  # fmt: skip
def test_a_plain_custom_field_changes(value: Any, plain: dict, sealed: dict) -> None:
    intake = Intake({"url": "old"}, {})
    type_named("generic").take(intake, "url", value)
    assert (intake.plain, intake.sealed) == (plain, sealed)


# ---------------------------------------------------------------------------- client secrets


def test_client_secrets_are_merged_by_label() -> None:
    cls = type_named("msgraph")
    first = made("msgraph", {"client_secrets": {
        "2026a": {"value": "one", "description": "old", "valid_until": "2027-01-31"},
        "2026b": {"value": "two"}}})  # fmt: skip
    plain, sealed = first.split()
    assert set(sealed) == {"client_secrets/2026a/value", "client_secrets/2026b/value"}
    assert plain["client_secrets"]["2026a"] == {"description": "old", "valid_until": "2027-01-31"}
    intake = Intake(plain, sealed)
    cls.take(intake, "client_secrets", {"2026a": None, "2026b": {"description": "kept"},
                                        "2026c": {"value": "three"}})  # fmt: skip
    after: Any = cls.load(Details(intake.plain, intake.sealed))
    found = after.client_secrets
    assert sorted(found) == ["2026b", "2026c"]
    assert found["2026b"].value == Secret("two")
    assert found["2026b"].description == "kept"
    intake.clear("client_secrets.2026b")
    assert list(intake.plain["client_secrets"]) == ["2026c"]
    with pytest.raises(InvalidValue, match="no such entry"):
        intake.clear("client_secrets.2026b")


@pytest.mark.parametrize("kind", [kind.type_name for kind in TYPES])
def test_what_is_split_is_loaded_again(kind: str, pair: tuple[Secret, str]) -> None:
    """What is stored and what is opened are the same record, whatever the type."""
    every: dict[str, dict[str, Any]] = {
        "smtp": {"host": "h", "port": 587, "tls": True, "user_name": "u", "password": "p",
                 "allowed_senders": "a@x.com; *@Y.com"},
        "msgraph": {"client_id": "c", "tenant_id": "T.example.com", "private_key": pair[0],
                    "certificate": pair[1], "client_secrets": {"a.b-c": {"value": "v"}}},
        "oauth_client": {"authority": "https://a/", "client_id": "c",
                         "client_secrets": {"x": {"value": "v", "valid_until": "2027-01-31"}}},
        "password": {"user_name": "u", "password": "p"},
        "secret": {"value": "v"},
        "generic": {"a": "1", "b": {"value": "2", "plain": True}},
        "certificate": {"certificate": pair[1], "private_key": pair[0]},
        "trusted_certificate": {"certificate": pair[1]},
    }  # fmt: skip
    record = made(kind, every[kind])
    details = record.split()
    assert type_named(kind).load(details) == record
    assert not any(secret.reveal() in str(details.plain) for secret in details.sealed.values()
                   if len(secret.reveal()) > 1)  # fmt: skip
    assert "****" not in str(details.plain)
