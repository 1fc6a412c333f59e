"""An edit wakes what waits for it: a source after a failure, and mail that was deferred."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from postroom.app import DATABASE, Room
from postroom.clock import timestamp
from tests.ground import Ground, User
from tests.journeys.conftest import Cli, connect
from tests.journeys.incoming import Incoming, letter, soon


@pytest.fixture
def parked(cli: Cli, wired: User) -> Cli:
    """The host is a variable; the source has failed, and a message is deferred, both for a while."""
    for words in (
        ("variable", "set", "MAIL_HOST", "127.0.0.1"),
        ("connection", "set", "acme", "--set", "incoming.host=${MAIL_HOST}",
         "--set", "outgoing.host=${MAIL_HOST}"),
        ("send", "--via", "orders-out", "--to", "ada@partner.example", "--text", "x", "--forget"),
    ):  # fmt: skip
        answer = cli(*words)
        assert answer.status == 0, answer.err
    later = timestamp() + 900
    with sqlite3.connect(cli.settings.room / DATABASE) as raw:
        raw.execute("UPDATE sources SET due_at = ?, state = 'failed', failures = 1", (later,))
        raw.execute("UPDATE outbox SET due_at = ?, state = 'deferred'", (later,))
    raw.close()
    return cli


def awake(cli: Cli) -> dict[str, bool]:
    """Whether the source, and the message, are due."""
    with sqlite3.connect(cli.settings.room / DATABASE) as raw:
        found = {
            table: raw.execute(f"SELECT due_at FROM {table}").fetchone()[0] <= timestamp()
            for table in ("sources", "outbox")
        }
    raw.close()
    return found


@pytest.mark.parametrize(
    "words",
    [
        ("variable", "set", "MAIL_HOST", "localhost", "--rebind"),
        ("connection", "set", "acme", "--set", "outgoing.port=1", "--rebind"),
        ("credential", "set", "acme-login", "--password-from-env", "NEW_PASSWORD"),
    ],
    ids=lambda words: words[0],
)
def test_an_edit_wakes_the_source_and_the_mail(
    parked: Cli, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEW_PASSWORD", "another-battery-staple")
    answer = parked(*words)
    assert answer.status == 0, answer.err
    assert awake(parked) == {"sources": True, "outbox": True}


@pytest.mark.parametrize(
    ("file", "woken"),
    [
        ("variables: {MAIL_HOST: localhost}", True),
        ("credentials: [{name: acme-login, fields: {password: {from_env: NEW_PASSWORD}}}]", True),
        ("credentials: [{name: acme-login, description: Orders}]", False),
        ("variables: {MAIL_HOST: 127.0.0.1}", False),
    ],
)
def test_a_room_file_wakes_what_rests_on_what_it_changes(
    parked: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, woken: bool
) -> None:
    """And nothing else: applying a file twice makes nobody begin anew."""
    monkeypatch.setenv("NEW_PASSWORD", "another-battery-staple")
    path = tmp_path / "room.yaml"
    path.write_text(f"postroom: 1\n{file}\n")
    answer = parked("apply", str(path), "--rebind")
    assert answer.status == 0, answer.err
    assert awake(parked) == {"sources": woken, "outbox": woken}


def test_an_edit_of_a_service_wakes_its_mail(parked: Cli) -> None:
    """It may have been led over another connection."""
    assert parked("service", "set", "orders-out", "--queue-size", "50").status == 0
    assert awake(parked) == {"sources": False, "outbox": True}


async def test_a_running_watcher_notices_a_variable(
    room: Room, ground: Ground, tmp_path: Path
) -> None:
    """What a source calls its folder is expanded when it is claimed: then it is claimed anew."""
    user = ground.user()
    await connect(room, ground, user)
    box = Incoming(room, ground, user, tmp_path / "orders")
    box.fill(letter("one"), folder="First")
    box.fill(letter("two"), folder="Second")
    await room.variables.set("BOX", "First")
    await box.source(folders={"input": "${BOX}"})
    async with box.watching():
        await soon(lambda: len(box.files(folder="First")) == 1)
        await room.variables.set("BOX", "Second")
        await soon(lambda: len(box.files(folder="Second")) == 1, seconds=10.0)
