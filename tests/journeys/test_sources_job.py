"""Mail that begins runs: a source hands each new message to a job, over a real Dovecot."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room
from postroom.errors import InvalidValue, NotThere, PostroomError, Refused, UnknownField
from postroom.jobs import messages, runs
from postroom.jobs.runs import Run
from postroom.mail import Message
from postroom.operations.jobs import Jobs
from postroom.sinks import job as job_sink
from postroom.worker import Worker
from tests.ground import Ground, User
from tests.ground.maildir import read
from tests.journeys.conftest import Cli, connect
from tests.journeys.incoming import NAME, Incoming, letter, soon


@pytest.fixture
async def box(room: Room, ground: Ground, tmp_path: Path) -> Incoming:
    user = ground.user()
    await connect(room, ground, user)
    await jobs(room).add(
        {
            "name": "answer",
            "command": ["/bin/true"],
            "parameters": {"tone": {"default": "kind"}},
        }
    )
    return Incoming(room, ground, user, tmp_path / "orders")


def jobs(room: Room) -> Jobs:
    return Jobs(room.desk)


async def handing(box: Incoming, **fields: Any) -> None:
    await box.source(**{"sink": {"type": "job", "job": "answer"}, "start": "all", **fields})


def begun(box: Incoming) -> list[Run]:
    """The runs there are, oldest first."""
    found = box.room.desk.db.read_now(
        lambda tx: runs.listed(tx, job="answer", states=(), since=None, limit=1000)
    )
    return found[::-1]


def facts(box: Incoming, run: Run) -> dict[str, Any]:
    found = box.room.desk.db.read_now(lambda tx: messages.facts_of(tx, run.id))
    assert found is not None
    return found


def kept(box: Incoming, run: Run) -> bytes | None:
    return box.room.desk.db.read_now(lambda tx: messages.content_of(tx, run.id))


async def changed(box: Incoming, before: list[Run]) -> None:
    await soon(lambda: len(begun(box)) > len(before))


async def test_each_message_begins_one_run(box: Incoming) -> None:
    """With its exact bytes; the ledger says which; a second pass begins none."""
    sent = [letter("one"), letter("two", size=3_000_000)]
    box.fill(*sent)
    await handing(box, folders={"done": "Done"})
    assert (await box.run()).delivered == 2
    assert (await box.run()).delivered == 0
    made = begun(box)
    assert [facts(box, one)["subject"] for one in made] == ["one", "two"]
    assert box.there("Done") == ["one", "two"]
    entries = {one.subject: one for one in await box.room.ledger.list(NAME)}
    for run, content in zip(made, sent, strict=True):
        told = facts(box, run)
        entry = entries[told["subject"]]
        assert entry.delivered_to == f"run:{run.id}"
        assert (told["source"], told["folder"], told["id"]) == (NAME, "INBOX", entry.message)
        assert (told["from"], told["size"]) == ("Ada <ada@partner.example>", len(content))
        assert kept(box, run) == content
        assert (run.cause, run.created_by, run.parameters) == (
            "message", f"source:{NAME}", {"tone": "kind"},
        )  # fmt: skip


async def test_a_message_that_is_processed_again_begins_a_new_run(box: Incoming) -> None:
    """Somebody wants that; the first run is not the second."""
    box.fill(letter("one"))
    await handing(box)
    await box.run()
    await box.room.ledger.reset(NAME)
    await box.run()
    first, second = begun(box)
    assert first.id != second.id
    [entry] = await box.room.ledger.list(NAME)
    assert entry.delivered_to == f"run:{second.id}"


async def test_a_full_backlog_keeps_the_rest_on_the_server(
    box: Incoming, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was taken is finished with, the source says what it waits for, and goes on by itself."""
    monkeypatch.setattr(job_sink, "MOST_WAITING", 2)
    monkeypatch.setattr("postroom.sources.collector.BATCH", 2)
    monkeypatch.setattr("postroom.sources.arriving.MOST", 2)
    box.fill(*(letter(f"m{n}") for n in range(5)))
    await handing(box, order="oldest", folders={"done": "Done"}, backoff={"min": "1s", "max": "1s"})
    with pytest.raises(Refused, match="2 runs of job answer are not finished") as full:
        await box.run()
    assert full.value.temporary
    assert len(begun(box)) == 2
    assert (box.state(), box.there("Done")) == ("backing off", ["m0", "m1"])
    assert "the source waits until there are fewer" in box.row()["note"]
    assert box.counts() == {"done": 2, "pending": 3}
    watching = asyncio.create_task(box.room.collecting.watch(NAME))
    try:
        for _ in range(2):
            before = begun(box)
            await box.room.desk.db.write(
                lambda tx: tx.execute(
                    "UPDATE runs SET state = 'succeeded', finished_at = 1 WHERE finished_at IS NULL"
                )
            )
            await changed(box, before)
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
    assert [facts(box, one)["subject"] for one in begun(box)] == [f"m{n}" for n in range(5)]


async def test_nothing_is_saved_that_could_not_hand_over(box: Incoming) -> None:
    """A job that is not there, a parameter it has not; and a start that nobody has said."""
    sink = {"type": "job", "job": "answer"}
    cases: list[tuple[dict[str, Any], str, type[PostroomError]]] = [
        ({"sink": {**sink, "job": "anser"}}, "Did you mean answer", NotThere),
        ({"sink": {**sink, "parameters": {"tune": "x"}}}, "no parameter 'tune'", UnknownField),
        ({"start": None}, "start: say which", InvalidValue),
    ]
    for wrong, why, kind in cases:
        with pytest.raises(kind, match=why):
            await handing(box, **wrong)


