"""The verbs of the incoming side, over Dovecot by IMAP and by POP3."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from postroom.connections.mailbox import Mailbox
from postroom.connections.spool import Spools
from postroom.errors import FolderError, InvalidValue, NotThere, PostroomError, Refused
from postroom.protocols.base import Limits
from tests.ground import Ground, User
from tests.unit.connections.rooms import SmallRoom


def _message(day: int, subject: str, sender: str, body: str) -> bytes:
    return (
        f"From: {sender}\r\nTo: orders@ground.test\r\nSubject: {subject}\r\n"
        f"Date: Mon, {day} Jan 2026 10:00:00 +0000\r\nMessage-ID: <{day}@ground.test>\r\n"
        f"\r\n{body}\r\n"
    ).encode()


MESSAGES = [
    _message(5, "one", "bob@ground.test", "hello"),
    _message(6, "=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "alice@ground.test", "hello again"),
    _message(7, "three", "bob@ground.test", "the invoice " + "x" * 1_200_000),
]
WITH_ATTACHMENT = (
    b"From: a@ground.test\r\nSubject: files\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\ntext\r\n"
    b"--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; "
    b'filename="../../etc/passwd"\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\n'
)

Open = Callable[..., Awaitable[Mailbox]]


@pytest.fixture
def open_box(room: SmallRoom, ground: Ground, fresh_user: User, tmp_path: Path) -> Open:
    """Opens the user's mailbox by a protocol."""

    async def opened(protocol: str, messages: list[bytes] | None = None, **fields: Any) -> Mailbox:
        if messages:
            ground.dovecot.fill(fresh_user, messages)
        await room.password("login", fresh_user.address, fresh_user.password)
        port = ground.dovecot.imap if protocol == "imap" else ground.dovecot.pop3
        side = {
            "protocol": protocol, "host": "127.0.0.1", "port": port, "security": "none",
            "auth": {"type": "secret", "credential": "login"}, **fields,
        }  # fmt: skip
        await room.connect("acme", incoming=side)
        store = await room.opener.open_store("acme")
        return Mailbox(store, Spools(tmp_path / "spool"))

    return opened


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
async def test_looking(open_box: Open, protocol: str, tmp_path: Path) -> None:
    async with await open_box(protocol, MESSAGES) as box:
        assert "INBOX" in {folder.name for folder in await box.folders()}
        listed = await box.list()
        assert [b"three" in each.headers for each in listed] == [True, False, False]
        assert [each.id for each in await box.list(limit=1)] == [listed[0].id]
        message = await box.read_message(listed[1].id)
        assert message.subject == "Grüße"
        content = await box.read(listed[0].id)
        assert content.bytes() == MESSAGES[2]
        content.discard()
        paths = await box.save([each.id for each in listed], tmp_path / "out")
        assert [path.read_bytes() for path in paths] == MESSAGES[::-1]
        assert not any("seen" in each.flags for each in await box.list())
    assert not list(tmp_path.glob("spool/*")), "no spool file is left"


SEARCHES = [
    ("all", [2, 1, 0]),
    ("from:alice", [1]),
    ("subject:Grüße", [1]),
    ("subject:grüße from:bob", []),
    ("text:invoice", [2]),
    ("from:bob text:invoice", [2]),
    ("text:nowhere", []),
]


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
async def test_searching(open_box: Open, protocol: str) -> None:
    async with await open_box(protocol, MESSAGES) as box:
        ids = [each.id for each in await box.list()][::-1]
        for text, expected in SEARCHES:
            found = [each.id for each in await box.search(text)]
            assert found == [ids[index] for index in expected], text
        assert [each.id for each in await box.search("all", limit=1)] == [ids[2]]
        with pytest.raises(InvalidValue):
            await box.search("unread")


async def test_changing_by_imap(open_box: Open) -> None:
    async with await open_box("imap", MESSAGES) as box:
        newest, middle, oldest = (each.id for each in await box.list())
        await box.flag([middle], add=["seen", "flagged"])
        assert [each.id for each in await box.search("seen flagged")] == [middle]
        await box.flag([middle], remove=["flagged"])
        assert await box.search("flagged") == []
        moved = await box.move([newest], "Done/2026", create=True)
        assert [each.id for each in await box.list("Done/2026")] == [moved[newest]]
        await box.copy([middle], "Done/2026")
        assert len(await box.list("Done/2026")) == 2
        assert (await box.delete([oldest])).gone
        assert [each.id for each in await box.list()] == [middle]


async def test_deleting_by_pop3_happens_at_the_end(open_box: Open) -> None:
    async with await open_box("pop3", MESSAGES) as box:
        newest = (await box.list())[0].id
        assert (await box.delete([newest])).count == 1
    async with await open_box("pop3") as box:
        assert newest not in {each.id for each in await box.list()}
        assert len(await box.list()) == 2


async def _refused(verb: Awaitable[Any]) -> str:
    with pytest.raises(Refused) as caught:
        await verb
    return caught.value.code


async def test_what_pop3_cannot_do_is_refused_first(open_box: Open) -> None:
    async with await open_box("pop3", MESSAGES) as box:
        ids = [each.id for each in await box.list()]
        for verb in (
            box.move(ids, "Done"), box.copy(ids, "Done"), box.flag(ids, add=["seen"]),
            box.search("unseen"), box.list("Archive"), box.delete(ids, "Archive"),
        ):  # fmt: skip
            assert await _refused(verb) == "not_supported"
        assert len(await box.list()) == 3


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
async def test_a_read_only_connection_changes_nothing(open_box: Open, protocol: str) -> None:
    async with await open_box(protocol, MESSAGES, read_only=True) as box:
        ids = [each.id for each in await box.list()]
        assert await _refused(box.delete(ids)) == "read_only"
        if protocol == "imap":
            assert await _refused(box.move(ids, "Done", create=True)) == "read_only"
            assert await _refused(box.flag(ids, add=["seen"])) == "read_only"
            assert "Done" not in {folder.name for folder in await box.folders()}
        assert len(await box.list()) == 3


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
async def test_a_missing_message_stops_the_whole_verb(open_box: Open, protocol: str) -> None:
    async with await open_box(protocol, MESSAGES) as box:
        there = (await box.list())[0].id
        gone = there.rpartition("-")[0] + "-99" if "-" in there else "nothing"
        with pytest.raises(NotThere):
            await box.read(gone)
        with pytest.raises(NotThere, match="No longer in INBOX"):
            await box.delete([there, gone])
        assert len(await box.list()) == 3


async def test_odd_requests_are_sentences(open_box: Open) -> None:
    async with await open_box("imap", MESSAGES) as box:
        with pytest.raises(FolderError):
            await box.list("Nowhere")
        for flag in ("a b", "\\Seen", "x\r\nX1 LOGOUT", "ä", ""):
            with pytest.raises(PostroomError):
                await box.flag([(await box.list())[0].id], add=[flag])


async def test_attachments_get_safe_names(open_box: Open, tmp_path: Path) -> None:
    async with await open_box("imap", [WITH_ATTACHMENT]) as box:
        (only,) = await box.list()
        (path,) = await box.save_attachments(only.id, tmp_path / "files")
        assert path.parent == tmp_path / "files"
        assert path.read_bytes() == b"hello"


async def test_large_messages_go_through_the_spool(open_box: Open, tmp_path: Path) -> None:
    async with await open_box("imap", MESSAGES) as box:
        assert len(MESSAGES[2]) > Limits().in_memory
        content = await box.read((await box.list())[0].id)
        assert len(list((tmp_path / "spool").iterdir())) == 1
        content.discard()
        assert not any((tmp_path / "spool").iterdir())
