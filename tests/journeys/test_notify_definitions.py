"""Notifications as definitions: in the room file, by command line, with the rights of who asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from postroom.access import ROLES, Person
from postroom.app import Room
from postroom.db import Tx
from postroom.errors import PostroomError
from postroom.notices import store
from postroom.secret import Secret
from tests.journeys.conftest import Cli

FILE = """
postroom: 1
credentials:
  - {{name: hook, type: secret, fields: {{value: {{from_env: HOOK}}}}}}
  - {{name: mailer, type: smtp, description: x, fields: {{host: 127.0.0.1, email_address: a@example.com}}}}
services:
  - {{name: alerts, connection: "credential:mailer"}}
notify:
  - {{name: chat, url: "https://127.0.0.1:{port}/{{secret}}", credential: hook, instead_of: ops}}
  - {{name: ops, service: alerts, to: [ops@example.com], causes: [expiry, outbox]}}
  - {{name: alive, url: "https://127.0.0.1:{port}/", every: 1d, method: GET}}
"""


def write(tmp_path: Path, text: str, name: str = "room.yaml") -> str:
    file = tmp_path / name
    file.write_text(text)
    return str(file)


def test_the_room_file_has_them_and_applying_it_again_changes_nothing(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", "path-secret-of-a-hook-0a1b2c")
    whole = write(tmp_path, FILE.format(port=443))
    first = cli("apply", whole)
    assert first.status == 0, first.err
    assert "add    notification chat" in first.out
    again = cli("apply", whole, "--json").json
    assert again["changes"] == 0, again
    exported = cli("export").out
    assert "{secret}" in exported
    assert "path-secret" not in exported
    assert cli("apply", write(tmp_path, exported, "exported.yaml"), "--json").json["changes"] == 0
    # what is pointed elsewhere gets the secret only by consent
    moved = cli("apply", write(tmp_path, exported.replace(":443/", ":444/"), "moved.yaml"))
    assert moved.status == 0, moved.err  # it was never presented: nobody has to agree
    pruned = cli("apply", write(tmp_path, "postroom: 1\n"), "--prune", "notify", "--yes")
    assert pruned.status == 0, pruned.err
    assert cli("notify", "list", "--json").json["items"] == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{name: a, service: nobody, to: [x@example.com]}", "nobody"),
        ("{name: a, service: alerts, to: [no address]}", "to"),
        ("{name: a, url: 'https://h.example/{secret}', credential: mailer}", "type smtp"),
        ("{name: a, url: 'https://h.example/x', trust: hook}", "trusted_certificate"),
        ("{name: a, command: [x], instead_of: nobody}", "nobody"),
        ("{name: a, command: [x], instead_of: alive}", "is a ping"),
        ("{name: ops, url: 'https://h.example/x', every: 1d, causes: []}", "chat stands in for it"),
        ("{name: a, command: [x], insted_of: alive}", "did you mean instead_of"),
        (
            "{name: ops, service: alerts, to: [x@example.com], instead_of: chat}",
            "stands in for itself",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_file_and_line(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, said: str
) -> None:
    monkeypatch.setenv("HOOK", "path-secret-of-a-hook-0a1b2c")
    assert cli("apply", write(tmp_path, FILE.format(port=443))).status == 0
    refused = cli("apply", write(tmp_path, f"postroom: 1\nnotify:\n  - {line}\n", "wrong.yaml"))
    assert refused.status == 2, refused.err
    assert "wrong.yaml, line 3" in refused.err
    assert said.casefold() in refused.err.casefold()


def test_what_is_used_is_told_and_not_deleted(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", "path-secret-of-a-hook-0a1b2c")
    assert cli("apply", write(tmp_path, FILE.format(port=443))).status == 0
    uses = cli("credential", "usage", "hook", "--json").json["items"]
    assert [(one["noun"], one["name"], one["place"]) for one in uses] == [
        ("notification", "chat", "credential")
    ]
    for noun, name in (("credential", "hook"), ("service", "alerts"), ("notify", "ops")):
        refused = cli(noun, "delete", name, "--yes")
        assert refused.status == 1
        assert "chat" in refused.err or "notification ops" in refused.err
    assert cli("notify", "set", "chat", "--clear", "instead_of").status == 0
    assert cli("notify", "delete", "ops", "--yes").status == 0


def test_another_way_takes_the_place_of_the_one_it_had(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", "path-secret-of-a-hook-0a1b2c")
    assert cli("apply", write(tmp_path, FILE.format(port=443))).status == 0
    shown = cli("notify", "set", "chat", "--command", "/bin/true", "--json").json
    assert (shown["way"], shown["url"], shown["credential"]) == ("command", "", "")
    assert shown["instead_of"] == "ops"
    assert cli("credential", "show", "hook", "--json").json["destinations"] == []


def person(role: str) -> Person:
    return Person(f"user:{role}", role, ROLES[role], "id-of-" + role)


async def test_a_program_is_said_by_administrators_alone(room: Room) -> None:
    """T25: code runs as the worker's user."""
    editor, admin = room.acting(person("editor")), room.acting(person("admin"))
    with pytest.raises(PostroomError) as refused:
        await editor.notify.add({"name": "prog", "command": ["/bin/true"]})
    assert refused.value.code == "not_permitted"
    await editor.notify.add({"name": "web", "url": "https://127.0.0.1:9/x"})
    with pytest.raises(PostroomError):
        await editor.notify.set("web", {"command": ["/bin/true"]})
    await admin.notify.add({"name": "prog", "command": ["/bin/true"]})
    with pytest.raises(PostroomError):
        await editor.notify.copy("prog", "other")