async def test_a_job_that_mail_is_handed_to_stays_as_it_is_needed(box: Incoming) -> None:
    """Neither deleted nor changed so that a source could not begin it; the source's name is said."""
    await handing(box)
    with pytest.raises(Refused, match=rf"source {NAME} \(sink.job\)") as told:
        await jobs(box.room).delete("answer")
    assert told.value.code == "in_use"
    with pytest.raises(Refused, match=f"Source {NAME} hands its messages to job answer"):
        await jobs(box.room).set("answer", {"parameters": {"tone": {}}})
    await jobs(box.room).set("answer", {"parameters": {"tone": {"default": "stern"}}})
    box.fill(letter("one"))
    await box.run()
    assert begun(box)[0].parameters == {"tone": "stern"}
    assert [str(one) for one in (await jobs(box.room).usage("answer")).uses] == [
        f"source {NAME} (sink.job)",
        "1 queued run of job answer",
    ]


def test_the_preview_says_which_messages_begin_a_run(
    cli: Cli, wired: User, ground: Ground, tmp_path: Path
) -> None:
    """Before anything is begun, by command line."""
    room_file = tmp_path / "room.yaml"
    room_file.write_text(
        "postroom: 1\n"
        "jobs:\n  - {name: answer, command: [/bin/true]}\n"
        "sources:\n  - {name: answers, connection: acme, start: new, sink: {type: job, job: answer}}\n"
    )
    assert cli("apply", str(room_file), "--yes").status == 0
    ground.dovecot.fill(wired, [letter("old")])
    found = cli("source", "preview", "answers", "--json")
    assert [one["would"] for one in found.json["items"]] == ["leave"]
    assert cli("source", "run", "answers").status == 0
    ground.dovecot.fill(wired, [letter("new")])
    found = cli("source", "preview", "answers", "--last", "50", "--json")
    told = {one["name"].split(" ")[0]: one for one in found.json["items"]}
    assert told["new"]["would"] == "collect"
    assert told["new"]["then"] == "a run of job answer begins; stays"
    shown = cli("source", "preview", "answers")
    assert "a run of job answer begins" in shown.out
    ran = cli("source", "run", "answers")
    assert (ran.status, "1 delivered to job answer" in ran.out) == (0, True)
    assert (
        "source answers: start: say which"
        in cli("source", "set", "answers", "--clear", "start").err
    )


async def test_a_run_knows_its_message_and_nothing_of_it_is_expanded(box: Incoming) -> None:
    """T40, T39: macros in a subject stay what they are, in the log, in what is sent, everywhere."""
    subject = "${var:MAIL_HOST} ${env:PATH} $${x} ${run:id}"
    other = box.ground.user()
    await box.room.variables.set("MAIL_HOST", "secret.example")
    facts = (
        "${message:source}, ${message:folder}, ${message:id}, ${message:size}: ${message:subject}"
    )
    step = {"send-email": {"via": "acme", "to": other.address, "subject": facts, "text": "x"}}
    await box.room.jobs.set("answer", {"steps": [step]})
    content = letter("one").replace(b"Subject: one", b"Subject: " + subject.encode())
    box.fill(content)
    await handing(box)
    await box.run()
    [entry] = await box.room.ledger.list(NAME)
    worker = asyncio.create_task(Worker(box.room).run())
    try:
        await soon(lambda: begun(box)[0].finished)
        await soon(lambda: len(read(other.maildir)) == 1)
    finally:
        worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await worker
    [got] = read(other.maildir)
    told = Message(got).subject
    assert told == f"{NAME}, INBOX, {entry.message}, {len(content)}: {subject}"


async def test_a_job_whose_mail_begins_it_ends_after_a_while(box: Incoming) -> None:
    """A circle by mail: each run stands below the one that sent its message, and eight do."""
    again = {"via": "acme", "to": box.user.address, "subject": "again", "text": "x"}
    await box.room.jobs.set("answer", {"steps": [{"send-email": again}]})
    box.fill(letter("one"))
    await handing(box)
    worker = asyncio.create_task(Worker(box.room).run())
    try:
        await soon(lambda: [one.state for one in begun(box)].count("failed") == 1, seconds=60)
        box.fill(letter("two"))
        await soon(lambda: len(begun(box)) > runs.DEEPEST + 2)  # the source goes on
    finally:
        worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await worker
    *made, failed = begun(box)[: runs.DEEPEST + 2]
    assert [one.above for one in made] == [None, *(one.id for one in made[:-1])]
    assert {one.state for one in made} == {"succeeded"}
    assert "go on for ever" in failed.reason
    assert facts(box, failed)["subject"] == "again"


async def test_what_failed_is_processed_again_and_nothing_else(box: Incoming) -> None:
    """By state, as a page has it: what began a run begins no second one."""
    box.fill(*(letter(f"m{n}") for n in range(3)))
    await handing(box)
    await box.run()
    failed = min(one.id for one in await box.room.ledger.list(NAME))
    await box.room.desk.db.write(
        lambda tx: tx.execute("UPDATE ledger SET state = 'failed' WHERE id = :id", id=failed)
    )
    with pytest.raises(InvalidValue, match="there is no state 'faild'"):
        await box.room.ledger.reset(NAME, states=["faild"])
    assert await box.room.ledger.reset(NAME, states=["failed", "held"]) == 1
    assert await box.room.ledger.reset(NAME, states=["failed"]) == 0
    await box.run()
    told = [facts(box, one)["subject"] for one in begun(box)]
    assert told == ["m0", "m1", "m2", "m0"]
