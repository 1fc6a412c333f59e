"""Where the room's key comes from: a passphrase, the environment, a mounted secret."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.conftest import Answer, Cli
from tests.journeys.terminal import Terminal
from tests.journeys.test_security import leaks, told

PHRASE = "correct horse battery staple"
KEY = base64.b64encode(bytes(range(32))).decode()
OTHER = base64.b64encode(bytes(range(1, 33))).decode()
SEALED = "canary-of-the-login-4711"


@pytest.fixture
def make(cli: Cli) -> Iterator[Cli]:
    """The command line on a room that is not there yet; ``cli`` has made one beside it."""
    made = Cli(cli.settings._replace(room=cli.settings.room.with_name("other")), cli._capsys)
    yield made
    if made.settings.room.exists():  # whatever the source: the key is not with what it protects
        for path in made.settings.room.rglob("*"):
            assert not path.is_file() or not leaks(path.read_bytes(), PHRASE), path
            assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
            assert not path.is_file() or bytes(range(32)) not in path.read_bytes(), path


def by(make: Cli, source: str) -> Cli:
    """The same room with its key from there."""
    return Cli(make.settings._replace(kek=source), make._capsys)


def begin(make: Cli, source: str, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """``init`` with that source, and a credential sealed."""
    room = by(make, source)
    answer = room("init")
    assert answer.status == 0, answer.err
    assert "A new room." in answer.out
    assert source in answer.out
    monkeypatch.setenv("PW", SEALED)
    answer = room("credential", "add", "login", "--type", "password", "--user-name", "u",
                  "--password-from-env", "PW")  # fmt: skip
    assert answer.status == 0, answer.err
    works(room)
    return room


def works(room: Cli) -> Answer:
    """The room is open: what is sealed can be opened (the hint of a mask is sealed too)."""
    answer = room("credential", "show", "login", "--json")
    assert answer.status == 0, answer.err
    assert answer.json["fields"]["password"] == "****4711"
    return answer


def locked(room: Cli, *says: str) -> None:
    """Whatever needs the key ends with 78 and says which; listing works; nothing is changed."""
    before = (room.settings.room / "room.db").read_bytes()
    for words in (("keys", "status"), ("init",),
                  ("credential", "set", "login", "--user-name", "v")):  # fmt: skip
        answer = room(*words)
        assert answer.status == 78, (words, answer)
        for part in says:
            assert part in answer.out + answer.err, words
        assert not leaks(told(answer), PHRASE)
        assert "A new room." not in answer.out
    assert room("credential", "list", "--json").json["items"][0]["name"] == "login"
    assert (room.settings.room / "room.db").read_bytes() == before


def wanted(room: Cli) -> str:
    """The id of the key that the room wants."""
    [found] = room("keys", "status", "--json").json["kek_ids"]
    return str(found)


# ------------------------------------------------------------------ passphrase


def test_a_passphrase_from_the_environment(make: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTROOM_PASSPHRASE", PHRASE)
    room = begin(make, "passphrase:", monkeypatch)
    key = wanted(room)
    monkeypatch.setenv("POSTROOM_PASSPHRASE", PHRASE.replace("horse", "house"))
    locked(room, key)
    monkeypatch.setenv("POSTROOM_PASSPHRASE", PHRASE)
    works(room)


def test_a_passphrase_in_a_file(make: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line end that every editor leaves does not count; a file for others to read does."""
    file = tmp_path / "phrase"
    file.touch(mode=0o600)
    file.write_text(f"{PHRASE}\n")
    room = begin(make, f"passphrase:{file}", monkeypatch)
    key = wanted(room)
    file.write_text(PHRASE)
    works(room)
    file.write_text(f"{PHRASE} \n")
    locked(room, key)
    file.write_text(f"{PHRASE}\n")
    file.chmod(0o640)
    locked(room, "chmod 600", key)
    file.unlink()
    locked(room, str(file), key)


