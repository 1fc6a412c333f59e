"""The versions of a credential: the last five are kept, one comes back, one goes for good."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from postroom.app import Room, open_room
from postroom.errors import Unreadable
from postroom.secret import Secret
from postroom.settings import Settings
from tests.journeys.conftest import Cli


class Login:
    """The credential ``login``, whose password is given again and again."""

    def __init__(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cli = cli
        self._env = monkeypatch

    def set(self, password: str, *words: str) -> int:
        self._env.setenv("VALUE", password)
        verb = ("set",) if self.versions() else ("add",)
        kind = () if verb == ("set",) else ("--type", "password", "--user-name", "ann")
        done = self.cli("credential", *verb, "login", *kind, "--password-from-env", "VALUE", *words)
        assert done.status == 0, done.err
        return int(self.cli("credential", "show", "login", "--json").json["version"])

    def is_now(self, password: str) -> bool:
        """Whether that is the password: giving the same again makes no new version."""
        before = self.cli("credential", "show", "login", "--json").json["version"]
        return self.set(password) == before

    def versions(self) -> list[dict[str, Any]]:
        shown = self.cli("credential", "versions", "login", "--json")
        return [] if shown.status == 2 else list(shown.json["items"])

    def states(self) -> list[tuple[int, str, str]]:
        return [
            (one["version"], one["state"], one["secrets"].get("password", ""))
            for one in self.versions()
        ]


@pytest.fixture
def login(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Login:
    return Login(cli, monkeypatch)


def test_the_last_five_versions_are_kept_and_a_restored_one_is_a_new_one(login: Login) -> None:
    for number in range(1, 8):
        assert login.set(f"correct horse {number:04}") == number
    kept = [(number, "kept", f"****{number:04}") for number in (6, 5, 4, 3)]
    gone = [(2, "destroyed", ""), (1, "destroyed", "")]
    assert login.states() == [(7, "current", "****0007"), *kept, *gone]
    restored = login.cli("credential", "restore", "login", "4", "--json")
    assert (restored.status, restored.json["version"]) == (0, 8)
    assert login.states()[:2] == [(8, "current", "****0004"), (7, "kept", "****0007")]
    assert login.is_now("correct horse 0004")
    assert login.cli("audit", "verify").status == 0
    row = login.cli("audit", "list", "--name", "login", "--json").json["items"][0]
    assert (row["action"], row["detail"]["version"], row["detail"]["restored"]) == ("restore", 8, 4)
    same = {one["version"]: one["same_as"] for one in login.versions()}
    assert (same[8], same[7], same[4]) == (None, None, 8), "what was brought back is there twice"
    for version in ("2", "99", "8"):
        refused = login.cli("credential", "restore", "login", version)
        assert refused.status in (1, 2), version
    assert len(login.versions()) == 8


async def test_what_is_sealed_anew_is_the_same_and_what_is_typed_in_part_is_not(room: Room) -> None:
    """Only one of two secrets is typed again: the version before has the old one, to be had back."""
    details = {"one": Secret("the first value"), "two": Secret("of the other")}
    await room.credentials.create("pair", "generic", details=details)
    await room.credentials.set("pair", {"one": Secret("the second value")})
    assert [one["same_as"] for one in await room.versions.list("pair")] == [None, None]

    login = {"user_name": "ann", "password": Secret("correct horse")}
    await room.credentials.create("login", "password", details=login)
    auth = {"type": "secret", "credential": "login"}
    for host in ("a.example.com", "b.example.com"):
        side = {"protocol": "imap", "host": host, "auth": auth}
        await room.connections.add({"name": host[0], "incoming": side}, rebind=True)
    assert [one["same_as"] for one in await room.versions.list("login")] == [None, 3, 3]


def test_a_destroyed_version_is_gone_from_the_files(login: Login) -> None:
    """T23: neither its sealed fields nor its wrapped data key are in the database or its log."""
    for word in ("first", "second", "third"):
        login.set(f"the {word} password")
    room = login.cli.settings.room
    with sqlite3.connect(room / "room.db") as db:
        found = db.execute(
            "SELECT s.blob, d.wrapped FROM sealed s JOIN data_keys d ON d.id = s.data_key "
            "WHERE s.kind = 'credential' AND s.version = 2"
        ).fetchall()
    db.close()
    traces = [bytes(part) for row in found for part in row]
    assert len(traces) == 2
    assert login.cli("credential", "destroy", "login", "2").status == 2, "unless confirmed"
    assert login.states()[1][1] == "kept"
    assert login.cli("credential", "destroy", "login", "2", "--yes").status == 0
    assert [state for _, state, _ in login.states()] == ["current", "destroyed", "kept"]
    held = b"".join(path.read_bytes() for path in room.iterdir() if path.is_file())
    assert [trace in held for trace in traces] == [False, False]

    assert login.cli("credential", "restore", "login", "2").status == 1
    assert login.cli("credential", "destroy", "login", "2", "--yes").status == 1
    current = login.cli("credential", "destroy", "login", "3", "--yes")
    assert (current.status, "the current one" in current.err) == (1, True)
    assert login.is_now("the third password")
    assert login.cli("credential", "restore", "login", "1").status == 0
    assert login.is_now("the first password")


async def test_a_restored_secret_may_not_go_where_it_was_not_bound_to_go(
    settings: Settings,
) -> None:
    """T26, T3: an old version brings its own places and no others."""
    room = await open_room(settings, make=True)
    smtp = {"host": "smtp.example.com", "tls": True, "user_name": "ann"}
    await room.credentials.create("mail", "smtp", details={**smtp, "password": "the first word"})
    old = (await room.credentials.show("mail"))["destinations"]
    await room.credentials.set("mail", {"host": "smtp.example.net", "password": "the second word"})
    new = (await room.credentials.show("mail"))["destinations"]
    assert await room.versions.restore("mail", 1) == 3
    shown = await room.credentials.show("mail")
    assert (shown["destinations"], shown["fields"]["host"]) == (old, "smtp.example.com")

    # who has the database writes the second host into the first version, and asks for it back
    def edit(tx: Any) -> None:
        tx.execute(
            "UPDATE credential_versions SET plain = (SELECT plain FROM credential_versions "
            "WHERE version = 2), presented_at = 1 WHERE version = 1"
        )

    await room.desk.db.write(edit)
    with pytest.raises(Unreadable, match="fields beside it were edited"):
        await room.versions.restore("mail", 1)
    # and the list beside it, too: then the sealed digest does not fit either
    await room.desk.db.write(
        lambda tx: tx.execute(
            "UPDATE credential_versions SET destinations = (SELECT destinations FROM "
            "credential_versions WHERE version = 2) WHERE version = 1"
        )
    )
    with pytest.raises(Unreadable, match="does not open"):
        await room.versions.restore("mail", 1)
    assert (await room.credentials.show("mail"))["version"] == 3
    assert new != old
    await room.close()


def test_versions_of_a_locked_room_are_listed(login: Login) -> None:
    """T14: without any last characters, and nothing can be restored or destroyed."""
    login.set("the first password")
    login.set("the second password")
    source = str(login.cli.settings.kek).removeprefix("file:")
    locked = Cli(Settings(login.cli.settings.room, f"file:{source}.gone"), login.cli._capsys)
    listed = locked("credential", "versions", "login", "--json").json["items"]
    assert [(one["state"], one["secrets"]) for one in listed] == [
        ("current", {"password": "****"}), ("kept", {"password": "****"}),
    ]  # fmt: skip
    assert locked("credential", "restore", "login", "1").status == 78
    assert locked("credential", "destroy", "login", "1", "--yes").status == 78
    assert login.is_now("the second password")
