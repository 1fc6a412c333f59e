"""The room file: plan, one transaction, idempotent, exported without secrets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.journeys.conftest import Cli

if TYPE_CHECKING:
    from tests.ground import Ground, User

ROOM = """
postroom: 1
variables: {MAIL_HOST: 127.0.0.1}
credentials:
  - {name: ground-ca, type: trusted_certificate, fields: {certificate: {from_file: ca.pem}}}
  - {name: acme-login, type: password, description: Orders account,
     fields: {user_name: "%(user)s", password: {from_env: ACME_PASSWORD}}}
connections:
  - name: acme-work
    extends: acme
    description: the same, by another name
  - name: acme
    incoming: {protocol: imap, host: "${MAIL_HOST}", port: "%(imaps)d", trust: ground-ca,
               security: tls, auth: {type: secret, credential: acme-login}}
    outgoing: {protocol: smtp, host: "${MAIL_HOST}", port: "%(submission)d", trust: ground-ca,
               security: starttls, auth: {type: secret, credential: acme-login}}
sources:
  - {name: orders-in, connection: acme-work, schedule: {push: true}, start: all,
     folders: {input: INBOX, done: Done, error: Error}, sink: {type: directory, path: ./orders}}
services:
  - {name: orders-out, connection: acme-work, throttle: {max: 30, per: minute}, queue_size: 1000}
"""


@pytest.fixture
def room_file(tmp_path: Path, ground: Ground, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, User]:
    """A room file for a fresh user, with its certificate beside it."""
    user = ground.user()
    monkeypatch.setenv("ACME_PASSWORD", user.password)
    (tmp_path / "ca.pem").write_text(ground.pki.ca.read_text())
    path = tmp_path / "room.yaml"
    path.write_text(ROOM % {"user": user.address, "imaps": ground.dovecot.imaps,
                            "submission": ground.postfix.submission})  # fmt: skip
    return path, user


def test_apply_makes_a_room_that_works(
    cli: Cli, room_file: tuple[Path, User], ground: Ground, tmp_path: Path
) -> None:
    """The plan comes first; relative paths are the file's; inheritance, macros and folders work."""
    path, user = room_file
    planned = cli("apply", str(path), "--dry-run")
    assert planned.status == 0, planned.err
    assert "7 changes planned; nothing was changed." in planned.out
    assert cli("connection", "list", "--json").json["items"] == []

    applied = cli("apply", str(path))
    assert applied.status == 0, applied.err
    assert "add    connection acme-work" in applied.out
    ground.dovecot.fill(user, [b"Subject: one\r\n\r\n1\r\n", b"Subject: two\r\n\r\n2\r\n"])
    assert cli("source", "run", "orders-in").status == 0
    assert len(list((tmp_path / "orders" / "INBOX").glob("*.eml"))) == 2
    done = cli("mail", "list", "--via", "acme", "--folder", "Done", "--json").json["items"]
    assert {one["subject"] for one in done} == {"one", "two"}


def test_applying_twice_changes_nothing(cli: Cli, room_file: tuple[Path, User]) -> None:
    """A secret equal to the stored one is no change: no new version, no audit row."""
    path, _ = room_file
    assert cli("apply", str(path)).status == 0
    before = cli("credential", "show", "acme-login", "--json").json["version"]
    rows = len(cli("audit", "list", "--limit", "1000", "--json").json["items"])
    again = cli("apply", str(path))
    assert again.status == 0, again.err
    assert "Nothing to change." in again.out
    assert cli("credential", "show", "acme-login", "--json").json["version"] == before
    after = [row for row in cli("audit", "list", "--limit", "1000", "--json").json["items"]
             if row["action"] not in ("checkpoint",)]  # fmt: skip
    assert len(after) <= rows


def test_export_holds_no_secret_and_applies_to_nothing(
    cli: Cli, room_file: tuple[Path, User], tmp_path: Path
) -> None:
    path, user = room_file
    assert cli("apply", str(path)).status == 0
    out = tmp_path / "export.yaml"
    assert cli("export", "--to", str(out)).status == 0
    assert user.password not in out.read_text()
    again = cli("apply", str(out))
    assert again.status == 0, again.err
    assert "Nothing to change." in again.out


