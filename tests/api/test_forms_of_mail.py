"""What is done with sources, services, jobs and the outbox by their pages, one after the other in a room."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from postroom.clock import timestamp
from postroom.mail import Draft
from tests.api.reader import Reader
from tests.journeys.conftest import connect
from tests.web.mailroom import letter

if TYPE_CHECKING:
    from postroom.app import Room
    from postroom.db import Tx
    from tests.ground import Ground, User


@pytest.fixture
async def user(room: Room, ground: Ground) -> User:
    """Whose mailbox the connection ``acme`` is to."""
    user = ground.user()
    await connect(room, ground, user)
    return user


async def last(room: Room, noun: str, name: str | None = None) -> str:
    """What was done last to a record of a kind, as the audit record has it."""
    return str((await room.audit.list(noun=noun, name=name, limit=1))[0]["action"])


async def test_a_source_is_copied_its_held_mail_released_and_what_was_done_collected_again(
    reader: Reader, room: Room, ground: Ground, user: User, tmp_path: Path
) -> None:
    sink = {"type": "directory", "path": str(tmp_path / "orders")}
    wanted = {"name": "orders", "connection": "acme", "clearance": True, "sink": sink}
    await room.sources.add(wanted)
    ground.dovecot.fill(user, [letter("Order 17"), letter("Order 18")])

    async def collected() -> dict[str, int]:
        await reader.go("/sources/orders")
        await reader.press("Collect now")
        await reader.watched()
        return {state: n for state, n in (await room.ledger.counts("orders")).items() if n}

    assert await collected() == {"held": 2}
    await reader.go("/sources/orders")
    await reader.press("Release all that are held")
    assert "Released: 2." in reader.text
    assert "Release all that are held" not in reader.labels()
    assert await last(room, "source") == "release"
    assert await collected() == {"done": 2}

    for one in (tmp_path / "orders").rglob("*.eml"):
        one.unlink()
    await reader.go("/sources/orders")
    await reader.press("Process again…")
    await reader.press("Process them again")
    assert "Choose what to process again." in reader.text
    await reader.press("Process them again", state=True)
    assert "To be processed again: 2." in reader.text
    assert await last(room, "source") == "reset"
    assert "pending 2" in reader.text
    again = await collected()
    if "held" in again:  # a person lets through what is processed anew as well
        await reader.go("/sources/orders")
        await reader.press("Release all that are held")
        again = await collected()
    assert again == {"done": 2}
    assert len(list((tmp_path / "orders").rglob("*.eml"))) == 2

    await reader.go("/sources/orders")
    await reader.press("Copy", Name_of_the_new_one="second")
    assert reader.path == "/sources/second"
    assert "Made second with the same settings." in reader.text
    first, copied = [await room.sources.show(name) for name in ("orders", "second")]
    assert {**first, "name": 0, "status": 0} == {**copied, "name": 0, "status": 0}
    assert "It remembers no message yet." in reader.text


async def test_mail_of_a_service_is_deferred_tried_again_held_and_let_go(
    reader: Reader, room: Room, ground: Ground, user: User
) -> None:
    """The server says not now: the page says when it is tried next, and tries when it is told to."""
    await room.services.add({"name": "out", "connection": "acme", "retry": {"min": "1h"}})

    async def store(to: str, subject: str) -> str:
        draft = Draft(from_=None, to=[to], subject=subject, text="x")
        return await room.email.store("out", draft)

    late = await store("retry@ground.test", "Late")
    await drained(room)
    await reader.go("/outbox?state=deferred")
    assert "next try" in reader.text
    await reader.press("Late")
    assert "It could not be handed over yet." in reader.text
    assert "The next try is" in reader.text
    await reader.press("Try again now")
    assert "It is tried again." in reader.text
    assert (await room.outbox.show(late)).state == "queued"
    assert await last(room, "outbox", late) == "retry"
    await drained(room)
    assert [one["attempt"] for one in await room.outbox.attempts(late)] == [1, 2]
    await reader.go(f"/outbox/{late}")
    await reader.press("Cancel…")
    await reader.press("Cancel it")
    assert (await room.outbox.show(late)).state == "cancelled"

    waits = [await store("a@ground.test", f"Wait {number}") for number in range(2)]
    for item in waits:
        await reader.go(f"/outbox/{item}")
        await reader.press("Hold")
    await reader.go("/outbox?state=held&service=out")
    await reader.press("Release all that are held")
    assert "Let go: 2." in reader.text
    assert [(await room.outbox.show(one)).state for one in waits] == ["queued", "queued"]
    for item in waits:
        await reader.go(f"/outbox/{item}")
        await reader.press("Hold")
    await reader.go("/outbox?state=held")
    await reader.press("Cancel all that are held")
    assert "Cancelled: 2." in reader.text
    assert [(await room.outbox.show(one)).state for one in waits] == ["cancelled", "cancelled"]
    assert await last(room, "outbox") == "cancel"

    await reader.go("/services/out")
    await reader.press("Edit")
    await reader.press("Save", Description="Orders to customers")
    assert "Saved." in reader.text
    assert (await room.services.show("out"))["description"] == "Orders to customers"
    await reader.press("Hold")
    assert "It goes on storing messages and sends none" in reader.text
    held = await store(user.address, "Later")
    assert await drained(room) == 0
    await reader.press("Release")
    assert "It sends again." in reader.text
    assert await drained(room) == 1
    assert (await room.outbox.show(held)).state == "sent"
    assert await last(room, "service") == "release"


async def drained(room: Room) -> int:
    """Send what is due; gives how many were sent."""
    return (await room.email.dispatch(["out"])).sent


async def test_what_failed_and_what_is_in_doubt_needs_a_person_and_is_settled_at_once(
    reader: Reader, room: Room, ground: Ground, user: User
) -> None:
    """A refused one, and one whose process died on the wire: the page says what each means."""
    await room.services.add({"name": "out", "connection": "acme"})
    items = []
    for to in ("unknown@ground.test", user.address):
        draft = Draft(from_=None, to=[to], subject=f"To {to[:7]}", text="x")
        items.append(await room.email.store("out", draft))
    gone = "UPDATE outbox SET state = 'submitting', owner = 'gone', epoch = 1 WHERE id = :id"
    await room.desk.db.write(lambda tx: tx.execute(gone, id=items[1]))
    await drained(room)
    await reader.go(f"/outbox/{items[1]}")
    assert "it may have arrived, or not" in reader.text
    assert {"Try again now", "Cancel…", "It is dealt with"} <= set(reader.labels())
    await reader.go("/")
    assert "Not sent: 2 messages of service out" in reader.text
    await reader.press(next(one for one in reader.labels() if one.startswith("See and settle")))
    await reader.go("/outbox?unsettled=yes&service=out")
    assert "2 of them failed or in doubt and not settled" in reader.text
    await reader.press("Say that all of them are dealt with")
    assert "Settled: 2." in reader.text
    settled = [(await room.outbox.show(one)).settled for one in items]
    assert [one.by for one in settled if one is not None] == ["user:root"] * 2
    await reader.go("/")
    assert "Not sent" not in reader.text

    await reader.go(f"/outbox/{items[1]}")
    await reader.press("Try again now")
    assert "It is tried again." in reader.text
    await drained(room)
    assert (await room.outbox.show(items[1])).state == "sent"


async def test_a_job_is_held_let_go_and_deleted_though_a_run_of_it_waits(
    reader: Reader, room: Room, ground: Ground, user: User
) -> None:
    steps = [{"list-email": {"via": "acme"}}]
    await room.jobs.add({"name": "tidy", "steps": steps})
    await reader.go("/jobs/tidy")
    await reader.press("Hold")
    await reader.press("Run")
    assert reader.status == 422
    await reader.press("Release")
    assert "Its runs begin again." in reader.text
    assert await last(room, "job") == "release"
    await reader.press("Run")
    assert reader.path.startswith("/runs/")
    run = reader.path.rpartition("/")[2]
    await reader.go("/jobs/tidy")
    await reader.press("Delete")
    assert "1 waiting run" in reader.text or "1 queued run" in reader.text
    await reader.press("Delete it")
    assert reader.status == 422, reader.text
    assert len(await room.jobs.list()) == 1
    await reader.press("Delete it", force=True)
    assert "Deleted the job tidy." in reader.text
    assert await room.jobs.list() == []
    assert (await room.runs.show(run)).state == "cancelled"
    assert await last(room, "job") == "delete"


async def test_what_waits_for_somebody_is_not_said_to_be_tried_again(
    reader: Reader, room: Room, user: User
) -> None:
    """An hour behind its time; and who may have a message already is said before it is cancelled."""
    await room.services.add({"name": "orders-out", "connection": "acme"})
    draft = Draft(from_=None, to=["a@ground.test"], subject="Wait", text="x")
    item = await room.email.store("orders-out", draft)

    def late(tx: Tx) -> None:
        tx.execute(
            "UPDATE outbox SET state = 'deferred', attempts = 1, reason = 'later', due_at = :at",
            at=timestamp() - 3600,
        )

    def in_doubt(tx: Tx) -> None:
        tx.execute("UPDATE outbox_recipients SET state = 'ambiguous'")
        tx.execute("UPDATE outbox SET state = 'ambiguous', finished_at = 1")

    await room.desk.db.write(late)
    await reader.go("/")
    assert "waits: it is held, or no worker runs" in reader.text
    await room.desk.db.write(in_doubt)
    await reader.go(f"/outbox/{item}/cancel")
    assert "It may have arrived already: a@ground.test." in reader.text
    assert "Nobody has it yet" not in reader.text


async def test_what_was_written_is_not_lost_with_the_message_that_it_answers(
    reader: Reader, room: Room, ground: Ground, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postroom.web.letters.SECONDS", 0.0)
    ground.dovecot.fill(user, [letter("Order 17", f"Ada <{user.address}>")])
    (found,) = (await room.commands.run("list-email", {"via": "acme"}))["items"]
    await reader.go(f"/messages/answer?via=acme&folder=INBOX&id={found['id']}")
    await room.commands.run("delete-email", {"via": "acme", "ids": [found["id"]]})
    await reader.press("Send the answer", Text="They are on their way.")
    assert "Nothing was sent." in reader.text
    (send,) = [one for one in reader.offered if one.label == "Send the answer"]
    assert send.form is not None
    assert "They are on their way." in [one.value for one in send.form.fields]


async def test_older_messages_are_a_step_away(
    reader: Reader, ground: Ground, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postroom.web.pages.messages._MORE", 2)
    monkeypatch.setattr("postroom.web.pages.messages._MOST", 4)
    ground.dovecot.fill(user, [letter(f"Order {n}") for n in range(5)])
    for shown in (("Order 4", "Order 3"), ("Order 2", "Order 1")):
        await reader.go(f"/messages?via=acme&part=list&many={2 if 'Order 4' in shown else 4}")
        assert all(one in reader.text for one in shown)
    assert "Order 0" not in reader.text
    assert "Older ones are found by a search" in reader.text
    await reader.go("/messages?via=acme&part=list")
    assert "Order 2" not in reader.text
    (more,) = [one for one in reader.offered if one.label == "Older ones too"]
    assert "many=4" in more.href
