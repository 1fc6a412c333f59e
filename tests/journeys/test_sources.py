"""Collecting over a real Dovecot: what is collected, what becomes of it, when, and who is told."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room
from postroom.clock import monotonic
from postroom.errors import InvalidValue, Refused, SignInError
from postroom.secret import Secret
from postroom.sources import source as settings_of_sources
from postroom.worker import Worker
from tests.ground import Ground, messages
from tests.journeys.conftest import connect
from tests.journeys.incoming import Incoming, letter, soon


@pytest.fixture
async def box(room: Room, ground: Ground, tmp_path: Path) -> Incoming:
    user = ground.user()
    await connect(room, ground, user)
    return Incoming(room, ground, user, tmp_path / "orders")


# ------------------------------------------------------------------ from when on


async def test_start_new_leaves_what_is_there(box: Incoming) -> None:
    """``start: new``: only what comes after the first look."""
    box.fill(letter("old-1"), letter("old-2"))
    await box.source(start="new")
    assert (await box.run()).delivered == 0
    box.fill(letter("new-1"))
    assert (await box.run()).delivered == 1
    assert box.subjects() == ["new-1"]


async def test_start_since_a_date(box: Incoming) -> None:
    """``start: {since: DATE}``: what was received on that day or later; the rest is recorded."""
    box.fill(letter("last-year"), letter("that-day"), letter("today"))
    box.received("last-year", dt.datetime(2025, 12, 31, 23, 59, tzinfo=dt.UTC).timestamp())
    box.received("that-day", dt.datetime(2026, 1, 1, 0, 1, tzinfo=dt.UTC).timestamp())
    await box.source(start={"since": "2026-01-01"})
    await box.run()
    assert box.subjects() == ["that-day", "today"]
    assert box.counts() == {"done": 2, "ignored": 1}


# ------------------------------------------------------------------ what happens afterwards


async def test_folders_are_made_and_used(box: Incoming) -> None:
    """Done, failed and ignored messages go where the source says; folders are made (DESIGN 4.3)."""
    box.fill(letter("one"), letter("spam"), letter("stuck"))
    await box.source("peek", sink={"type": "directory", "path": str(box.sink / "peek")})
    await box.run("peek")
    names = dict(zip(box.subjects(box.sink / "peek"), box.files(box.sink / "peek"), strict=True))
    in_the_way = box.sink / "INBOX" / names["stuck"].name
    in_the_way.mkdir(parents=True)
    await box.source(
        folders={"done": "Done/2026", "error": "Error", "ignored": "Ignored"},
        ignore={"subject": {"deny": ["^spam"]}},
    )
    tally = await box.run()
    assert (tally.delivered, tally.failed, tally.ignored) == (1, 1, 1)
    assert box.there() == []
    assert box.there("Done/2026") == ["one"]
    assert box.there("Error") == ["stuck"]
    assert box.there("Ignored") == ["spam"]
    assert box.counts() == {"done": 1, "failed": 1, "ignored": 1}
    in_the_way.rmdir()
    assert (await box.run()).delivered == 0, "nothing comes again by itself"


@pytest.mark.parametrize(
    ("action", "there", "flags"),
    [
        ("keep", ["one"], [""]),
        ("seen", ["one"], ["S"]),
        ("flag", ["one"], ["F"]),
        ("delete", [], []),
    ],
)
async def test_after_actions(
    box: Incoming, action: str, there: list[str], flags: list[str]
) -> None:
    """Collecting itself never sets \\Seen; afterwards exactly what was asked for is done."""
    box.fill(letter("one"))
    await box.source(after={"done": action})
    assert (await box.run()).delivered == 1
    assert (box.there(), box.flags()) == (there, flags)
    assert (await box.run()).delivered == 0


async def test_a_copy_stays_in_both_folders(box: Incoming) -> None:
    """``after: {done: copy}`` leaves the original."""
    box.fill(letter("one"))
    await box.source(folders={"done": "Archive"}, after={"done": "copy"})
    await box.run()
    await box.run()
    assert box.there() == box.there("Archive") == ["one"]


async def test_only_our_messages_are_deleted(box: Incoming) -> None:
    """What came meanwhile, or was flagged as deleted by somebody else, stays (UID EXPUNGE)."""
    box.ground.dovecot.fill(box.user, [letter("theirs")], flags="T")
    box.fill(letter("ours"))
    await box.source(after={"done": "delete"}, ignore={"subject": {"deny": ["theirs"]}})
    await box.run()
    assert box.there() == ["theirs"]


# ------------------------------------------------------------------ which messages


async def test_deny_and_allow(box: Incoming) -> None:
    """Deny first, then allow, on decoded From and Subject; what is ignored is recorded with why."""
    box.fill(
        letter("order 1"),
        letter("order 2", sender="spam@partner.example"),
        letter("newsletter"),
        letter("order 3", sender="eve@elsewhere.example"),
    )
    await box.source(
        ignore={
            "from": {"deny": ["^.*<spam@"], "allow": ["@partner\\.example>?$"]},
            "subject": {"allow": ["^ORDER"]},
        }
    )
    await box.run()
    assert box.subjects() == ["order 1"]
    found = await box.room.ledger.list("orders-in", states=["ignored"])
    reasons = {one.subject: one.reason for one in found}
    assert "deny rule" in reasons["order 2"]
    assert "Subject matches no allow rule" in reasons["newsletter"]
    assert "From matches no allow rule" in reasons["order 3"]


async def test_attachments_are_loaded_within_limits(box: Incoming) -> None:
    """Decoded beside the message, by type; over the total none is, and the summary says so."""
    sample = messages.sample("attachments", 1, largest=20_000)
    large = messages.sample("attachments", 2, largest=4_000_000)
    box.fill(sample.raw, large.raw)
    await box.source(
        attachments={"load": True, "max_total": "60KiB", "types": {"deny": [{"type": "image/.*"}]}},
        sink={"type": "directory", "path": str(box.sink), "summary": True},
    )
    await box.run()
    first, second = box.files()
    loaded = {p.name: p.read_bytes() for p in first.with_suffix(".attachments").iterdir()}
    assert loaded == {name: data for name, data in sample.files if not name.endswith(".png")}
    assert not second.with_suffix(".attachments").exists()
    summary = json.loads(second.with_suffix(".json").read_text())
    assert any("limit is 60KiB" in note for note in summary["notes"])
    assert summary["subject"] == large.subject


async def test_a_larger_message_is_held_and_can_be_released(box: Incoming) -> None:
    """Over ``max_size``: recorded with the reason, never dropped; released, it is delivered."""
    box.fill(letter("small"), letter("large-1", size=30_000), letter("large-2", size=30_000))
    await box.source(max_size="10KiB", folders={"done": "Done"})
    tally = await box.run()
    assert (tally.delivered, tally.held) == (1, 2)
    held = await box.room.ledger.list("orders-in", states=["held"])
    assert "too large" in held[0].reason
    assert await box.room.ledger.release("orders-in", [held[0].id]) == 1
    await box.run()
    assert box.there() == ["large-1"]
    assert box.there("Done") == ["small", "large-2"]
    assert box.counts() == {"done": 2, "held": 1}


async def test_clearance_holds_everything_until_released(box: Incoming) -> None:
    """``clearance: true``: new messages wait for a person."""
    box.fill(letter("one"), letter("two"))
    await box.source(clearance=True)
    assert (await box.run()).held == 2
    assert not box.sink.exists() or box.files() == []
    assert await box.room.ledger.release("orders-in") == 2
    assert (await box.run()).delivered == 2


async def test_reset_collects_again(box: Incoming) -> None:
    """Processing again writes the same files: the sink takes a message twice as the same."""
    box.fill(letter("one"), letter("two"))
    await box.source()
    await box.run()
    before = {path: path.read_bytes() for path in box.files()}
    assert await box.room.ledger.reset("orders-in") == 2
    assert (await box.run()).delivered == 2
    assert {path: path.read_bytes() for path in box.files()} == before


async def test_two_sources_on_one_folder(box: Incoming, tmp_path: Path) -> None:
    """Both collect everything; only one of them may change the messages on the server."""
    box.fill(letter("one"), letter("two"))
    await box.source()
    await box.source("copy", sink={"type": "directory", "path": str(tmp_path / "copy")})
    assert (await box.run()).delivered == (await box.run("copy")).delivered == 2
    assert box.subjects() == box.subjects(tmp_path / "copy") == ["one", "two"]
    await box.room.sources.set("orders-in", {"after": {"done": "delete"}})
    with pytest.raises(InvalidValue, match="orders-in already changes"):
        await box.room.sources.set("copy", {"after": {"done": "seen"}})
    box.fill(letter("three"))
    assert (await box.run()).delivered == 1
    assert box.there() == ["one", "two"], "an after-action is for what was collected since"
    assert (await box.run("copy")).delivered == 0


async def test_a_maildir_takes_it_too(box: Incoming, tmp_path: Path) -> None:
    """The other sink, with the same promise: once each."""
    sent = list(messages.mixed(12, seed=3, largest=20_000))
    box.fill(*sent)
    await box.source(sink={"type": "maildir", "path": str(tmp_path / "box")})
    await box.run()
    await box.room.ledger.reset("orders-in")
    await box.run()
    found = sorted(path.read_bytes() for path in (tmp_path / "box" / "new").iterdir())
    normal = [one.replace(b"\r\n", b"\n") for one in found]
    assert sorted(normal) == sorted(one.replace(b"\r\n", b"\n") for one in sent)


# ------------------------------------------------------------------ when


async def test_a_message_is_collected_while_watching(box: Incoming) -> None:
    """IDLE: delivered within three seconds of its arrival, message after message."""
    await box.source()
    async with box.watching():
        await soon(lambda: box.state() == "listening")
        for number in range(3):
            box.fill(letter(f"m{number}"))
            await soon(lambda n=number: len(box.files()) == n + 1, seconds=3.0)  # type: ignore[misc]
    assert box.counts() == {"done": 3}
    assert box.row()["owner"] is None, "the claim was given back"


async def test_an_operator_wakes_a_watcher(box: Incoming) -> None:
    """A message released while the source is watched is delivered at once, not with the next one."""
    box.fill(letter("one"))
    await box.source(clearance=True)
    async with box.watching():
        await soon(lambda: box.state() == "listening")
        await box.room.ledger.release("orders-in")
        await soon(lambda: len(box.files()) == 1, seconds=3.0)


async def test_polling_where_the_server_cannot_push(
    room: Room, ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No IDLE: the same watch polls instead."""
    monkeypatch.setattr(settings_of_sources, "PUSH_POLL", 0.2)
    user = ground.user()
    await connect(room, ground, user, port=str(ground.dovecot.bare.imaps))
    box = Incoming(room, ground, user, tmp_path / "orders")
    await box.source()
    async with box.watching():
        box.fill(letter("one"))
        await soon(lambda: len(box.files()) == 1)
        assert box.state() != "listening"