def test_a_new_secret_is_a_change_and_null_clears(
    cli: Cli, room_file: tuple[Path, User], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path, _ = room_file
    assert cli("apply", str(path)).status == 0
    monkeypatch.setenv("ACME_PASSWORD", "another-password-entirely")
    changed = cli("apply", str(path))
    assert "change credential acme-login: secret" in changed.out
    more = tmp_path / "more.yaml"
    more.write_text("postroom: 1\nservices:\n  - {name: orders-out, throttle: null}\n")
    assert "change service orders-out: throttle" in cli("apply", str(more)).out
    assert cli("service", "show", "orders-out", "--json").json["throttle"] is None


def test_all_of_it_or_nothing(cli: Cli, room_file: tuple[Path, User]) -> None:
    """The last record is wrong: none of the records before it is there afterwards."""
    path, _ = room_file
    path.write_text(
        path.read_text().replace("connection: acme-work, throttle", "connection: x, throttle")
    )
    answer = cli("apply", str(path))
    assert answer.status == 2, answer.out
    assert "room.yaml, line" in answer.err
    assert cli("credential", "list", "--json").json["items"] == []


def test_prune_removes_what_no_file_names(
    cli: Cli, room_file: tuple[Path, User], tmp_path: Path
) -> None:
    path, _ = room_file
    assert cli("apply", str(path)).status == 0
    less = tmp_path / "less.yaml"
    less.write_text("postroom: 1\nconnections:\n  - {name: acme}\n")
    refused = cli("apply", str(less), "--prune", "sources", "--prune", "services")
    assert refused.status == 2
    assert "--yes" in refused.err
    done = cli("apply", str(less), "--prune", "sources", "--prune", "services", "--yes")
    assert done.status == 0, done.err
    assert cli("source", "list", "--json").json["items"] == []
    assert cli("connection", "list", "--json").json["items"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("postroom: 2\n", ("postroom: 1",)),
        ("- a\n", ("postroom: 1",)),
        ("postroom: 1\nconections: []\n", ("line 2", "connections")),
        ("postroom: 1\nvariables: {A: 1, A: 2}\n", ("line 2", "twice")),
        ("postroom: 1\nvariables: &x {A: 1}\nservices: *x\n", ("anchors",)),
        ("postroom: 1\nsources:\n  - {connection: x}\n", ("line 3", "name")),
        ("postroom: 1\ncredentials:\n  - {name: a, type: pasword}\n", ("line 3", "password")),
        ("postroom: 1\nservices: [a\n\n", ("line 2", "the bracket that is opened here")),
        ("postroom: 1\nservices: [\n\n", ("line 4", "a bracket that was opened before")),
        ("postroom: 1\nservices: ]\n", ("line 2", "a bracket or a comma too many")),
        ("postroom: 1\nservices:\n  - {name: a, throttle: {max: 1\nsources: []\n",
         ("line 3", "the bracket that is opened here", "(the parser: ")),
        ("postroom: 1\nservices:\n\t- name: a\n", ("line 3", "a tab", "with spaces")),
        ("postroom: 1\nservices:\n  - name: a\n   connection: b\n", ("line 4", "indented")),
        ("postroom: 1\nvariables: {A: \"x}\n", ("line 2", "the quote that is opened here")),
        ("postroom: 1\nvariables:\n  A: b: c\n", ("line 3", "needs quotes")),
        ("postroom: 1\nvariables:\n  A: @b\n", ("line 3", "needs quotes")),
        ("postroom: 1\nvariables:\n  A: 'it's'\n", ("line 3", "the other kind")),
        ("postroom: 1\ncredentials:\n  - {name: a, type: password, fields: "
         "{password: {from_env: NOT_SET_ANYWHERE}}}\n", ("NOT_SET_ANYWHERE",)),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(
    cli: Cli, tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    path = tmp_path / "room.yaml"
    path.write_text(text)
    answer = cli("apply", str(path))
    assert answer.status == 2, answer.err
    told = " ".join(answer.err.split())
    for word in ("room.yaml", *words):
        assert word in told


def test_what_a_parser_quotes_is_not_repeated(cli: Cli, tmp_path: Path) -> None:
    """A password that begins with ``*`` is an alias to YAML."""
    path = tmp_path / "room.yaml"
    path.write_text("postroom: 1\nvariables:\n  A: *hunter2\n")
    answer = cli("apply", str(path))
    assert answer.status == 2
    assert "hunter2" not in answer.err


def test_a_type_that_cannot_change_is_told_with_its_users_and_its_place(
    cli: Cli, room_file: tuple[Path, User], tmp_path: Path
) -> None:
    """As the verb says it."""
    path, _ = room_file
    assert cli("apply", str(path)).status == 0
    other = tmp_path / "other.yaml"
    other.write_text("postroom: 1\ncredentials:\n\n  - {name: ACME-login, type: secret}\n")
    verb = cli("credential", "set", "acme-login", "--type", "secret", "--json")
    applied = cli("apply", str(other), "--json")
    assert (verb.status, applied.status) == (1, 1)
    assert applied.json["error"] == f"{other}, line 4: {verb.json['error']}"
    assert "connection acme" in verb.json["error"]
    for fact in ("code", "uses", "hint"):
        assert applied.json[fact] == verb.json[fact]
    same = cli("credential", "set", "acme-login", "--type", "password")
    assert same.status == 0, "it is of that type: nothing changes"


def test_prune_never_removes_what_is_used(
    cli: Cli, room_file: tuple[Path, User], tmp_path: Path
) -> None:
    """Records are removed users first; one that something else uses stays, and so does everything."""
    path, _ = room_file
    assert cli("apply", str(path)).status == 0
    empty = tmp_path / "empty.yaml"
    empty.write_text("postroom: 1\n")
    refused = cli("apply", str(empty), "--prune", "credentials", "--prune", "variables", "--yes")
    assert refused.status == 1, refused.out
    assert "is used by" in refused.err
    nouns = ("sources", "services", "connections", "credentials", "variables")
    done = cli(
        "apply", str(empty), "--yes", *(part for noun in nouns for part in ("--prune", noun))
    )
    assert done.status == 0, done.err
    assert cli("credential", "list", "--json").json["items"] == []


def test_a_variable_in_use_cannot_be_deleted(cli: Cli, room_file: tuple[Path, User]) -> None:
    path, _ = room_file
    assert cli("apply", str(path)).status == 0
    answer = cli("variable", "delete", "MAIL_HOST", "--yes")
    assert answer.status == 1
    assert "connection acme" in answer.err


def test_a_variable_that_is_gone_is_asked_for_on_every_apply(
    cli: Cli, room_file: tuple[Path, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = room_file
    assert cli("apply", str(path)).status == 0
    monkeypatch.delenv("ACME_PASSWORD")
    for words in (("apply", str(path)), ("apply", "--dry-run", str(path))):
        refused = cli(*words)
        assert refused.status == 2
        assert "the environment variable ACME_PASSWORD is not set" in refused.err
        assert "--dry-run too" in refused.err
    text = path.read_text()
    path.write_text(text.replace(", password: {from_env: ACME_PASSWORD}", ""))
    kept = cli("apply", str(path))
    assert kept.status == 0, kept.err
    assert "Nothing to change." in kept.out


HALF = """
postroom: 1
credentials:
  - {name: acme-login, type: password, description: Orders account, fields: {user_name: a@example.com}}
"""


def test_what_is_stored_incomplete_is_told_by_the_exit_status(cli: Cli, tmp_path: Path) -> None:
    """As every verb that stores a credential: 3 as long as something is missing, with what to do."""
    path = tmp_path / "half.yaml"
    path.write_text(HALF)
    planned = cli("apply", str(path), "--dry-run")
    assert planned.status == 0, "nothing was stored"
    assert "acme-login is incomplete" in planned.err
    for _ in range(2):
        applied = cli("apply", str(path))
        assert applied.status == 3
        assert "postroom credential set acme-login --password-from-env" in applied.err
    applied = cli("apply", str(path), "--json")
    assert (applied.status, applied.json["changes"]) == (3, 0)
    assert applied.json["incomplete"] == [
        {"name": "acme-login", "type": "password", "missing": ["password"]}
    ]
