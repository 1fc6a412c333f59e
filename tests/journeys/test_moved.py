"""A change that presents a stored secret elsewhere says so, also where nobody had to be asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.conftest import Answer, Cli

OLD, NEW = "imap.example.com", "imap.example.org"


@pytest.fixture
def acme(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A secret that was typed and never presented: its owner may still correct where it goes."""
    monkeypatch.setenv("ACME_PASSWORD", "correct-horse-battery")
    for words in (
        ("variable", "set", "H", OLD),
        ("credential", "add", "acme-login", "--type", "password", "--user-name", "u",
         "--password-from-env", "ACME_PASSWORD"),
        ("connection", "add", "acme", "--set", "incoming.protocol=imap",
         "--set", "incoming.host=${H}",
         "--set", "incoming.auth={type: secret, credential: acme-login}"),
        ("connection", "add", "child", "--set", "extends=acme"),
    ):  # fmt: skip
        answer = cli(*words)
        assert answer.status == 0, answer.err
        assert "elsewhere" not in answer.out, "a first destination is no move"
    return cli


def tells(answer: Answer, *, came: str, went: str) -> None:
    """The secret, the line that it goes to from now on, and the one that it no longer goes to."""
    assert answer.status == 0, answer.err
    lines = [line.split() for line in answer.out.splitlines()]
    assert "acme-login" in answer.out
    assert any(line[:1] == ["to"] and f"imap://{came}:993" in line[1] for line in lines)
    assert any(line[:2] == ["no", "longer"] and f"imap://{went}:993" in line[2] for line in lines)


def test_a_variable_that_moves_a_host_lists_the_secrets(acme: Cli) -> None:
    tells(acme("variable", "set", "H", NEW), came=NEW, went=OLD)
    back = acme("variable", "set", "H", OLD, "--json").json
    [moved] = back["moved"]
    assert moved["credential"] == "acme-login"
    assert [OLD in line for line in moved["added"]] == [True]
    assert [NEW in line for line in moved["gone"]] == [True]
    assert acme("variable", "set", "H", OLD, "--json").json["moved"] == []
    assert acme("variable", "set", "Other", "x", "--json").json["moved"] == []


def test_a_room_file_that_moves_a_host_lists_the_secrets_in_its_plan(
    acme: Cli, tmp_path: Path
) -> None:
    file = tmp_path / "room.yaml"
    file.write_text(f"postroom: 1\nconnections:\n  - {{name: acme, incoming: {{host: {NEW}}}}}\n")
    planned = acme("apply", str(file), "--dry-run")
    tells(planned, came=NEW, went=OLD)
    assert acme("apply", str(file), "--dry-run", "--json").json["moved"][0]["added"]
    tells(acme("apply", str(file)), came=NEW, went=OLD)
    assert acme("apply", str(file), "--json").json["moved"] == []


def test_a_connection_that_is_pointed_elsewhere_lists_the_secrets(acme: Cli) -> None:
    tells(acme("connection", "set", "acme", "--set", f"incoming.host={NEW}"), came=NEW, went=OLD)
    again = acme("connection", "set", "acme", "--set", "description=x", "--json")
    assert again.json["moved"] == []


def test_the_audit_names_the_steps_of_an_apply_as_they_are(acme: Cli, tmp_path: Path) -> None:
    """Without the padding of the plan's columns."""
    file = tmp_path / "room.yaml"
    file.write_text("postroom: 1\nvariables: {H: imap.example.org}\nservices: []\n")
    assert acme("apply", str(file)).status == 0
    [row] = [
        row for row in acme("audit", "list", "--json").json["items"] if row["action"] == "apply"
    ]
    assert row["detail"]["changes"] == ["change variable H: value"]
    file.write_text("postroom: 1\nvariables: {NEW: x}\n")
    assert acme("apply", str(file)).out.startswith("add    variable NEW")
    assert "changes add variable NEW," in acme("audit", "list").out