@pytest.mark.parametrize("role", ["viewer", "operator", "auditor"])
async def test_who_may_only_look_changes_nothing(room: Room, role: str) -> None:
    """T25: and a test, which sends, is not for who only looks."""
    await room.notify.add({"name": "web", "url": "https://127.0.0.1:9/x"})
    acting = room.acting(person(role))
    assert [one["name"] for one in await acting.notify.list()] == ["web"]
    assert await acting.notify.notices() == []
    asked: list[Any] = [
        lambda: acting.notify.add({"name": "b", "url": "https://127.0.0.1:9/x"}),
        lambda: acting.notify.set("web", {"description": "x"}),
        lambda: acting.notify.delete("web"),
    ]
    if role != "operator":
        asked.append(lambda: acting.notify.test("web"))
    for each in asked:
        with pytest.raises(PostroomError) as refused:
            await each()
        assert refused.value.code == "not_permitted"


async def test_a_restricted_credential_is_not_there_for_who_has_no_grant(room: Room) -> None:
    """T25: nobody sends a secret to an address of their own that is not theirs."""
    details = {"value": Secret("a-restricted-secret-77")}
    await room.credentials.create("theirs", "secret", details=details)
    await room.desk.db.write(lambda tx: tx.execute("UPDATE credentials SET restricted = 1"))
    editor = room.acting(person("editor"))
    with pytest.raises(PostroomError) as refused:
        await editor.notify.add(
            {"name": "web", "url": "https://evil.example/{secret}", "credential": "theirs"}
        )
    assert refused.value.code == "not_found"


async def test_who_is_erased_is_in_no_notice_and_named_where_they_are_told(room: Room) -> None:
    who = "ann@example.com"
    await room.credentials.create(
        "mailer",
        "smtp",
        description="x",
        details={"host": "127.0.0.1", "email_address": "a@b.example"},
    )
    await room.notify.add({"name": "mail", "service": "credential:mailer", "to": [who]})
    await room.notify.add({"name": "prog", "command": ["/bin/true"]})

    def said(tx: Tx) -> None:
        store.used(tx, "prog", outcome=f"550 no <{who}> here", now=1.0)
        tx.execute(
            "INSERT INTO notices (cause, said, since, told_over, over_at) VALUES "
            "('sign-in 1', :said, 1, '{}', 2)",
            said=json.dumps({"kind": "sign-in", "over": f"{who} is signed in again."}),
        )

    await room.desk.db.write(said)
    plan = await room.erasing.plan(who)
    assert "notification mail" in plan.settings
    await room.erasing.erase(who)
    assert await room.notify.notices() == []
    assert who not in json.dumps([one["outcome"] for one in await room.notify.list()])
