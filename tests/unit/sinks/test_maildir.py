"""The Maildir sink on a real disk: tmp, new and cur as any mail program reads them."""

from __future__ import annotations

import mailbox
from pathlib import Path

import pytest

from postroom.errors import Refused
from postroom.protocols.content import Held
from postroom.sinks import Item, MaildirSink
from tests.unit.sinks.test_directory import small_disk

__all__ = ["small_disk"]


def item(number: int, content: bytes = b"Subject: x\n\nbody\n", folder: str = "INBOX") -> Item:
    return Item(
        number, folder, f"7-{number}", Held(content), store="0a1b2c3d", received=1_700_000_000.5
    )


def sink(path: Path) -> MaildirSink:
    made = MaildirSink(type="maildir", path=str(path))
    made.prepare()
    return made


def test_a_mail_program_reads_what_was_taken(tmp_path: Path) -> None:
    """Python's own Maildir reader finds every message as new, with its exact bytes."""
    out = sink(tmp_path / "box")
    taken = out.take([item(1, b"Subject: one\r\n\r\n\xff\x00"), item(2, folder="Work/Orders")])
    box = mailbox.Maildir(tmp_path / "box", create=False)
    assert len(box) == 2
    assert all(message.get_subdir() == "new" for message in box)
    assert Path(taken[0].where).read_bytes() == b"Subject: one\r\n\r\n\xff\x00"
    assert list((tmp_path / "box" / "tmp").iterdir()) == []


def test_taking_twice_adds_nothing_even_after_it_was_read(tmp_path: Path) -> None:
    """A message that a mail program has moved to ``cur`` and flagged does not come again."""
    out = sink(tmp_path)
    taken = out.take([item(1), item(2)])
    first = Path(taken[0].where)
    first.rename(tmp_path / "cur" / f"{first.name}:2,S")
    again = out.take([item(1), item(2), item(3)])
    assert [one.ledger for one in again] == [1, 2, 3]
    assert len(list((tmp_path / "cur").iterdir())) == 1
    assert len(list((tmp_path / "new").iterdir())) == 2


@pytest.mark.parametrize("part", ["new", "cur"])
@pytest.mark.parametrize("changed", [b"Subject: x\n\nanother body\n", b"Subject: x\n\nBODY\n"])
def test_a_message_that_was_changed_is_written_beside_what_it_was(
    tmp_path: Path, changed: bytes, part: str
) -> None:
    """``reprocess: when_changed`` takes it again under its old key, longer or as long as it was."""
    out = sink(tmp_path)
    [first] = out.take([item(1)])
    if part == "cur":
        Path(first.where).rename(tmp_path / "cur" / f"{Path(first.where).name}:2,S")
    for _ in range(2):
        [second] = out.take([item(1, changed)])
        assert Path(second.where).read_bytes() == changed
    texts = sorted(message.as_bytes() for message in mailbox.Maildir(tmp_path, create=False))
    assert texts == sorted([b"Subject: x\n\nbody\n", changed])


def test_names_are_those_of_a_maildir(tmp_path: Path) -> None:
    """Time, unique part, host, size; no colon and no slash, whatever the host is called."""
    [taken] = sink(tmp_path).take([item(4)])
    name = Path(taken.where).name
    assert name.startswith("1700000000.L4S0a1b2c3dK7-4.")
    assert name.endswith(",S=17")
    assert ":" not in name


def test_a_link_in_tmp_is_not_written_through(tmp_path: Path) -> None:
    """A link planted under the temporary name is replaced, not followed (T79)."""
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    out = sink(tmp_path / "box")
    [taken] = out.take([item(1)])
    name = Path(taken.where).name
    Path(taken.where).unlink()
    (tmp_path / "box" / "tmp" / name).symlink_to(victim)
    out.take([item(1)])
    assert victim.read_text() == "untouched"
    assert (tmp_path / "box" / "new" / name).read_bytes() == b"Subject: x\n\nbody\n"


@pytest.mark.parametrize("planted", ["ada", "ada/new", "ada/tmp", "ada/cur"])
def test_a_link_in_place_of_a_maildir_is_not_followed(tmp_path: Path, planted: str) -> None:
    """A path of the message's own facts: below the sink's directory no link leads away (T79)."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = tmp_path / "box" / planted
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(elsewhere)
    out = sink(tmp_path / "box")
    refused, taken = out.take([item(1)._replace(below="ada"), item(2)._replace(below="bob")])
    assert "cannot be written" in refused.error
    assert list(elsewhere.iterdir()) == []
    assert Path(taken.where).parent == tmp_path / "box" / "bob" / "new"


def test_messages_of_two_rooms_are_never_taken_for_one(tmp_path: Path) -> None:
    """Their ledgers count alike, and POP3 says neither time nor a number of its own (T79)."""
    out = sink(tmp_path)
    here = item(1, b"one room")._replace(received=None)
    there = here._replace(content=Held(b"the other"), store="99999999")
    taken = out.take([here]) + out.take([there])
    assert [Path(one.where).read_bytes() for one in taken] == [b"one room", b"the other"]


def test_one_message_that_cannot_be_written_does_not_stop_the_others(tmp_path: Path) -> None:
    """A directory in the way of one temporary file: that message fails, the rest is delivered."""
    out = sink(tmp_path)
    [taken] = out.take([item(2)])
    name = Path(taken.where).name
    Path(taken.where).unlink()
    (tmp_path / "tmp" / name).mkdir()
    found = out.take([item(1), item(2), item(3)])
    assert [bool(one.error) for one in found] == [False, True, False]
    assert len(list((tmp_path / "new").iterdir())) == 2


def test_a_full_disk_refuses_for_now_and_loses_nothing(small_disk: Path) -> None:
    """A full disk is temporary, and nothing half written is left in ``tmp``."""
    out = sink(small_disk)
    out.take([item(1, b"x" * 50_000)])
    with pytest.raises(Refused, match="disk is full") as refused:
        out.take([item(2, b"y" * 100_000), item(3, b"z" * 200_000)])
    assert (refused.value.code, refused.value.temporary) == ("room_full", True)
    assert len(list((small_disk / "new").iterdir())) == 1
    assert list((small_disk / "tmp").iterdir()) == []
