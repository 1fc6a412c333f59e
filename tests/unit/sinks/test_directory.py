"""The directory sink on a real disk: exact bytes, whole files, safe names, nothing lost."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.connections.spool import Spools
from postroom.errors import Refused
from postroom.mail.filenames import safe_name
from postroom.protocols.base import Content
from postroom.protocols.content import Held
from postroom.sinks import Delivery, DirectorySink, Item, MaildirSink
from postroom.sinks.base import Attachment
from postroom.sources.reading import folder_path
from tests.child import Child

HOSTILE = [
    "../../etc/cron.d/x",
    "C:\\x",
    "/abs",
    "a\0b",
    "CON",
    "n" * 4000,
    "ü" * 2000,
    "invoice\u202efdp.exe",
    "..",
    ".",
    "",
    "-rf",
    ".bashrc",
    "a\nb",
    "name.part",
]
"""Names of folders and attachments that strangers choose (T79)."""


def item(
    number: int,
    content: bytes | Content = b"Subject: x\r\n\r\nbody\r\n",
    *,
    folder: str = "INBOX",
    attachments: Sequence[tuple[str, bytes]] = (),
    store: str = "0a1b2c3d",
) -> Item:
    return Item(
        ledger=number,
        folder=folder,
        key=f"7-{number}",
        content=Held(content) if isinstance(content, bytes) else content,
        store=store,
        attachments=tuple(Attachment(name, data) for name, data in attachments),
        summary=lambda: {"subject": "Grüße"},
    )


def sink(path: Path, *, summary: bool = False) -> DirectorySink:
    made = DirectorySink(type="directory", path=str(path), summary=summary)
    made.prepare()
    return made


def every_file(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def test_exact_bytes_under_the_name_of_the_uid(tmp_path: Path) -> None:
    """One file a message, ``FOLDER/UIDVALIDITY-UID.eml``, byte for byte, for its owner only."""
    odd = b"Subject: odd\n\r\n\x00\xff bare\rcr and\nlf \r\n.\r\nno end"
    taken = sink(tmp_path / "a" / "b").take([item(1, odd), item(2, b"", folder="Work/Orders")])
    first = tmp_path / "a/b/INBOX/7-1.eml"
    assert taken == [
        Delivery(1, str(first)),
        Delivery(2, str(tmp_path / "a/b/Work/Orders/7-2.eml")),
    ]
    assert first.read_bytes() == odd
    assert first.stat().st_mode & 0o777 == 0o600
    assert Path(taken[1].where).read_bytes() == b""


def test_a_spooled_message_is_copied_whole(tmp_path: Path) -> None:
    """A large message goes from its spool file to the sink without a byte missing."""
    data = os.urandom(1_500_000)
    spool = Spools(tmp_path / "spool")(len(data))
    spool.write(data)
    [taken] = sink(tmp_path / "out").take([item(1, spool.finish())])
    assert Path(taken.where).read_bytes() == data


def test_taking_twice_is_the_same(tmp_path: Path) -> None:
    """At least once on the wire, one file on the disk: a repeat finds the same there."""
    out, messages = (
        sink(tmp_path, summary=True),
        [item(n, attachments=[("a.pdf", b"%PDF")]) for n in (1, 2)],
    )
    first = out.take(messages)
    files = every_file(tmp_path)
    assert out.take(messages) == first
    assert every_file(tmp_path) == files
    assert len(files) == 6


def test_another_message_of_the_same_name_replaces_nothing(tmp_path: Path) -> None:
    """Another mailbox's message, as after a move to another server: both stay, whole (T79)."""
    out = sink(tmp_path, summary=True)
    first = item(1, b"from the old mailbox", attachments=[("a.pdf", b"%PDF old")])
    second = item(1, b"from the new mailbox", attachments=[("a.pdf", b"%PDF")], store="99999999")
    third = item(1, b"other bytes once more", store="99999999")
    out.take([first])
    moved = out.take([second, item(2)])
    assert [Path(one.where).name for one in moved] == ["7-1~99999999.eml", "7-2.eml"]
    [counted] = out.take([third])
    inbox = tmp_path / "INBOX"
    assert {str(path.relative_to(inbox)): path.read_bytes() for path in inbox.rglob("*.[ep]*")} == {
        "7-1.eml": b"from the old mailbox",
        "7-1.attachments/a.pdf": b"%PDF old",
        "7-1~99999999.eml": b"from the new mailbox",
        "7-1~99999999.attachments/a.pdf": b"%PDF",
        "7-1~99999999-2.eml": b"other bytes once more",
        "7-2.eml": b"Subject: x\r\n\r\nbody\r\n",
    }
    assert counted.where == str(inbox / "7-1~99999999-2.eml")
    files = every_file(tmp_path)
    assert len([name for name in files if name.endswith(".json")]) == 4
    assert out.take([second, item(2)]) == moved, "taking it again gives the same file"
    assert every_file(tmp_path) == files


