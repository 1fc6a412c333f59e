"""One contract for the commands that read and change mail: the same on every wire, and refused alike.

Memory, IMAP and POP3 on two servers each, Microsoft 365.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from postroom.connections.mailbox import Mailbox
from postroom.connections.readonly import read_only_store
from postroom.errors import InvalidValue, NotThere, PostroomError, Refused
from postroom.fields import parse
from postroom.jobs.commands import COMMANDS, Command, Result, command_named
from postroom.mail import Draft
from postroom.protocols.base import MessageStore
from postroom.services.outbox import Item
from tests.wire.test_store_contract import Rig, Spooled, rig

__all__ = ["rig"]

ORDER = (
    b"From: Ann <ann@partner.test>\r\nTo: orders@ground.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Date: Mon, 05 Jan 2026 10:00:00 +0000\r\nMessage-ID: <one@partner.test>\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n'
    b"the order\r\n--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; "
    b'filename="../../order.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\n'
)
LATER = (
    b"From: bob@partner.test\r\nTo: orders@ground.test\r\nSubject: two\r\n"
    b"Date: Tue, 06 Jan 2026 10:00:00 +0000\r\nMessage-ID: <two@partner.test>\r\n\r\nhello\r\n"
)


class Bench:
    """A bench over one open store; what only sends is not wanted here."""

    def __init__(self, box: Mailbox, base: Path, message: bytes | None = None) -> None:
        self.base = base
        self.message = message
        self._box = box

    async def box(self, via: str, mailbox: str = "") -> Mailbox:
        return self._box

    async def reads(self, via: str) -> str:
        return f"connection:{via}"

    async def sender(self, via: str, mailbox: str = "") -> str | None:
        raise NotImplementedError

    async def store(
        self, via: str, draft: Draft, *, key: str = "", mailbox: str = "", once_in: float = 0.0
    ) -> str:
        raise NotImplementedError

    async def send(
        self, via: str, draft: Draft, *, wait: float, key: str = "", mailbox: str = "",
        once_in: float = 0.0,
    ) -> Item:  # fmt: skip
        raise NotImplementedError

    async def test(self, name: str) -> Result:
        raise NotImplementedError

    async def afterwards(self, act: Callable[[], Awaitable[None]]) -> None:
        raise NotImplementedError

    async def begin(self, job: str, parameters: Mapping[str, Any]) -> str:
        raise NotImplementedError


class Desk:
    """Commands on the rig's messages, by name, as a job step says them."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    async def __call__(self, name: str, **parameters: Any) -> Result:
        command: Command = parse(command_named(name), {"via": "acme", **parameters})
        given = await command.run(self.bench)
        assert json.loads(json.dumps(given)) == given, "a result is what JSON can hold"
        assert set(given) <= set(type(command).gives), "and what was declared"
        assert command.plan()
        return given


async def opened(rig: Rig) -> MessageStore:
    """The rig's store; INBOX was open for changes before, since Courier numbers it only then."""
    store = await rig.inbox()
    await store.open("INBOX", read_only=True)
    return store


@pytest.fixture
async def do(rig: Rig, tmp_path: Path) -> AsyncIterator[Desk]:
    """Commands on a mailbox with two messages."""
    rig.fill([ORDER, LATER])
    async with Mailbox(await opened(rig), Spooled) as box:
        yield Desk(Bench(box, tmp_path))


def needs(rig: Rig, what: str) -> None:
    if rig.kind == "pop3":
        pytest.skip(f"POP3 has no {what}; that it is refused is tested below")