async def test_a_fixed_rate(box: Incoming) -> None:
    """``{every: 1s}``: what comes is there with one of the next looks, which keep their distance."""
    await box.source(schedule={"every": "1s"})
    async with box.watching():
        for number in range(2):
            box.fill(letter(f"m{number}"))
            await soon(lambda n=number: len(box.files()) == n + 1, seconds=15.0)  # type: ignore[misc]
            assert box.state() != "listening", "this server could push; nobody asked it to"
        before, begun = box.row()["successes"], monotonic()
        await soon(lambda: box.row()["successes"] >= before + 3, seconds=15.0)
        assert monotonic() - begun > 1.9
    assert box.counts() == {"done": 2}


async def test_a_throttle_spreads_the_messages(box: Incoming) -> None:
    """At most so many in that time; the rest waits its turn, without new mail having to come."""
    box.fill(*(letter(f"m{n}") for n in range(6)))
    await box.source(throttle={"max": 2, "per": "second"})
    begun = monotonic()
    tally = await box.run()
    # two at once, and one more with each half second that a busy machine took for them
    assert tally.delivered <= 2 + 2 * (monotonic() - begun)
    assert tally.throttled_for > 0
    assert box.counts()["pending"] == 6 - tally.delivered
    async with box.watching():
        await soon(lambda: box.counts() == {"done": 6})
    assert monotonic() - begun > 1.9  # four of them had to wait for half a second each
    await asyncio.sleep(0.6)
    assert (await box.run()).throttled_for == 0, "nothing waits, so nothing is throttled"