def test_what_lies_beside_a_message_is_not_replaced_either(tmp_path: Path) -> None:
    """Somebody took the message away and left its attachments: they stay what they were (T79)."""
    out = sink(tmp_path)
    [first] = out.take([item(1, attachments=[("a.pdf", b"%PDF old")])])
    Path(first.where).unlink()
    [second] = out.take([item(1, b"other", attachments=[("a.pdf", b"%PDF")], store="99999999")])
    assert (tmp_path / "INBOX/7-1.attachments/a.pdf").read_bytes() == b"%PDF old"
    assert Path(second.where).name == "7-1~99999999.eml"


def test_a_collision_leaves_no_empty_directory(tmp_path: Path) -> None:
    """The attachments of the second message are not announced beside the first."""
    out = sink(tmp_path)
    out.take([item(1)])
    out.take([item(1, b"other", attachments=[("a.pdf", b"%PDF")], store="99999999")])
    assert not (tmp_path / "INBOX/7-1.attachments").exists()


def test_without_hard_links_nothing_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAT has no hard links and answers EPERM: messages are taken there all the same (T79)."""

    def refuse(*names: object, **places: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    out = sink(tmp_path)
    out.take([item(1, b"first")])
    out.take([item(1, b"first"), item(2)])
    out.take([item(1, b"second", store="99999999")])
    assert every_file(tmp_path) == [f"INBOX/7-{n}.eml" for n in ("1", "1~99999999", "2")]
    assert (tmp_path / "INBOX/7-1.eml").read_bytes() == b"first"


def test_attachments_and_the_summary_lie_beside_the_message(tmp_path: Path) -> None:
    """``UID.attachments/NAME`` and ``UID.json``, if asked for."""
    out = sink(tmp_path, summary=True)
    out.take([item(1, attachments=[("invoice.pdf", b"%PDF"), ("ü.csv", b"a;b")])])
    beside = tmp_path / "INBOX" / "7-1.attachments"
    assert {path.name: path.read_bytes() for path in beside.iterdir()} == {
        "invoice.pdf": b"%PDF",
        "ü.csv": b"a;b",
    }
    summary = json.loads((tmp_path / "INBOX" / "7-1.json").read_text("utf-8"))
    assert summary == {"v": 1, "subject": "Grüße"}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_inside(tmp_path: Path, name: str) -> None:
    """No name of a folder or an attachment leaves the sink's directory (T79)."""
    out = sink(tmp_path / "sink")
    attached = (safe_name(name, fallback="attachment-1"), b"data")
    [taken] = out.take([item(1, folder=folder_path(name), attachments=[attached])])
    assert not taken.error
    assert Path(taken.where).resolve().is_relative_to(tmp_path / "sink")
    assert [path for path in every_file(tmp_path) if not path.startswith("sink/")] == []
    assert len(every_file(tmp_path / "sink")) == 2


@settings(max_examples=40)
@given(folder=st.text(max_size=80), name=st.text(max_size=80))
def test_no_name_leaves_the_sink(
    tmp_path_factory: pytest.TempPathFactory, folder: str, name: str
) -> None:
    """The same for any name there is (T79)."""
    root = tmp_path_factory.mktemp("names")
    attached = (safe_name(name, fallback="attachment-1"), b"data")
    [taken] = sink(root / "sink").take(
        [item(1, folder=folder_path(folder), attachments=[attached])]
    )
    assert not taken.error
    assert len(every_file(root / "sink")) == len(every_file(root)) == 2


