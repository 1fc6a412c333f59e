"""The room's keys as the person sees them who runs the room: another key, and the old one retired."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import pytest

from postroom.app import open_room
from postroom.settings import Settings
from tests.child import Child
from tests.journeys.conftest import Answer, Cli

SECRET = "the secret of acme"


@pytest.fixture
def acme(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A room with one sealed value."""
    monkeypatch.setenv("VALUE", SECRET)
    made = cli("credential", "add", "acme", "--type", "secret", "--value-from-env", "VALUE")
    assert made.status == 0, made.err
    return cli


@pytest.fixture
def second(tmp_path: Path) -> str:
    return f"file:{tmp_path / 'elsewhere' / 'second.key'}"


def with_key(cli: Cli, source: str, *words: str) -> Answer:
    """The same command with another key."""
    other = Cli(Settings(cli.settings.room, source), cli._capsys)
    return other(*words)


def ids(cli: Cli, source: str) -> list[str]:
    listed = with_key(cli, source, "keys", "kek", "list", "--json").json["items"]
    return [row["id"] for row in listed]


def opens(cli: Cli, source: str) -> bool:
    """Whether the sealed value comes back: a copy of the value is no change, so no new version."""
    same = with_key(cli, source, "credential", "set", "acme", "--value-from-env", "VALUE")
    if same.status == 78:
        return False
    assert same.status == 0, same.err
    return bool(with_key(cli, source, "credential", "show", "acme", "--json").json["version"] == 1)


# ------------------------------------------------------------------ another key


def test_a_second_key_opens_the_room_and_the_first_until_it_is_retired(
    acme: Cli, second: str
) -> None:
    """T21: add, both open; retire, only the new one opens; nothing was sealed anew."""
    first = str(acme.settings.kek)
    [old] = ids(acme, first)
    missing = acme("keys", "kek", "add", second)
    assert (missing.status, ids(acme, first)) == (78, [old])
    assert not Path(second.removeprefix("file:")).exists(), "a key is made only when told"
    added = acme("keys", "kek", "add", second, "--make", "--json")
    assert added.status == 0, added.err
    new = added.json["added"]
    assert ids(acme, second) == [old, new]
    assert opens(acme, first)
    assert opens(acme, second)
    twice = acme("keys", "kek", "add", second)
    assert (twice.status, twice.err.split(";")[0]) == (
        1, f"postroom: The key {new} opens this room already",
    )  # fmt: skip

    assert with_key(acme, second, "keys", "kek", "retire", old, "--yes").status == 0
    assert ids(acme, second) == [new]
    assert opens(acme, second)
    assert not opens(acme, first)
    refused = acme("keys", "kek", "add", first)
    assert refused.status == 78
    assert new in refused.err, "the id of the key that is wanted"
    done = with_key(acme, second, "audit", "list", "--noun", "keys", "--json").json["items"]
    assert [(row["action"], row["detail"]["kek"]) for row in done] == [
        ("retire", old), ("add", new),
    ]  # fmt: skip


def test_the_last_key_the_own_and_an_unknown_one_are_not_retired(acme: Cli, second: str) -> None:
    """T21: refused with its id, and nothing changes."""
    first = str(acme.settings.kek)
    [old] = ids(acme, first)
    own = acme("keys", "kek", "retire", old, "--yes")
    assert (own.status, old in own.err) == (1, True)
    new = acme("keys", "kek", "add", second, "--make", "--json").json["added"]
    own = acme("keys", "kek", "retire", old, "--yes")
    assert (own.status, old in own.err) == (1, True)
    assert acme("keys", "kek", "retire", "0" * 16, "--yes").status == 2
    assert acme("keys", "kek", "retire", new).status == 2, "unless it is confirmed"
    assert ids(acme, first) == [old, new]
    assert acme("keys", "kek", "retire", new, "--yes").status == 0
    assert ids(acme, first) == [old]


def test_a_key_that_a_living_worker_needs_is_not_retired(acme: Cli, second: str) -> None:
    """T21: the process is named; once it is dead - even by kill -9 - the key can go."""
    first = str(acme.settings.kek)
    [old] = ids(acme, first)
    assert acme("keys", "kek", "add", second, "--make").status == 0
    room = ("--room", str(acme.settings.room))
    with Child("-m", "postroom", "worker", *room, "--kek", first) as worker:
        for _ in range(200):
            with sqlite3.connect(acme.settings.room / "room.db") as db:
                if db.execute("SELECT pid FROM workers").fetchall() == [(worker.pid,)]:
                    break
            time.sleep(0.05)
        listed = with_key(acme, second, "keys", "kek", "list", "--json").json["items"]
        assert [row["workers"] != [] for row in listed] == [True, False]
        refused = with_key(acme, second, "keys", "kek", "retire", old, "--yes")
        assert refused.status == 1
        assert f"process {worker.pid} on {os.uname().nodename}" in refused.err
        assert opens(acme, first)
        worker.kill()
        retired = with_key(acme, second, "keys", "kek", "retire", old, "--yes")
        assert retired.status == 0, retired.err


async def test_a_process_whose_key_was_retired_says_so_after_the_next_rotation(
    settings: Settings, second: str
) -> None:
    """T21: it is no worker, so nobody knew of it; it stops with a sentence, and damages nothing."""
    forgotten = await open_room(settings, make=True)
    await forgotten.credentials.create("acme", "secret", details={"value": SECRET})
    await forgotten.keys.kek.add(second, make=True)
    other = await open_room(Settings(settings.room, second))
    [old, new] = [row["id"] for row in await other.keys.kek.list()]
    await other.keys.kek.retire(old)
    await other.keys.rotate()
    with pytest.raises(Exception, match=f"{old} was retired .* wants {new}") as caught:
        await forgotten.credentials.create("late", "secret", details={"value": SECRET})
    assert getattr(caught.value, "exit_status", None) == 78
    assert await other.keys.damaged() == []
    await other.close()
    await forgotten.close()


# ------------------------------------------------------------------ rotation with two keys


def test_a_rotation_wraps_the_new_vault_key_for_every_key_of_the_room(
    acme: Cli, second: str
) -> None:
    """T19, T21: both open afterwards; a key that cannot be had is named, and nothing is staged."""
    first = str(acme.settings.kek)
    new = acme("keys", "kek", "add", second, "--make", "--json").json["added"]
    assert acme("keys", "rotate").status == 0
    assert opens(acme, first)
    assert opens(acme, second)

    path = Path(second.removeprefix("file:"))
    moved = path.rename(path.with_name("moved.key"))
    refused = acme("keys", "rotate")
    assert (refused.status, new in refused.err, "--also" in refused.err) == (1, True, True)
    terms = acme("keys", "status", "--json").json["vault_keys"]
    assert [(term["term"], term["state"]) for term in terms] == [(2, "active")]
    assert acme("keys", "rotate", "--also", f"file:{moved}").status == 0
    assert opens(acme, f"file:{moved}")


def test_a_passphrase_can_be_the_second_key(acme: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTROOM_PASSPHRASE", "four random words here")
    assert acme("keys", "kek", "add", "passphrase:").status == 0
    assert opens(acme, "passphrase:")
    monkeypatch.setenv("POSTROOM_PASSPHRASE", "four other words here")
    assert not opens(acme, "passphrase:")
