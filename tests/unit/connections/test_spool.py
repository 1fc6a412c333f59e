"""Spool files and files written for a person."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from postroom.connections.saving import write_new
from postroom.connections.spool import Spools
from postroom.errors import InvalidValue, RoomError


def test_what_is_written_is_read_and_then_gone(tmp_path: Path) -> None:
    spools = Spools(tmp_path / "deep" / "spool")
    spool = spools(6)
    spool.write(b"abc")
    spool.write(memoryview(b"def"))
    content = spool.finish()
    assert content.size == 6
    assert content.bytes() == b"abcdef"
    with content.open() as file:
        assert file.read(2) == b"ab"
    (path,) = (tmp_path / "deep" / "spool").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    content.discard()
    content.discard()
    assert not path.exists()


def test_a_discarded_spool_leaves_nothing(tmp_path: Path) -> None:
    spools = Spools(tmp_path)
    spool = spools(1)
    spool.write(b"x")
    spool.discard()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    spools = Spools(tmp_path / "spool")
    assert spools.clear() == 0
    spools(1)
    spools(1)
    assert spools.clear() == 2
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_link_in_the_place_of_content_is_not_followed(tmp_path: Path) -> None:
    spool = Spools(tmp_path / "spool")(1)
    content = spool.finish()
    (path,) = (tmp_path / "spool").iterdir()
    path.unlink()
    (tmp_path / "other").write_bytes(b"somebody else's")
    path.symlink_to(tmp_path / "other")
    with pytest.raises(OSError):
        content.open()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    names = [write_new(tmp_path, "a.eml", [b"1", b"2"]).name for _ in range(3)]
    assert names == ["a.eml", "a-2.eml", "a-3.eml"]
    assert write_new(tmp_path, "plain", []).name == "plain"
    assert write_new(tmp_path, "plain", []).name == "plain-2"
    assert (tmp_path / "a.eml").read_bytes() == b"12"
    assert stat.S_IMODE((tmp_path / "a.eml").stat().st_mode) == 0o600


def test_a_link_is_never_written_through(tmp_path: Path) -> None:
    (tmp_path / "a.eml").symlink_to(tmp_path / "target")
    assert write_new(tmp_path, "a.eml", [b"x"]).name == "a-2.eml"
    assert not (tmp_path / "target").exists()


def test_half_a_file_is_removed(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(InvalidValue):
        write_new(tmp_path, "a.eml", pieces())
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InvalidValue, match="nothing can be written to"):
        write_new(tmp_path / "file", "a.eml", [b"x"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def full(path: Path, flags: int, mode: int = 0o777) -> int:
        os.close(real(path, flags, mode))
        return real("/dev/full", os.O_WRONLY)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(RoomError, match="full") as caught:
        write_new(tmp_path, "a.eml", [b"x" * 100_000])
    assert caught.value.code == "room_full"
    assert list(tmp_path.iterdir()) == []