def test_a_link_in_place_of_a_file_is_not_written_through(tmp_path: Path) -> None:
    """A link planted under a message's name, or its temporary name, is not written through (T79)."""
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    folder = tmp_path / "sink" / "INBOX"
    folder.mkdir(parents=True)
    (folder / "7-1.eml").symlink_to(victim)
    (folder / ".7-1.eml~0a1b2c3d.part").symlink_to(victim)
    [taken] = sink(tmp_path / "sink").take([item(1, b"message")])
    assert victim.read_text() == "untouched"
    assert not Path(taken.where).is_symlink()
    assert Path(taken.where).read_bytes() == b"message"


def test_a_link_in_place_of_an_attachment_directory_is_not_followed(tmp_path: Path) -> None:
    """That one message fails; the others of its batch are delivered (T79)."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "sink" / "INBOX").mkdir(parents=True)
    (tmp_path / "sink" / "INBOX" / "7-1.attachments").symlink_to(elsewhere)
    taken = sink(tmp_path / "sink").take([item(1, attachments=[("x", b"evil")]), item(2)])
    assert list(elsewhere.iterdir()) == []
    assert [bool(one.error) for one in taken] == [True, False]


def test_a_link_in_place_of_a_folder_is_not_followed(tmp_path: Path) -> None:
    """The sink's own directory may be a link; below it nothing is (T79)."""
    elsewhere, real = tmp_path / "elsewhere", tmp_path / "real"
    elsewhere.mkdir()
    real.mkdir()
    (real / "INBOX").symlink_to(elsewhere)
    (tmp_path / "sink").symlink_to(real)
    with pytest.raises(Refused) as refused:
        sink(tmp_path / "sink").take([item(1)])
    assert refused.value.temporary, "the message waits until somebody has looked"
    assert list(elsewhere.iterdir()) == []
    [taken] = sink(tmp_path / "sink").take([item(1, folder="Other")])
    assert (real / "Other" / "7-1.eml").exists()
    assert not taken.error


def test_a_path_of_its_own_that_cannot_be_made_stops_one_message(tmp_path: Path) -> None:
    """F13: a file where the directory of one sender should be; the rest of the batch is delivered."""
    (tmp_path / "eve@evil.example").write_text("in the way")
    items = [item(n)._replace(below="eve@evil.example" if n == 7 else "ada") for n in range(20)]
    taken = sink(tmp_path).take(items)
    assert [one.ledger for one in taken if one.error] == [7]
    assert "Not a directory" in taken[7].error
    assert [one.ledger for one in taken] == list(range(20))
    assert len([path for path in every_file(tmp_path) if path.endswith(".eml")]) == 19


def test_a_folder_that_cannot_be_made_is_no_fault_of_a_message(tmp_path: Path) -> None:
    """F13: a file where the mailbox's own folder should be stops the source, and says so."""
    (tmp_path / "INBOX").write_text("in the way")
    with pytest.raises(Refused, match="INBOX is a file, not a directory") as refused:
        sink(tmp_path).take([item(1), item(2)])
    assert not refused.value.temporary


def test_one_message_that_cannot_be_written_does_not_stop_the_others(tmp_path: Path) -> None:
    """A directory in the way of one file: that message fails, the rest is delivered."""
    in_the_way = tmp_path / "INBOX" / "7-3.eml"
    in_the_way.mkdir(parents=True)
    (in_the_way / "keep").touch()
    before = len(list(Path("/proc/self/fd").iterdir()))
    taken = sink(tmp_path).take([item(n) for n in range(1, 6)])
    assert [one.ledger for one in taken] == [1, 2, 3, 4, 5]
    assert [bool(one.error) for one in taken] == [False, False, True, False, False]
    assert "cannot be written" in taken[2].error
    assert every_file(tmp_path) == [f"INBOX/7-{n}.eml" for n in (1, 2)] + ["INBOX/7-3.eml/keep"] + [
        f"INBOX/7-{n}.eml" for n in (4, 5)
    ]
    assert len(list(Path("/proc/self/fd").iterdir())) == before, "every file was closed, and once"


