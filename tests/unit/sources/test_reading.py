"""From fetched bytes to a sink's item: keys and paths are safe, headers decoded, attachments chosen."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.protocols.content import Held
from postroom.sources.reading import folder_path, header_texts, key_of, open_message
from tests.ground import messages
from tests.unit.sources.definitions import source_of

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-"


@pytest.mark.parametrize("key", ["1-1", "4294967295-4294967295", "0-7"])
def test_a_uid_is_its_own_file_name(key: str) -> None:
    """People find a message's file by its UIDVALIDITY and UID."""
    assert key_of(key) == key


@given(st.text())
def test_a_key_is_a_file_name_whatever_the_server_says(message: str) -> None:
    """A UIDL or an id with slashes, dots or NUL never becomes a path (T79)."""
    key = key_of(message)
    assert set(key) <= set(LETTERS)
    assert 3 <= len(key) <= 41


def test_different_messages_have_different_keys() -> None:
    """24 hexadecimal characters of SHA-256 where there is no uid."""
    assert key_of("../../etc/passwd") == hashlib.sha256(b"../../etc/passwd").hexdigest()[:24]
    assert key_of("1-2 ") != key_of("1-2")
    assert key_of("1-२") != "1-२", "digits of another script are no uid"


@given(st.text(alphabet=st.sampled_from("./\\~ aCON\0\u202e:*é"), max_size=60) | st.text())
def test_a_folder_never_leaves_the_sink(folder: str) -> None:
    """Whatever a server calls its folder, its path stays below the sink's directory (T79)."""
    path = PurePosixPath(folder_path(folder))
    assert not path.is_absolute()
    assert ".." not in path.parts
    assert "\0" not in str(path)
    assert all(len(part.encode()) <= 200 for part in path.parts)


@pytest.mark.parametrize(
    ("folder", "path"),
    [
        ("INBOX", "INBOX"),
        ("Projects/2026/Orders", "Projects/2026/Orders"),
        ("/etc/cron.d", "etc/cron.d"),
        ("../../root", "folder/folder/root"),
        ("a//b/", "a/b"),
        ("Entwürfe", "Entwürfe"),
    ],
)
def test_folders_keep_their_shape(folder: str, path: str) -> None:
    """An ordinary name is what it was; one that would climb is made harmless."""
    assert folder_path(folder) == path


def test_a_folder_of_nothing_but_separators_is_still_below_the_sink() -> None:
    """Two odd names may share a directory; the uid keeps their files apart."""
    assert folder_path("///") in ("", "folder")


def row(message: str = "7-1", folder: str = "INBOX") -> Any:
    return {
        "id": 5,
        "store": "0123456789abcdef",
        "folder": folder,
        "message": message,
        "size": 3,
        "received_at": 12.5,
    }


@pytest.mark.parametrize("kind", messages.KINDS)
def test_every_kind_of_message_becomes_an_item(kind: str) -> None:
    """Whatever a message says, its exact bytes, its digest and its headers are there (T77)."""
    sample = messages.sample(kind)
    opened = open_message(source_of(attachments={"load": True}), row(), Held(sample.raw))
    assert opened.item.content.bytes() == sample.raw
    assert opened.sha256 == hashlib.sha256(sample.raw).digest()
    assert opened.subject == sample.subject
    assert "@partner.example" in opened.sender
    if sample.files:
        assert [one.data for one in opened.item.attachments] == [data for _, data in sample.files]


def test_attachments_have_safe_names_of_their_own() -> None:
    """Two attachments of one hostile name are two files, both in their directory (T79)."""
    part = (
        b"--x\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; "
        b'filename="../../etc/cron.d/evil"\r\n\r\nbody\r\n'
    )
    raw = b"Subject: two\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" + part * 2
    opened = open_message(source_of(attachments={"load": True}), row(), Held(raw + b"--x--\r\n"))
    names = [one.name for one in opened.item.attachments]
    assert len(set(names)) == 2
    assert not any("/" in name or name.startswith(".") for name in names)


def test_attachments_over_the_total_are_left_out_and_the_summary_says_so() -> None:
    """The message is delivered all the same; the reason stands in its summary."""
    sample = messages.sample("attachments")
    source = source_of(attachments={"load": True, "max_total": "10"})
    opened = open_message(source, row(), Held(sample.raw))
    assert opened.item.attachments == ()
    assert "the limit is 10" in str(opened.item.summary()["notes"])


def test_nothing_is_taken_apart_unless_asked() -> None:
    """Attachments are loaded only by a source that says so."""
    opened = open_message(source_of(), row(), Held(messages.sample("attachments").raw))
    assert opened.item.attachments == ()
    assert opened.item.summary()["attachments"] == []


@given(st.binary(max_size=3000))
def test_no_header_block_is_too_odd_to_read(block: bytes) -> None:
    """Scanning never raises, and no text is longer than a line may be (T77)."""
    texts = header_texts(block)
    assert set(texts) == {"from", "subject", "message-id", "date"}
    assert all(len(text) <= 998 for text in texts.values())


@given(st.binary(max_size=3000))
def test_no_message_is_too_odd_to_open(raw: bytes) -> None:
    """Opening never raises for what a message says (T77, T83)."""
    opened = open_message(source_of(attachments={"load": True}), row(), Held(raw))
    assert opened.item.content.bytes() == raw