async def test_a_running_worker_heeds_changed_settings(box: Incoming, tmp_path: Path) -> None:
    """Whoever changes a source need not restart the worker."""
    await box.source()
    worker = asyncio.create_task(Worker(box.room).run())
    try:
        await soon(lambda: box.state() == "listening")
        other = {"type": "directory", "path": str(tmp_path / "other")}
        await box.room.sources.set("orders-in", {"sink": other})
        await soon(lambda: box.row()["epoch"] >= 2 and box.state() == "listening", seconds=5.0)
        box.fill(letter("one"))
        await soon(lambda: (tmp_path / "other" / "INBOX").exists())
        assert not box.sink.exists() or box.files() == []
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    assert box.row()["owner"] is None


async def test_a_source_that_is_watched_is_asked_to_look(box: Incoming) -> None:
    """``source run`` beside a living owner asks that one; it never collects twice at once."""
    await box.source(schedule={"every": "1h"})
    async with box.watching():
        box.fill(letter("one"))
        assert await box.room.collecting.run("orders-in") is None
        await soon(lambda: len(box.files()) == 1)


# ------------------------------------------------------------------ what goes wrong


async def test_a_wrong_password_is_said_on_the_source(box: Incoming) -> None:
    """The state and a sentence; the next try waits, since every try counts towards a lock."""
    await box.room.credentials.set("acme-login", {"password": Secret("wrong")})
    await box.source()
    with pytest.raises(SignInError):
        await box.run()
    status = (await box.room.sources.show("orders-in"))["status"]
    assert status["state"] == "failed"
    assert "sign-in" in status["note"] or "password" in status["note"]
    wait = box.row()["due_at"] - dt.datetime.now(dt.UTC).timestamp()
    assert wait > 600
    await box.room.credentials.set("acme-login", {"password": Secret(box.user.password)})
    box.fill(letter("one"))
    assert (await box.run()).delivered == 1
    assert (box.row()["state"], box.row()["note"]) == ("idle", "")


