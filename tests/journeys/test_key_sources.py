"""The room's key where a person may keep it: a passphrase, the environment, a mounted file."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from postroom.cli import main
from tests.journeys.conftest import Answer
from tests.journeys.terminal import Terminal

PHRASE = "correct horse battery staple"
LOGIN = ("credential", "add", "login", "--type", "secret", "--value-from-env", "THE_SECRET")


class Keyed:
    """The command line on one room, with the key where each call says that it is."""

    def __init__(self, room: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.room = room
        self._capsys = capsys

    def __call__(self, kek: str, *words: str) -> Answer:
        self._capsys.readouterr()
        status = main([*words, "--room", str(self.room), "--kek", kek])
        shown = self._capsys.readouterr()
        return Answer(status, shown.out, shown.err)

    def terminal(self, kek: str, *words: str) -> Terminal:
        return Terminal(*words, "--room", str(self.room), "--kek", kek)


@pytest.fixture
def keyed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Keyed:
    monkeypatch.setenv("THE_SECRET", "hush-hush-9876")
    monkeypatch.delenv("POSTROOM_PASSPHRASE", raising=False)
    return Keyed(tmp_path / "room", capsys)


@pytest.fixture
def mounted() -> Iterator[Path]:
    """A key in memory, as a container's secret is mounted."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        pytest.skip("no tmpfs at /dev/shm")
    path = memory / f"postroom-journey-{os.getpid()}"
    path.write_text(base64.b64encode(os.urandom(32)).decode() + "\n")
    path.chmod(0o400)
    yield path
    path.unlink()


def opens(keyed: Keyed, kek: str) -> None:
    """Make the room, seal a secret, and see it in another process's eyes."""
    made = keyed(kek, "init")
    assert made.status == 0, made.err
    assert keyed(kek, *LOGIN).status == 0
    shown = keyed(kek, "credential", "show", "login", "--json").json
    assert shown["fields"] == {"value": "****9876"}


def test_a_passphrase_in_the_environment(keyed: Keyed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTROOM_PASSPHRASE", PHRASE)
    opens(keyed, "passphrase:")
    monkeypatch.setenv("POSTROOM_PASSPHRASE", PHRASE + "r")
    wrong = keyed("passphrase:", *LOGIN[:2], "other", *LOGIN[3:])
    assert (wrong.status, "THE_SECRET" in wrong.err) == (78, False)


def test_a_passphrase_in_a_file(keyed: Keyed, tmp_path: Path) -> None:
    path = tmp_path / "phrase"
    path.write_text(PHRASE + "\n")
    path.chmod(0o600)
    opens(keyed, f"passphrase:{path}")


def test_a_passphrase_is_asked_for_on_a_terminal(keyed: Keyed) -> None:
    for words in (("init",), LOGIN):
        with keyed.terminal("passphrase:", *words) as asked:
            asked.until("Passphrase of the room: ")
            asked.type(PHRASE)
            if words == LOGIN:
                asked.until("Description (empty: none): ")
                asked.type("")
            assert asked.end() == 0, asked.seen
        assert PHRASE not in asked.seen


def test_without_a_terminal_the_ways_to_give_a_passphrase_are_named(
    keyed: Keyed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in (("init",), LOGIN):
        refused = keyed("passphrase:", *words)
        assert refused.status == 78
        assert "nobody is here to ask" in refused.err
        assert "Set POSTROOM_PASSPHRASE, or use passphrase:PATH." in refused.err
        assert "--NAME" not in refused.err
        if words == ("init",):
            with monkeypatch.context() as within:
                within.setenv("POSTROOM_PASSPHRASE", PHRASE)
                assert keyed("passphrase:", "init").status == 0


def test_a_key_in_the_environment_works_with_a_warning(
    keyed: Keyed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", base64.b64encode(os.urandom(32)).decode())
    opens(keyed, "env:THE_KEY")
    assert "A file or a mounted secret is safer" in " ".join(
        keyed("env:THE_KEY", "credential", "list").err.split()
    )
    monkeypatch.delenv("THE_KEY")
    gone = keyed("env:THE_KEY", *LOGIN[:2], "other", *LOGIN[3:])
    assert gone.status == 78
    assert "THE_KEY should hold the key and is not set" in " ".join(gone.err.split())


def test_a_mounted_key(keyed: Keyed, mounted: Path) -> None:
    opens(keyed, f"mounted:{mounted}")
