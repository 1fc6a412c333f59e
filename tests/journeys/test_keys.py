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
STAGE = """
import asyncio, os, sys
from pathlib import Path
from postroom.app import open_room
from postroom.settings import Settings
from postroom.vault import rotation

async def main():
    room = await open_room(Settings(Path(sys.argv[1]), sys.argv[2]))
    terms = room.keys._start.opened().terms
    await room.desk.db.write(lambda tx: rotation.stage(tx, terms, [terms.kek]))
    print("staged", flush=True)
    os._exit(9)

asyncio.run(main())
"""


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


def test_a_key_that_somebody_wrote_into_the_database_is_not_given_the_new_vault_key(
    acme: Cli, second: str
) -> None:
    """T19, T21: an entry with an id and a place proves nothing; the rotation refuses and names it."""
    forged = acme("keys", "kek", "add", second, "--make", "--json").json["added"]
    with sqlite3.connect(acme.settings.room / "room.db") as db:
        other = "(SELECT wrapped FROM vault_key_wraps WHERE kek <> ?)"
        db.execute(f"UPDATE vault_key_wraps SET wrapped = {other} WHERE kek = ?", (forged, forged))
    refused = acme("keys", "rotate")
    assert (refused.status, forged in refused.err) == (1, True)
    assert len(acme("keys", "status", "--json").json["vault_keys"]) == 1
    assert acme("keys", "kek", "retire", forged, "--yes").status == 0
    assert acme("keys", "rotate").status == 0
    assert not opens(acme, second)


def test_a_worker_finishes_an_interrupted_rotation(acme: Cli) -> None:
    """F5: nobody has to remember it."""
    first = str(acme.settings.kek)
    with Child("-c", STAGE, str(acme.settings.room), first) as staged:
        assert staged.line() == "staged"
    assert len(acme("keys", "status", "--json").json["vault_keys"]) == 2
    where = ("--room", str(acme.settings.room), "--kek", first)
    with Child("-m", "postroom", "worker", *where):
        for _ in range(200):
            terms = acme("keys", "status", "--json").json["vault_keys"]
            if len(terms) == 1:
                break
            time.sleep(0.1)
    assert terms == [{"term": 2, "state": "active"}]
    assert opens(acme, first)