async def test_a_missing_input_folder_is_said(box: Incoming) -> None:
    """Named in the error and on the source."""
    await box.source(folders={"input": "No/Such"})
    with pytest.raises(Exception, match="No/Such"):
        await box.run()
    assert "No/Such" in box.row()["note"]


async def test_a_source_that_cannot_be_used_says_so(box: Incoming) -> None:
    """A variable that is gone: the worker says it on the source and goes on with the others."""
    await box.room.variables.set("FOLDER", "INBOX")
    await box.source(folders={"input": "${FOLDER}"})
    await box.room.desk.db.write(lambda tx: tx.execute("DELETE FROM variables"))
    worker = asyncio.create_task(Worker(box.room).run())
    try:
        await soon(lambda: box.state() == "failed")
        assert "FOLDER" in box.row()["note"]
        assert box.row()["owner"] is None
        box.fill(letter("one"))
        await box.room.variables.set("FOLDER", "INBOX")
        await box.room.sources.set("orders-in", {"description": "mended"})
        await soon(lambda: len(box.files()) == 1)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


async def test_a_sink_that_takes_nothing_loses_nothing(box: Incoming) -> None:
    """A place that cannot be written: nothing is blamed on the messages, they wait."""
    box.fill(*(letter(f"m{n}") for n in range(3)))
    await box.source()
    box.sink.parent.mkdir(exist_ok=True)
    box.sink.mkdir()
    (box.sink / "INBOX").write_text("a file in the way")
    for _ in range(4):
        with pytest.raises(Refused, match="INBOX is a file, not a directory"):
            await box.run()
    assert box.counts() == {"pending": 3}
    (box.sink / "INBOX").unlink()
    assert (await box.run()).delivered == 3


@pytest.mark.parametrize("start", ["all", "new"])
async def test_a_new_uidvalidity_replays_no_history(box: Incoming, start: Any) -> None:
    """The server numbers the folder anew: what was collected does not come again (F12)."""
    box.fill(letter("old-1"), letter("old-2"))
    box.received("old-1", 1_600_000_000)
    box.received("old-2", 1_600_000_000)
    await box.source(start=start)
    await box.run()
    box.fill(letter("new-1"), letter("new-2"))
    await box.run()
    before = box.counts()
    names = box.files()
    box.renumber()
    assert (await box.run()).delivered == 0
    assert box.files() == names
    box.fill(letter("new-3"))
    assert (await box.run()).delivered == 1
    assert sum(box.counts().values()) >= sum(before.values()) + 1
    assert box.subjects()[-1] == "new-3"