def test_a_passphrase_typed(make: Cli) -> None:
    """Asked for by every command, never shown; a wrong one is 78."""
    where = ("--room", str(make.settings.room), "--kek", "passphrase:")
    steps = ((("init",), PHRASE, 0), (("keys", "status"), PHRASE, 0),
             (("keys", "status"), "a wrong passphrase", 78))  # fmt: skip
    for words, phrase, status in steps:
        with Terminal(*words, *where) as screen:
            screen.until("Passphrase of the room: ")
            screen.type(phrase)
            assert screen.end() == status, screen.seen
        assert phrase not in screen.seen
        assert "Traceback" not in screen.seen


def test_a_short_passphrase_makes_no_room(make: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said at ``init``, with what is wanted; a good one makes the room afterwards."""
    monkeypatch.setenv("POSTROOM_PASSPHRASE", "short")
    room = by(make, "passphrase:")
    answer = room("init")
    assert answer.status == 78
    assert "shorter than 12 characters" in answer.err
    assert "A new room." not in answer.out
    monkeypatch.setenv("POSTROOM_PASSPHRASE", PHRASE)
    assert room("init").status == 0
    assert room("keys", "status", "--json").json["state"] == "open"


# ------------------------------------------------------------------ environment


def test_a_key_in_the_environment(make: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """It works, with a warning at every command and in the status; no other variable opens it."""
    monkeypatch.setenv("ROOM_KEY", KEY)
    room = begin(make, "env:ROOM_KEY", monkeypatch)
    answer = room("credential", "list")
    assert "environment variable ROOM_KEY" in " ".join(answer.err.split())
    status = room("keys", "status", "--json")
    assert status.json["state"] == "open"
    assert "a mounted secret is safer" in status.json["warning"]
    assert KEY not in answer.err + status.out + status.err
    key = wanted(room)
    monkeypatch.setenv("ROOM_KEY", OTHER)
    locked(room, key)
    monkeypatch.setenv("ROOM_KEY", "not a key")
    locked(room, "neither base64 nor hexadecimal", key)
    monkeypatch.delenv("ROOM_KEY")
    locked(room, "ROOM_KEY", key)
    monkeypatch.setenv("ROOM_KEY", KEY)
    works(room)


@pytest.mark.parametrize("source", ["env:ROOM_KEY", "mounted:/nowhere/at/all"])
def test_a_key_that_its_owner_makes_is_not_made_for_him(make: Cli, source: str) -> None:
    """``init`` makes key files alone; where another source has none, it says so and makes none."""
    room = by(make, source)
    answer = room("init")
    assert answer.status == 78, answer
    assert source.partition(":")[2] in answer.err
    assert "A new room." not in answer.out
    assert not Path("/nowhere").exists()
    assert room("keys", "status", "--json").json["kek_ids"] == []


# ------------------------------------------------------------------ mounted


@pytest.fixture
def memory() -> Iterator[Path]:
    """A file in memory, as Docker and Kubernetes mount secrets."""
    folder = Path("/dev/shm")
    if not folder.is_dir():
        pytest.skip("no tmpfs at /dev/shm")
    file = folder / f"postroom-journey-{os.getpid()}"
    yield file
    file.unlink(missing_ok=True)


def test_a_mounted_key(
    make: Cli, memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By way of a link, as Kubernetes does it; no warning; the wrong key, and none, are 78."""
    memory.write_text(KEY)
    memory.chmod(0o440)
    link = tmp_path / "room-key"
    link.symlink_to(memory)
    room = begin(make, f"mounted:{link}", monkeypatch)
    assert room("credential", "list").err == ""
    key = wanted(room)
    memory.chmod(0o600)
    memory.write_text(OTHER)
    memory.chmod(0o440)
    locked(room, key)
    memory.chmod(0o462)
    locked(room, "written by others", key)
    memory.unlink()
    locked(room, str(link), key)
