"""The file of a backup: any tar reads it, and no byte of it can be changed unseen."""

from __future__ import annotations

import hashlib
import hmac
import io
import stat
import tarfile
from pathlib import Path

import pytest

from postroom.errors import Refused
from postroom.operations.backup.archive import Archive, _header, write_archive
from postroom.operations.backup.manifest import Manifest, Proof, check_lines, proven

DATABASE = bytes(range(256)) * 5 + b"the end"  # no whole number of blocks
AT = 1_800_000_000


def mac(data: bytes) -> bytes:
    return hmac.digest(b"k" * 32, data, "sha256")


def other(data: bytes) -> bytes:
    return hmac.digest(b"o" * 32, data, "sha256")


def manifest(size: int, sha256: str) -> Manifest:
    return Manifest(
        room="a1", epoch=1, schema=1, release="0.1.0", created_at="2027-01-15T08:00:00Z",
        host="h\u00f6st", path="/srv/room", keks=["k1"], vault_keys=["v1"], size=size,
        sha256=sha256, tables={"audit": 3}, heads={"s1": (3, "ab")},
    )  # fmt: skip


def describe(size: int, sha256: str) -> tuple[bytes, bytes]:
    text = manifest(size, sha256).to_bytes()
    return text, check_lines(text, mac)


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    database = tmp_path / "room.db"
    database.write_bytes(DATABASE)
    write_archive(tmp_path / "backup.tar", database, describe, at=AT)
    return tmp_path / "backup.tar"


def check(path: Path, *, key: bool) -> Proof:
    """As ``backup verify`` does it; raises Refused."""
    with Archive(path) as archive:
        proof = proven(archive.manifest, archive.check, mac if key else None)
        told = Manifest.parse(archive.manifest)
        if (archive.size, archive.database()) != (told.size, told.sha256):
            raise Refused("another database", code="backup_damaged")
        return proof


def test_it_gives_back_what_was_put_in(backup: Path, tmp_path: Path) -> None:
    with Archive(backup) as archive:
        assert archive.database(tmp_path / "copy") == hashlib.sha256(DATABASE).hexdigest()
        assert Manifest.parse(archive.manifest) == manifest(
            len(DATABASE), hashlib.sha256(DATABASE).hexdigest()
        )
    assert (tmp_path / "copy").read_bytes() == DATABASE
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o600
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert (check(backup, key=True), check(backup, key=False)) == ("key", "hash")


def test_an_ordinary_tar_reads_it(backup: Path) -> None:
    with tarfile.open(backup, "r:") as tar:
        members = tar.getmembers()
        assert [one.name for one in members] == ["room.db", "manifest.json", "manifest.check"]
        assert all(one.isreg() and one.mode == 0o600 and one.mtime == AT for one in members)
        read = tar.extractfile("room.db")
        assert read is not None
        assert read.read() == DATABASE


@pytest.mark.parametrize("size", [0, 8**11 - 1, 8**11, 1 << 40])
def test_the_header_of_a_file_of_any_size_is_an_ordinary_one(size: int) -> None:
    found = tarfile.TarInfo.frombuf(_header("room.db", size, AT), "utf-8", "strict")
    assert (found.name, found.size, found.mtime, found.type) == ("room.db", size, AT, b"0")


def test_t95_a_change_of_any_byte_shows_with_the_key_and_without(backup: Path) -> None:
    """T95: a backup that was tampered with is detected: every single byte of it."""
    whole = backup.read_bytes()
    unseen = []
    for at in range(len(whole)):
        backup.write_bytes(whole[:at] + bytes((whole[at] ^ 0x20,)) + whole[at + 1 :])
        for key in (True, False):
            try:
                check(backup, key=key)
            except Refused as error:
                assert error.code == "backup_damaged"  # noqa: PT017  # the byte matters, not the call
            else:
                unseen.append((at, key))
    # without the key nobody can tell whether the code itself is right: it is 64 digits near the end
    code = whole.index(b"hmac-sha256 ") + len(b"hmac-sha256 ")
    assert {at for at, key in unseen if key} == set()
    assert {at for at, _ in unseen} <= set(range(code, code + 65))


def test_t95_only_the_key_can_make_a_manifest(backup: Path, tmp_path: Path) -> None:
    """T95: another database with a manifest that fits it, but without the room's key."""
    database = tmp_path / "evil.db"
    database.write_bytes(DATABASE.replace(b"the end", b"THE END"))

    def forged(size: int, sha256: str) -> tuple[bytes, bytes]:
        text = manifest(size, sha256).to_bytes()
        return text, check_lines(text, other)

    write_archive(tmp_path / "forged.tar", database, forged, at=AT)
    assert check(tmp_path / "forged.tar", key=False) == "hash"
    with pytest.raises(Refused, match="holder of the room's key"):
        check(tmp_path / "forged.tar", key=True)


def test_a_file_cut_anywhere_or_with_something_behind_it_is_none(backup: Path) -> None:
    whole = backup.read_bytes()
    for length in range(0, len(whole), 97):
        backup.write_bytes(whole[:length])
        with pytest.raises(Refused, match="no whole and untouched backup"):
            check(backup, key=False)
    backup.write_bytes(whole + b"\0")
    with pytest.raises(Refused, match="does not end"):
        check(backup, key=True)


def test_a_tar_of_other_things_is_none(tmp_path: Path) -> None:
    path = tmp_path / "other.tar"
    with tarfile.open(path, "w") as tar:
        for name, size in (("room.db", 10), ("../../etc/passwd", 10), ("manifest.json", 0)):
            one = tarfile.TarInfo(name)
            one.size = size
            tar.addfile(one, io.BytesIO(b"x" * size))
    with pytest.raises(Refused):
        Archive(path)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"postroom_backup": 1}',
        b"\xff",
        b"[" * 100_000,
        manifest(1, "ab").to_bytes().replace(b'"room": "a1"', b'"room": 7'),
        manifest(1, "ab").to_bytes().replace(b'"room": "a1"', b'"rooom": "a1"'),
        manifest(1, "ab").to_bytes().replace(b'"name": "room.db"', b'"name": "/etc/passwd"'),
    ],
)
def test_a_manifest_that_is_none_is_one_sentence(text: bytes) -> None:
    with pytest.raises(Refused) as caught:
        Manifest.parse(text)
    assert caught.value.code == "backup_damaged"


def test_a_later_format_says_so() -> None:
    text = manifest(1, "ab").to_bytes().replace(b'"postroom_backup": 1', b'"postroom_backup": 2')
    with pytest.raises(Refused, match="format 2; this release reads 1"):
        Manifest.parse(text)
