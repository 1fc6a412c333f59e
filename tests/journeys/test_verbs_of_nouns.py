"""Verbs that make things: a key pair of which only the certificate leaves, a variable."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from cryptography import x509

from docs.verbs import commands
from postroom.app import Room
from postroom.clock import now
from postroom.errors import Refused
from tests.journeys.conftest import Cli

EVERY = {name for name, _ in commands()}
NAMED = {
    "credential": "list show add set copy delete usage test generate",
    "credential secret": "add list retire",
    "connection": "list show add set copy delete usage test signin signout signins census convert "
    "log restart",
    "source": "list show add set copy delete usage run watch reset release",
    "service": "list show add set copy delete usage hold release",
    "outbox": "list show drain hold release retry cancel",
    "mail": "folders list search read save move copy flag delete reply forward",
    "variable": "list show add set delete usage allow-env",
    "user": "list show add set delete",
    "token": "list add revoke",
    "keys": "status rotate doctor kit",
    "keys kek": "list add retire",
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


def test_a_certificate_that_cannot_be_written_is_not_made(cli: Cli, tmp_path: Path) -> None:
    """The key would be there, and what the other side has to be given would be lost."""
    cli("credential", "add", "client", "--type", "certificate")
    refused = cli("credential", "generate", "client", "--to", str(tmp_path / "none" / "client.pem"))
    assert (refused.status, "cannot be written" in refused.err) == (2, True)
    assert cli("credential", "show", "client", "--json").json["version"] == 0
    cli("credential", "add", "login", "--type", "password")
    path = tmp_path / "login.pem"
    assert cli("credential", "generate", "login", "--to", str(path)).status == 1
    assert not path.exists(), "nothing is left of what was refused"


def test_what_is_wrong_with_the_new_fields_destroys_nothing_of_the_old(cli: Cli) -> None:
    """Another type, its fields and the description are one change: all of it or nothing."""
    made = cli("credential", "add", "token", "--type", "generic", "--set",
               "url={value: https://a.example, plain: true}")  # fmt: skip
    assert made.status == 0, made.err
    before = cli("credential", "show", "token", "--json").json
    refused = cli("credential", "set", "token", "--type", "smtp", "--description", "Sends",
                  "--host", "smtp.example.com", "--port", "99999", "--yes")  # fmt: skip
    assert (refused.status, "port" in refused.err) == (2, True)
    assert cli("credential", "show", "token", "--json").json == before
    done = cli("credential", "set", "token", "--type", "smtp", "--description", "Sends",
               "--host", "smtp.example.com", "--port", "587", "--yes")  # fmt: skip
    assert done.status == 0, done.err
    after = cli("credential", "show", "token", "--json").json
    assert (after["type"], after["description"], after["fields"]["port"]) == ("smtp", "Sends", 587)


async def test_of_two_who_add_a_variable_one_is_told(room: Room) -> None:
    """Neither overwrites the other, however close they come."""
    told = await asyncio.gather(
        *(room.variables.add("MAIL_HOST", f"{name}.example.com") for name in ("a", "b")),
        return_exceptions=True,
    )
    assert [type(one) for one in told].count(Refused) == 1
    assert await room.variables.get("MAIL_HOST") in ("a.example.com", "b.example.com")


def test_a_variable_is_added_once_and_the_list_says_what_else_macros_read(cli: Cli) -> None:
    assert cli("variable", "add", "MAIL_HOST", "imap.example.com").status == 0
    again = cli("variable", "add", "MAIL_HOST", "other.example.com", "--json")
    assert (again.status, again.json["code"]) == (1, "name_taken")
    assert cli("variable", "show", "MAIL_HOST", "--json").json["value"] == "imap.example.com"
    assert cli("variable", "allow-env", "HOME").status == 0
    assert cli("variable", "list", "--json").json["allowed"] == ["HOME"]
    assert "of the environment: HOME" in cli("variable", "list").err