async def test_listing_and_reading(do: Desk, rig: Rig) -> None:
    listed = await do("list-email")
    assert [one["subject"] for one in listed["items"]] == ["two", "Grüße"]
    assert listed["ids"] == [one["id"] for one in listed["items"]]
    assert listed["count"] == 2
    second = listed["items"][1]
    assert (second["from"], second["address"]) == ("Ann", "ann@partner.test")
    assert second["message_id"] == "<one@partner.test>"
    assert second["received"].endswith("Z")
    assert second["size"] == (len(ORDER) if rig.tells_sizes else None)
    assert (await do("list-email", limit=1))["ids"] == listed["ids"][:1]
    assert (await do("list-email", search="from:ann"))["ids"] == listed["ids"][1:]
    assert (await do("list-email", search="from:nobody")) == {
        "items": [],
        "ids": [],
        "count": 0,
        "next": None,
    }
    read = await do("read-email", id=second["id"], raw=True)
    assert (read["subject"], read["from"]) == ("Grüße", ["Ann <ann@partner.test>"])
    assert read["text"].strip() == "the order"
    assert read["date"] == "2026-01-05T10:00:00Z"
    assert {"name": "Subject", "value": "Grüße"} in read["headers"]
    [attached] = read["attachments"]
    assert (attached["type"], attached["size"]) == ("application/pdf", 5)
    assert base64.b64decode(read["raw"]) == ORDER
    if rig.kind != "pop3":
        assert (await do("list-email", search="seen"))["count"] == 0, "reading leaves it unseen"


async def test_files(do: Desk, tmp_path: Path) -> None:
    ids = (await do("list-email"))["ids"]
    saved = await do("save-email", ids=ids, to="kept")
    assert [Path(path).read_bytes() for path in saved["paths"]] == [LATER, ORDER]
    saved = await do("save-attachments", ids=ids, to="files")
    assert saved["count"] == 1
    assert Path(saved["paths"][0]).parent == tmp_path / "files"
    assert Path(saved["paths"][0]).read_bytes() == b"hello"
    again = await do("save-attachments", ids=ids, to="files")
    assert again["paths"] != saved["paths"], "nothing is overwritten"


async def test_moving_copying_and_flagging(do: Desk, rig: Rig) -> None:
    needs(rig, "folders and flags")
    newest, oldest = (await do("list-email"))["ids"]
    assert await do("flag-email", ids=[oldest], add=["seen", "flagged"]) == {"count": 1}
    assert (await do("list-email", search="seen flagged"))["ids"] == [oldest]
    await do("flag-email", ids=[oldest], remove=["flagged"])
    assert (await do("list-email", search="flagged"))["count"] == 0
    copied = await do("copy-email", ids=[oldest], to="Done", create=True)
    moved = await do("move-email", ids=[newest], to="Done")
    assert (copied["count"], moved["count"]) == (1, 1)
    there = await do("list-email", folder="Done")
    assert {one["subject"] for one in there["items"]} == {"two", "Grüße"}
    for new in (*copied["ids"], *moved["ids"]):
        assert new in there["ids"]
    assert (await do("list-email"))["ids"] == [oldest]
    names = [one["name"] for one in (await do("list-folders"))["items"]]
    assert {"INBOX", "Done"} <= {name.replace("Inbox", "INBOX") for name in names}


async def test_deleting(rig: Rig, tmp_path: Path) -> None:
    rig.fill([ORDER, LATER])
    async with Mailbox(await opened(rig), Spooled) as box:
        do = Desk(Bench(box, tmp_path))
        newest, oldest = (await do("list-email"))["ids"]
        assert await do("delete-email", ids=[newest]) == {"count": 1, "gone": True}
    async with Mailbox(await rig.open(), Spooled) as box:
        left = await Desk(Bench(box, tmp_path))("list-email")
    assert [one["subject"] for one in left["items"]] == ["Grüße"], oldest


FILES = [("save-email", {"to": "out"}), ("save-attachments", {"to": "out"})]
CHANGES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("move-email", {"to": "Done", "create": True}),
    ("copy-email", {"to": "Done", "create": True}),
    ("flag-email", {"add": ["seen"]}),
    ("delete-email", {}),
)