async def test_a_new_uidvalidity_leaves_nothing_stuck(box: Incoming) -> None:
    """What was held or reset under old numbers cannot be asked for; it neither blocks nor is lost."""
    box.fill(letter("small"), letter("large", size=30_000))
    await box.source(max_size="10KiB")
    await box.run()
    box.renumber()
    await box.run()
    assert box.counts() == {"done": 2, "held": 1, "vanished": 1}
    assert await box.room.ledger.release("orders-in") == 1
    assert (await box.run()).delivered == 1
    assert sorted(box.subjects()) == ["large", "small"]
    await box.room.ledger.reset("orders-in")
    assert (await box.run()).delivered == 2
    assert box.counts() == {"done": 2, "vanished": 2}


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
async def test_another_mailbox_is_collected_from_its_start(box: Incoming, protocol: str) -> None:
    """What was known of the old one is not asked for in the new one: it would be other messages."""
    port = getattr(box.ground.dovecot, f"{protocol}s")
    incoming = {"protocol": protocol, "port": str(port)}
    await box.room.connections.set("acme", {"incoming": incoming}, rebind=True)
    box.fill(letter("theirs-1"), letter("theirs-2"))
    await box.source(clearance=True)
    await box.run()
    await box.room.ledger.release("orders-in")
    other = box.ground.user()
    login = {"user_name": other.address, "password": Secret(other.password)}
    await box.room.credentials.set("acme-login", login)
    box.ground.dovecot.fill(other, [letter("ours-1"), letter("ours-2"), letter("ours-3")])
    assert (await box.run()).held == 3
    assert box.counts() == {"held": 3, "vanished": 2}
    await box.room.ledger.release("orders-in")
    assert (await box.run()).delivered == 3
    found = sorted(path.read_bytes() for path in (box.sink / "INBOX").iterdir())
    assert [one.count(b"ours-") > 0 for one in found] == [True] * 3


async def test_pop3_cannot_move(box: Incoming) -> None:
    """What the protocol cannot do is refused before anything is touched, with what it can."""
    await box.room.connections.set(
        "acme", {"incoming": {"protocol": "pop3", "port": str(box.ground.dovecot.pop3s)}}
    )
    box.fill(letter("one"))
    with pytest.raises(Refused, match="keep or delete"):
        await box.source(folders={"done": "Done"})
    await box.source()
    text = "UPDATE sources SET body = json_set(body, '$.after', json('{\"done\": \"seen\"}'))"
    await box.room.desk.db.write(lambda tx: tx.execute(text))  # past the check of saving
    with pytest.raises(Refused, match="keep or delete"):
        await box.run()
    assert box.counts() == {}


@pytest.mark.parametrize("same", [False, True])
async def test_a_mailbox_by_another_name_is_said_to_be_the_same(box: Incoming, same: bool) -> None:
    """DESIGN 4.3: equal messages in another mailbox are lost to nobody, unless it is the same one."""
    box.fill(letter("one"), letter("two"))
    await box.source()
    assert (await box.run()).delivered == 2
    changes = {"incoming": {"host": "localhost"}}
    await box.room.connections.set("acme", changes, rebind=True, same_mailbox=same)
    assert (await box.run()).delivered == (0 if same else 2)


async def test_another_mailbox_of_the_same_numbers_overwrites_nothing(box: Incoming) -> None:
    """The server moved, and its messages have the uids of others: both are kept (T79)."""
    box.fill(letter("one"))
    await box.source()
    await box.run()
    (there,) = (path for part in ("new", "cur") for path in (box.user.maildir / part).iterdir())
    there.write_bytes(there.read_bytes().replace(b"one", b"two"))
    for index in box.user.maildir.glob("dovecot.index*"):
        index.unlink()
    changes = {"incoming": {"host": "localhost"}}
    await box.room.connections.set("acme", changes, rebind=True, same_mailbox=False)
    assert (await box.run()).delivered == 1
    entries = await box.room.ledger.list("orders-in")
    texts = {Path(entry.delivered_to).read_bytes().split(b"Subject: ")[1][:3] for entry in entries}
    assert texts == {b"one", b"two"}
    assert len({entry.delivered_to for entry in entries}) == 2


@pytest.mark.parametrize(
    "path", ["orders", "alias", "orders/../orders", "orders/INBOX", "${mail:subject}", "."]
)
async def test_two_mailboxes_do_not_share_a_directory(box: Incoming, path: str) -> None:
    """By whatever path it is reached, a link or a directory inside or above included (T79)."""
    (box.sink.parent / "alias").symlink_to(box.sink)
    await box.source()
    sink = {"type": "directory", "path": f"{box.sink.parent}/{path}"}
    with pytest.raises(InvalidValue, match="a directory of its own"):
        await box.source("other", folders={"input": "Work"}, sink=sink)
    apart = {"type": "directory", "path": f"{box.sink}-2"}
    await box.source("other", folders={"input": "Work"}, sink=apart)
