"""Key sources that others provide: credentials of a systemd unit, and packages by entry point."""

from __future__ import annotations

import base64
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from postroom.db import open_database
from postroom.errors import InvalidValue, Locked
from postroom.secret import Secret
from postroom.vault import load_kek, open_vault
from postroom.vault.outside import PAUSES, load_outside

KEY = bytes(range(32))
MEMORY = Path("/dev/shm")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def unit() -> Iterator[Path]:
    """The credentials directory of a unit, in memory as systemd makes it."""
    if not MEMORY.is_dir():
        pytest.skip("no tmpfs at /dev/shm")
    directory = MEMORY / f"postroom-credentials-{os.getpid()}"
    directory.mkdir(mode=0o700)
    key = directory / "postroom-key"
    key.write_text(base64.b64encode(KEY).decode() + "\n")
    key.chmod(0o440)
    yield directory
    key.unlink(missing_ok=True)
    directory.rmdir()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that adds the kinds ``good``, ``short``, ``down``, ``bad``, ``slow``."""
    site = tmp_path / "site"
    about = site / "acme_keys-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-keys\nVersion: 1.0\n")
    kinds = ("good", "text", "short", "down", "bad", "slow", "busy")
    listed = "".join(f"{kind} = acme_keys:{kind}\n" for kind in kinds)
    (about / "entry_points.txt").write_text(f"[postroom.kek]\n{listed}")
    (site / "acme_keys.py").write_text(
        "import base64, time\n"
        "def good(reference):\n    return bytes(range(32)) if reference == 'alias/x' else b''\n"
        "def text(reference):\n    return base64.b64encode(bytes(range(32))).decode()\n"
        "def short(reference):\n    return b'hunter2'\n"
        "def down(reference):\n    raise ConnectionRefusedError('hunter2')\n"
        "def bad(reference):\n    raise ValueError('hunter2')\n"
        "def slow(reference):\n    time.sleep(60)\n"
        "def busy(reference):\n"
        "    with open(reference, 'a') as file:\n        file.write('.')\n"
        "    if len(open(reference).read()) < 4:\n        raise ConnectionResetError('throttled')\n"
        "    return bytes(range(32))\n"
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "acme_keys", raising=False)
    return site


def test_a_systemd_credential_is_the_key(unit: Path, data: Path) -> None:
    env = {"CREDENTIALS_DIRECTORY": str(unit)}
    kek = load_kek("systemd:postroom-key", data_dir=data, environ=env)
    assert (kek.key, kek.source) == (Secret(KEY), "systemd:postroom-key")
    with pytest.raises(Locked, match="no mounted key at") as caught:
        load_kek("systemd:other", data_dir=data, environ=env)
    assert caught.value.exit_status == 78
    for name in ("../postroom-key", ".hidden", "/etc/key"):
        with pytest.raises(InvalidValue, match="no path"):
            load_kek(f"systemd:{name}", data_dir=data, environ=env)


def test_a_systemd_credential_that_others_can_write_is_refused(unit: Path, data: Path) -> None:
    """T16."""
    (unit / "postroom-key").chmod(0o666)
    with pytest.raises(Locked, match="written by others"):
        load_kek(
            "systemd:postroom-key", data_dir=data, environ={"CREDENTIALS_DIRECTORY": str(unit)}
        )


def test_outside_of_a_unit_the_sentence_says_how_to_start_it(data: Path) -> None:
    """T14: and nothing is made."""
    with pytest.raises(Locked, match="LoadCredentialEncrypted=postroom-key") as caught:
        load_kek("systemd:postroom-key", data_dir=data, environ={})
    assert caught.value.code == "key_missing"


async def test_a_room_made_and_opened_with_a_systemd_credential(
    unit: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(unit))
    db = open_database(data / "room.db", create=True)
    made = await open_vault(db, "systemd:postroom-key", make=True)
    assert made.made
    assert (await open_vault(db, "systemd:postroom-key")).keyring is not None
    (unit / "postroom-key").unlink()
    gone = await open_vault(db, "systemd:postroom-key", make=True)
    assert gone.locked is not None
    assert gone.locked.exit_status == 78
    assert not (unit / "postroom-key").exists()
    await db.close()


def test_a_package_adds_a_kind_of_source(package: Path, data: Path) -> None:
    for source in ("good:alias/x", "text:any"):
        kek = load_kek(source, data_dir=data)
        assert (kek.key, kek.source) == (Secret(KEY), source)
    with pytest.raises(InvalidValue, match=r"passphrase:, bad:\.\.\., busy:\.\.\., down"):
        load_kek("azure:x", data_dir=data)
    with pytest.raises(InvalidValue, match="give file:PATH"):
        load_kek("good:", data_dir=data)


@pytest.mark.parametrize(
    ("source", "code", "temporary", "said"),
    [
        ("short:x", "key_unsafe", False, "is no key"),
        ("good:other", "key_unsafe", False, "is no key"),
        ("down:x", "key_unreachable", True, "did not answer"),
        ("bad:x", "key_missing", False, "ValueError"),
    ],
)
def test_a_package_that_gives_no_key(
    package: Path,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    code: str,
    temporary: bool,
    said: str,
) -> None:
    """T22: the room opens locked, and what the package complained of is shown to nobody."""
    monkeypatch.setattr("postroom.vault.outside.PAUSES", (0.0, 0.0, 0.0))
    with pytest.raises(Locked, match=said) as caught:
        load_kek(source, data_dir=data)
    assert (caught.value.code, caught.value.temporary) == (code, temporary)
    assert "hunter2" not in str(caught.value)


def test_a_key_service_that_hangs_is_given_up(package: Path) -> None:
    """T22."""
    with pytest.raises(Locked, match="did not answer"):
        load_outside("slow", "x", seconds=0.1)


def test_a_key_service_that_is_busy_is_asked_again(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T22: throttled three times, with pauses that grow; a refusal that stays is asked once."""
    assert list(PAUSES) == sorted(PAUSES)
    short = tuple(pause / 10 for pause in PAUSES)
    monkeypatch.setattr("postroom.vault.outside.PAUSES", short)
    asked = tmp_path / "asked"
    begun = time.monotonic()
    assert load_outside("busy", str(asked)) == Secret(KEY)
    assert time.monotonic() - begun >= sum(short)
    monkeypatch.setattr("postroom.vault.outside.PAUSES", (0.0,))
    asked.write_text("")
    with pytest.raises(Locked, match="did not answer"):
        load_outside("busy", str(asked))
    assert asked.read_text() == ".."


async def test_a_room_whose_key_service_is_down_says_try_again(
    package: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T22: exit 75 for what may pass, 78 for what will not; nothing is made, and it opens later."""
    monkeypatch.setattr("postroom.vault.outside.PAUSES", (0.0,))
    db = open_database(data / "room.db", create=True)
    assert (await open_vault(db, "good:alias/x", make=True)).keyring is not None
    for source, status in (("down:x", 75), ("slow:x", 75), ("bad:x", 78), ("short:x", 78)):
        monkeypatch.setattr("postroom.vault.outside.WAIT_SECONDS", 0.5)
        for make in (False, True):
            start = await open_vault(db, source, make=make)
            assert start.locked is not None
            assert start.locked.exit_status == status, start.locked
            assert "hunter2" not in str(start.locked)
    assert (await open_vault(db, "good:alias/x")).keyring is not None
    await db.close()