@pytest.mark.parametrize(("name", "more"), [*CHANGES, *FILES])
async def test_one_that_is_not_there_stops_all_of_them(
    do: Desk, rig: Rig, name: str, more: dict[str, Any], tmp_path: Path
) -> None:
    """It is said which, so that the others can be done without it."""
    if name in ("move-email", "copy-email", "flag-email"):
        needs(rig, "folders and flags")
    wrong = "0" * 24
    if rig.kind != "pop3":
        [wrong] = (await do("list-email", limit=1))["ids"]
        await do("delete-email", ids=[wrong])
    before = await do("list-email")
    for strange in (wrong, "no-such"):
        with pytest.raises(NotThere) as caught:
            await do(name, ids=[*before["ids"], strange], **more)
        assert caught.value.facts["ids"] == [strange]
    assert await do("list-email") == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "more"), CHANGES, ids=[name for name, _ in CHANGES])
async def test_what_a_wire_cannot_do_is_refused_before_anything_is_touched(
    do: Desk, rig: Rig, name: str, more: dict[str, Any]
) -> None:
    before = await do("list-email")
    if rig.kind == "pop3" and name != "delete-email":
        with pytest.raises(Refused) as caught:
            await do(name, ids=before["ids"], **more)
        assert caught.value.code == "not_supported"
        with pytest.raises(Refused):
            await do("list-email", folder="Done")
        with pytest.raises(Refused):
            await do("list-email", search="unseen")
    assert await do("list-email") == before


@pytest.mark.parametrize(("name", "more"), CHANGES, ids=[name for name, _ in CHANGES])
async def test_a_read_only_connection_is_changed_by_none(
    rig: Rig, name: str, more: dict[str, Any], tmp_path: Path
) -> None:
    if name in ("move-email", "copy-email", "flag-email"):
        needs(rig, "folders and flags")
    rig.fill([ORDER, LATER])
    async with Mailbox(read_only_store(await opened(rig)), Spooled) as box:
        do = Desk(Bench(box, tmp_path))
        before, folders = await do("list-email"), await do("list-folders")
        with pytest.raises(Refused) as caught:
            await do(name, ids=before["ids"], **more)
        assert caught.value.code == "read_only"
        assert await do("list-email") == before
        assert await do("list-folders") == folders


@pytest.mark.parametrize(("name", "more"), CHANGES, ids=[name for name, _ in CHANGES])
async def test_no_ids_do_nothing(do: Desk, name: str, more: dict[str, Any]) -> None:
    """Also where the wire could not do it: there is nothing to refuse."""
    before = await do("list-email")
    assert (await do(name, ids=[], **more))["count"] == 0
    assert await do("list-email") == before


async def test_without_ids_it_is_the_message_that_started_the_run(do: Desk, tmp_path: Path) -> None:
    for name in ("read-email", "save-email", "save-attachments"):
        with pytest.raises(InvalidValue):
            await do(name)
    do.bench.message = ORDER
    assert (await do("read-email"))["subject"] == "Grüße"
    [path] = (await do("save-email", to="got"))["paths"]
    assert Path(path).read_bytes() == ORDER
    [path] = (await do("save-attachments", to="got"))["paths"]
    assert Path(path).read_bytes() == b"hello"
    with pytest.raises(PostroomError):
        await do("read-email", id="")  # a macro that came to nothing names no other message


@pytest.mark.parametrize("id_", ["0" * 24, "no-such", ""])
async def test_one_that_is_not_there_cannot_be_read(do: Desk, id_: str) -> None:
    with pytest.raises(NotThere) as caught:
        await do("read-email", id=id_)
    assert caught.value.facts["ids"] == [id_]


def test_every_command_that_reads_is_met_here() -> None:
    met = {
        "list-email", "read-email", "save-email", "save-attachments", "move-email", "copy-email",
        "flag-email", "delete-email", "list-folders",
    }  # fmt: skip
    elsewhere = {"send-email", "reply-email", "forward-email", "test-connection", "run-job"}
    assert {one.name for one in COMMANDS} == met | elsewhere