def test_a_large_batch_needs_few_open_files(tmp_path: Path) -> None:
    """500 messages with summaries and attachments fit into the usual limit of 1,024 open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        messages = [item(n, attachments=[("a", b"1"), ("b", b"2")]) for n in range(1, 501)]
        taken = sink(tmp_path, summary=True).take(messages)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(taken) == 500
    assert len(every_file(tmp_path)) == 2000


def test_a_place_that_cannot_be_written_is_said_with_its_path(tmp_path: Path) -> None:
    """A file where the directory should be: Refused, and waiting does not help."""
    (tmp_path / "sink").write_text("a file")
    with pytest.raises(Refused, match="sink is a file, not a directory") as refused:
        sink(tmp_path / "sink")
    assert not refused.value.temporary
    assert refused.value.hint


@pytest.mark.parametrize("kind", ["directory", "maildir"])
@pytest.mark.parametrize("what", ["fdatasync", "fsync"])
def test_what_the_disk_did_not_keep_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, what: str
) -> None:
    """F4: EIO of a file's sync, and of a directory's.  Nothing is left of it, and the next try does not
    ask for the same sync once more, which the kernel might call a success."""
    made = DirectorySink if kind == "directory" else MaildirSink
    out: Any = made.model_validate({"type": kind, "path": str(tmp_path / "sink")})
    out.prepare()
    taken = [item(1), item(2, attachments=[("a.txt", b"a")])]

    def fails(file: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as broken:
        broken.setattr(os, what, fails)
        with pytest.raises(Refused, match="Input/output error") as refused:
            out.take(taken)
    assert refused.value.temporary
    assert every_file(tmp_path / "sink") == []
    assert [one.error for one in out.take(taken)] == ["", ""]
    assert len(every_file(tmp_path / "sink")) >= 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(path)], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("only root may mount a small file system")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_a_full_disk_refuses_for_now_and_loses_nothing(small_disk: Path) -> None:
    """A full disk is temporary: what was there stays whole, no half file, and room heals it."""
    out = sink(small_disk)
    out.take([item(1, b"x" * 50_000)])
    with pytest.raises(Refused, match="disk is full") as refused:
        out.take([item(2, b"y" * 100_000), item(3, b"z" * 200_000)])
    assert (refused.value.code, refused.value.temporary) == ("room_full", True)
    assert every_file(small_disk) == ["INBOX/7-1.eml"]
    (small_disk / "INBOX" / "7-1.eml").unlink()
    taken = out.take([item(2, b"y" * 100_000)])
    assert Path(taken[0].where).read_bytes() == b"y" * 100_000


WRITER = """
import sys
from postroom.protocols.content import Held
from postroom.sinks import DirectorySink, Item, MaildirSink
kind = {"directory": DirectorySink, "maildir": MaildirSink}[sys.argv[1]]
sink = kind(type=sys.argv[1], path=sys.argv[2])
sink.prepare()
print("ready", flush=True)
body = bytes(range(256)) * 400
for start in range(1, 100_000, 25):
    sink.take([Item(n, "INBOX", f"7-{n}", Held(body)) for n in range(start, start + 25)])
"""


@pytest.mark.parametrize("kind", ["directory", "maildir"])
def test_a_killed_writer_leaves_no_half_file(tmp_path: Path, kind: str) -> None:
    """kill -9 at any moment: every file under a final name is whole (nothing lost, T77)."""
    whole = bytes(range(256)) * 400
    there = "INBOX/[!.]*" if kind == "directory" else "new/*"
    seen = 0
    for round_ in range(5):
        root = tmp_path / str(round_)
        with Child("-c", WRITER, kind, str(root)) as writer:
            writer.line()
            time.sleep(0.03 + 0.023 * round_)
            while round_ == 4 and not any(
                root.glob(there)
            ):  # on a busy machine the others see none
                time.sleep(0.005)
        final = list(root.glob(there))
        assert all(path.read_bytes() == whole for path in final)
        seen += len(final)
    assert seen, "the rounds were too short to show anything"
