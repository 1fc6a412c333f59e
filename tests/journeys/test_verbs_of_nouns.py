"""Verbs that make things: a key pair of which only the certificate leaves, a variable."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from cryptography import x509

from docs.verbs import commands
from postroom.clock import now
from tests.journeys.conftest import Cli

EVERY = {name for name, _ in commands()}
NAMED = {
    "credential": "list show add set copy delete usage test generate",
    "connection": "list show add set copy delete usage test log restart",
    "source": "list show add set copy delete usage run watch reset release",
    "service": "list show add set copy delete usage hold release",
    "outbox": "list show drain hold release retry cancel",
    "mail": "folders list search read save move copy flag delete reply forward",
    "variable": "list show add set delete usage allow-env",
    "keys": "status",
    "audit": "list verify",
}
"""The verbs of DESIGN 4.8 that this release has; a variable has nothing to copy but its text."""


@pytest.mark.parametrize("noun", NAMED)
def test_every_noun_has_the_verbs_that_the_design_names(noun: str) -> None:
    assert {f"{noun} {verb}" for verb in NAMED[noun].split()} <= EVERY


def test_only_the_certificate_leaves(cli: Cli, tmp_path: Path) -> None:
    assert cli("credential", "add", "app", "--type", "msgraph", "--tenant-id", "example.com",
               "--client-id", "id").status == 3  # fmt: skip
    assert cli("credential", "show", "app", "--json").json["state"] == "incomplete"
    path = tmp_path / "app.pem"
    made = cli("credential", "generate", "app", "--to", str(path), "--days", "90")
    assert made.status == 0, made.err
    assert "stays sealed here" in made.err
    [certificate] = x509.load_pem_x509_certificates(path.read_bytes())
    assert (certificate.not_valid_after_utc - now()).days in (89, 90)
    shown = cli("credential", "show", "app", "--json").json
    assert shown["state"] == "complete"
    assert shown["fields"]["private_key"].startswith("****")
    assert certificate.subject.rfc4514_string() in shown["fields"]["certificate"]
    assert [one["what"] for one in shown["due"]] == ["certificate"]
    assert "PRIVATE KEY" not in made.out + made.err + path.read_text()
    db = sqlite3.connect(cli.settings.room / "room.db")
    text = "\n".join(db.iterdump())
    db.close()
    assert "PRIVATE KEY" not in text
    assert b"PRIVATE KEY".hex().upper() not in text


def test_a_key_that_is_there_is_not_replaced_by_accident(cli: Cli, tmp_path: Path) -> None:
    """What trusts the old certificate would be cut off; the old version is kept sealed."""
    cli("credential", "add", "client", "--type", "certificate")
    first = cli("credential", "generate", "client", "--json")
    assert first.status == 0, first.out
    assert first.json["pem"].startswith("-----BEGIN CERTIFICATE-----")
    refused = cli("credential", "generate", "client")
    assert refused.status == 1
    assert "has a private key already" in refused.err
    assert refused.out == ""
    second = cli("credential", "generate", "client", "--yes", "--json").json
    assert second["pem"] != first.json["pem"]
    assert second["version"] > first.json["version"]
    path = tmp_path / "there"
    path.write_text("mine")
    assert cli("credential", "generate", "client", "--yes", "--to", str(path)).status == 2
    assert path.read_text() == "mine"
    cli("credential", "add", "login", "--type", "password")
    other = cli("credential", "generate", "login", "--json")
    assert (other.status, other.json["code"]) == (1, "not_supported")


def test_a_variable_is_added_once_and_the_list_says_what_else_macros_read(cli: Cli) -> None:
    assert cli("variable", "add", "MAIL_HOST", "imap.example.com").status == 0
    again = cli("variable", "add", "MAIL_HOST", "other.example.com", "--json")
    assert (again.status, again.json["code"]) == (1, "name_taken")
    assert cli("variable", "show", "MAIL_HOST", "--json").json["value"] == "imap.example.com"
    assert cli("variable", "allow-env", "HOME").status == 0
    assert cli("variable", "list", "--json").json["allowed"] == ["HOME"]
    assert "of the environment: HOME" in cli("variable", "list").err
