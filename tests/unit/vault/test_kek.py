"""Where the key comes from: what is taken, and what is refused with a reason."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from postroom.errors import InvalidValue, Locked
from postroom.secret import Secret
from postroom.vault import load_kek, make_key_file
from postroom.vault.kek import default_source
from postroom.vault.passphrase import Argon2

KEY = bytes(range(32))
B64 = base64.b64encode(KEY).decode()
ROOT = os.geteuid() == 0


def write(path: Path, data: bytes | str, mode: int = 0o600) -> Path:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    path.chmod(mode)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def test_a_key_file_is_made_private_and_once(tmp_path: Path, data: Path) -> None:
    path = tmp_path / "config" / "room.key"
    made = make_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_kek(f"file:{path}", data_dir=data).id == made.id
    assert len(made.id) == 16
    with pytest.raises(FileExistsError):
        make_key_file(path)
    assert [one.name for one in path.parent.iterdir()] == ["room.key"]


@pytest.mark.parametrize(
    "text", [B64, B64 + "\n", KEY.hex(), KEY.hex().upper() + "\n", f"# a comment\n{B64}\n"]
)
def test_base64_and_hex_with_comments_and_a_last_newline(
    tmp_path: Path, data: Path, text: str
) -> None:
    """T16: what is fine stays fine."""
    assert load_kek(f"file:{write(tmp_path / 'k', text)}", data_dir=data).key == Secret(KEY)


BAD_TEXTS = {
    "31 bytes": base64.b64encode(KEY[:31]),
    "33 bytes": base64.b64encode(KEY + b"x"),
    "31 bytes in hex": KEY[:31].hex().encode(),
    "33 bytes in hex": (KEY + b"x").hex().encode(),
    "byte order mark": b"\xef\xbb\xbf" + B64.encode(),
    "UTF-16": b"\xff\xfe" + B64.encode("utf-16-le"),
    "empty": b"",
    "two keys": f"{B64}\n{B64}\n".encode(),
    "raw bytes": bytes(range(128, 160)),
    "a password": b"hunter2",
    "long": b"#" * 5000,
}


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_a_file_without_a_key_is_refused(tmp_path: Path, data: Path, name: str) -> None:
    """T16: with a reason, and without a word of what is in it."""
    path = write(tmp_path / "k", BAD_TEXTS[name])
    with pytest.raises(Locked) as caught:
        load_kek(f"file:{path}", data_dir=data)
    assert caught.value.code == "key_unsafe"
    assert caught.value.exit_status == 78
    assert str(path) in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o700])
def test_a_loose_file_is_refused(tmp_path: Path, data: Path, mode: int) -> None:
    """T16: looser than 0600."""
    path = write(tmp_path / "k", B64, mode)
    with pytest.raises(Locked, match=f"{mode:04o}") as caught:
        load_kek(f"file:{path}", data_dir=data)
    assert caught.value.hint.endswith(f"chmod 600 {path}")


def test_links_pipes_directories_and_the_data_directory_are_refused(
    tmp_path: Path, data: Path
) -> None:
    """T16: a FIFO is refused and not waited for."""
    good = write(tmp_path / "k", B64)
    link = tmp_path / "link"
    link.symlink_to(good)
    os.mkfifo(tmp_path / "pipe", 0o600)
    write(data / "k", B64)
    (tmp_path / "way-in").symlink_to(data)
    for path, why in (
        (link, "symbolic link"), (tmp_path / "pipe", "ordinary file"), (data, "data directory"),
        (tmp_path / "way-in", "data directory"), (tmp_path, "ordinary file"),
        (data / "k", "data directory"), (tmp_path / "way-in" / "k", "data directory"),
        (data / ".." / "data" / "k", "data directory"),
    ):  # fmt: skip
        with pytest.raises(Locked, match=why) as caught:
            load_kek(f"file:{path}", data_dir=data)
        assert caught.value.code == "key_unsafe"


@pytest.mark.skipif(not ROOT, reason="giving a file away needs root")
def test_a_file_of_somebody_else_is_refused(tmp_path: Path, data: Path) -> None:
    """T16: other owner."""
    path = write(tmp_path / "k", B64)
    os.chown(path, 65534, 65534)
    with pytest.raises(Locked, match="another user"):
        load_kek(f"file:{path}", data_dir=data)


def test_a_missing_file_is_named(tmp_path: Path, data: Path) -> None:
    with pytest.raises(Locked, match="There is no key file at") as caught:
        load_kek(f"file:{tmp_path / 'none'}", data_dir=data)
    assert caught.value.code == "key_missing"


def test_a_mounted_key_may_be_a_link_but_not_on_an_ordinary_disk(
    tmp_path: Path, data: Path
) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir():
        pytest.skip("no tmpfs at /dev/shm")
    key = write(memory / f"postroom-test-{os.getpid()}", B64, 0o444)
    try:
        link = tmp_path / "link"
        link.symlink_to(key)
        assert load_kek(f"mounted:{link}", data_dir=data).key == Secret(KEY)
        key.chmod(0o666)
        with pytest.raises(Locked, match="written by others"):
            load_kek(f"mounted:{link}", data_dir=data)
    finally:
        key.unlink()
    disk = write(tmp_path / "k", B64)
    on_disk = os.statvfs(disk).f_flag & os.ST_RDONLY == 0
    if on_disk and os.stat(disk).st_dev != os.stat(memory).st_dev:
        with pytest.raises(Locked, match="ordinary writable disk"):
            load_kek(f"mounted:{disk}", data_dir=data)


def test_a_key_in_the_environment_comes_with_a_warning(data: Path) -> None:
    kek = load_kek("env:ROOM_KEY", data_dir=data, environ={"ROOM_KEY": B64})
    assert kek.key == Secret(KEY)
    assert "ROOM_KEY" in kek.warning
    with pytest.raises(Locked, match="not set"):
        load_kek("env:ROOM_KEY", data_dir=data, environ={})


@pytest.mark.parametrize("source", ["", "file:", "env:", "vault:x", "/etc/key", "mounted"])
def test_other_sources_are_refused(source: str, data: Path) -> None:
    with pytest.raises(InvalidValue, match="give file:PATH"):
        load_kek(source, data_dir=data)


def test_a_passphrase_is_asked_for_or_read(tmp_path: Path, data: Path) -> None:
    argon2, phrase = Argon2.new(), "correct horse battery"
    asked: list[str] = []

    def ask(question: str) -> Secret:
        asked.append(question)
        return Secret(phrase)

    by_person = load_kek("passphrase:", data_dir=data, ask=ask, argon2=argon2, environ={})
    environ = {"POSTROOM_PASSPHRASE": phrase}
    by_variable = load_kek("passphrase:", data_dir=data, argon2=argon2, environ=environ)
    file = write(tmp_path / "phrase", phrase + "\n")
    by_file = load_kek(f"passphrase:{file}", data_dir=data, argon2=argon2, environ={})
    assert len(asked) == 1
    assert by_person.id == by_variable.id == by_file.id
    with pytest.raises(Locked, match="nobody is here"):
        load_kek("passphrase:", data_dir=data, argon2=argon2, environ={})
    with pytest.raises(Locked, match="shorter than 12"):
        load_kek("passphrase:", data_dir=data, argon2=argon2,
                 environ={"POSTROOM_PASSPHRASE": "hunter2"})  # fmt: skip


def test_a_passphrase_typed_on_another_keyboard_is_the_same() -> None:
    argon2 = Argon2.new()
    assert argon2.derive(Secret("Zoe\u0308 and friends")) == argon2.derive(
        Secret("Zo\u00eb and friends")
    )


@pytest.mark.parametrize("text", [
    '{"salt": "AAAAAAAAAAAAAAAAAAAAAA==", "m": 8, "t": 3, "p": 4}',
    '{"salt": "AAAAAAAAAAAAAAAAAAAAAA==", "m": 65535, "t": 3, "p": 4}',
    '{"salt": "AAAAAAAAAAAAAAAAAAAAAA==", "m": 65536, "t": 2, "p": 4}',
    '{"salt": "AAAA", "m": 65536, "t": 3, "p": 4}',
    '{"salt": "AAAAAAAAAAAAAAAAAAAAAA==", "m": 99999999, "t": 3, "p": 4}',
    '{"salt": "AAAAAAAAAAAAAAAAAAAAAA==", "m": 65536, "t": 9999, "p": 4}',
    "{}", "", "null",
])  # fmt: skip
def test_weak_parameters_in_the_database_are_refused(text: str) -> None:
    """T24: the floor is in the code; a row cannot lower it."""
    with pytest.raises(Locked) as caught:
        Argon2.from_text(text)
    assert caught.value.code == "key_unsafe"


def test_parameters_are_read_back() -> None:
    made = Argon2.new()
    assert Argon2.from_text(made.to_text()) == made
    assert (made.memory, made.passes) == (65536, 3)


def test_the_default_place_is_in_the_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Root's is the system's, unless XDG_CONFIG_HOME says where: a container's volume, say."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "/data/config")
    assert default_source("abc") == "file:/data/config/postroom/keys/abc.key"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    own = "/etc" if ROOT else str(tmp_path / ".config")
    assert default_source("abc") == f"file:{own}/postroom/keys/abc.key"