def test_a_passphrase_can_be_the_second_key(acme: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTROOM_PASSPHRASE", "four random words here")
    assert acme("keys", "kek", "add", "passphrase:").status == 0
    assert opens(acme, "passphrase:")
    monkeypatch.setenv("POSTROOM_PASSPHRASE", "four other words here")
    assert not opens(acme, "passphrase:")


# ------------------------------------------------------------------ the recovery kit


def test_a_room_is_recovered_with_its_kit(acme: Cli, tmp_path: Path) -> None:
    """T14, T96: the key file is lost; the steps that stand in the kit bring everything back."""
    notes = acme("keys", "status", "--json").json["notes"]
    assert any("There is no recovery kit" in note for note in notes)
    kit = tmp_path / "safe" / "kit.txt"
    written = acme("keys", "kit", "--to", str(kit))
    assert written.status == 0, written.err
    assert kit.stat().st_mode & 0o777 == 0o600
    status = acme("keys", "status", "--json").json
    assert status["notes"] == []
    assert "was written at" in status["kits"][0]
    [old] = status["kek_ids"]
    assert old in kit.read_text()
    assert status["room"] in kit.read_text()
    key = kit.read_text().splitlines()[-1]
    shown = [acme(*verb) for verb in (("keys", "status"), ("keys", "doctor"), ("audit", "list"))]
    assert [one for one in (written, *shown) if key in one.out + one.err] == []

    Path(str(acme.settings.kek).removeprefix("file:")).unlink()
    locked = acme("keys", "doctor")
    assert locked.status == 78
    assert f"wants the key {old}" in locked.out
    source, new = f"file:{kit}", f"file:{tmp_path / 'new' / 'room.key'}"
    assert with_key(acme, source, "keys", "doctor").status == 0
    assert with_key(acme, source, "keys", "kek", "add", new, "--make").status == 0
    assert with_key(acme, new, "keys", "kek", "retire", old, "--yes").status == 0
    assert opens(acme, new)
    assert not opens(acme, source), "the kit of a retired key is worth nothing"
    notes = with_key(acme, new, "keys", "status", "--json").json["notes"]
    assert any("There is no recovery kit" in note for note in notes)


def test_a_kit_overwrites_nothing_and_is_not_written_beside_the_room(
    acme: Cli, tmp_path: Path
) -> None:
    """T16: refused before a byte of the key is written."""
    there = tmp_path / "there.txt"
    there.write_text("mine")
    link = tmp_path / "link.txt"
    link.symlink_to(acme.settings.room / "kit.txt")
    for place in (there, link, acme.settings.room / "kit.txt", acme.settings.room / "a" / "b"):
        refused = acme("keys", "kit", "--to", str(place))
        assert refused.status == 2, place
    assert there.read_text() == "mine"
    assert not (acme.settings.room / "kit.txt").exists()
    assert not (acme.settings.room / "a").exists()
    assert "There is no recovery kit" in acme("keys", "status").out
    assert acme("audit", "list", "--noun", "keys", "--json").json["items"] == []


def test_a_kit_is_written_down_before_it_is_written(acme: Cli) -> None:
    """No copy of the key without a row that says who made it; a row without a copy harms nobody."""
    failed = acme("keys", "kit", "--to", "/proc/nowhere/kit.txt")
    assert failed.status == 78, failed.err
    [row] = acme("audit", "list", "--noun", "keys", "--json").json["items"]
    assert row["action"] == "kit"
    assert "There is no recovery kit" in acme("keys", "status").out


# ------------------------------------------------------------------ the doctor


def test_the_doctor_names_what_is_damaged_and_hides_nothing(
    acme: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T17: one record of three, and an old version of another; the rest is said to be well."""
    whole = acme("keys", "doctor")
    assert whole.status == 0
    assert "Every sealed value of every record opens." in whole.out
    for name in ("hurt", "well"):
        monkeypatch.setenv("OTHER", f"the first secret of {name}")
        acme("credential", "add", name, "--type", "secret", "--value-from-env", "OTHER")
        monkeypatch.setenv("OTHER", f"the second secret of {name}")
        acme("credential", "set", name, "--value-from-env", "OTHER")
    with sqlite3.connect(acme.settings.room / "room.db") as db:
        for name, version in (("hurt", 2), ("well", 1)):
            changed = db.execute(
                "UPDATE sealed SET blob = zeroblob(length(blob)) WHERE "
                "kind = 'credential' AND version = ? AND record = "
                "(SELECT id FROM credentials WHERE name = ?)",
                (version, name),
            )
            assert changed.rowcount == 1
    found = acme("keys", "doctor", "--json")
    assert (found.status, found.json["ok"], found.json["state"]) == (1, False, "open")
    wrong = [one["text"] for one in found.json["findings"] if one["level"] == "wrong"]
    assert len(wrong) == 2
    assert wrong[0].startswith("Credential hurt: ")
    assert "postroom credential set hurt" in wrong[0]
    assert wrong[1].startswith("Credential well (version 1, not the current one): ")
    assert opens(acme, str(acme.settings.kek))
    assert len(acme("credential", "list", "--json").json["items"]) == 3
    checks = acme("audit", "list", "--noun", "keys", "--json").json["items"]
    assert [row["action"] for row in checks] == ["check", "check"], "opening them is written down"


def test_the_doctor_explains_a_wrong_a_loose_and_an_unfinished_state(
    acme: Cli, second: str
) -> None:
    """T13, T14, T16: each in words, with the id that is wanted; nothing in the room changes."""
    first = str(acme.settings.kek)
    [old] = ids(acme, first)
    before = (acme.settings.room / "room.db").read_bytes()
    path = Path(first.removeprefix("file:"))
    path.chmod(0o644)
    loose = acme("keys", "doctor")
    assert (loose.status, "chmod 600" in loose.out, old in loose.out) == (78, True, True)
    path.chmod(0o600)
    path.rename(path.with_suffix(".away"))
    other = Path(second.removeprefix("file:"))
    other.parent.mkdir()
    other.write_text("00" * 31 + "01\n")
    other.chmod(0o600)
    wrong = with_key(acme, second, "keys", "doctor")
    assert wrong.status == 78
    assert f"the room wants {old}" in wrong.out
    assert f"The key {old} was at {first} when it was added." in wrong.out
    assert (acme.settings.room / "room.db").read_bytes() == before
    path.with_suffix(".away").rename(path)

    new = acme("keys", "kek", "add", second, "--json").json["added"]
    other.chmod(0o644)
    with sqlite3.connect(acme.settings.room / "room.db") as db:
        db.execute("UPDATE vault_keys SET state = 'retired'")
    told = acme("keys", "doctor")
    assert told.status == 1
    assert "A rotation is under way or was interrupted: 3 data keys" in told.out
    assert f"postroom keys kek retire {new}" in told.out
    assert f"WRONG  key        The key {new}: The key file {other} has mode 0644" in told.out
