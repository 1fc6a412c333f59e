"""The passphrase of a room is asked for on a terminal; without one, the other ways are named."""

from __future__ import annotations

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
