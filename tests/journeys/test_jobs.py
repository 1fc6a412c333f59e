"""Jobs over real servers: by hand, by schedule, in a worker; what they send, do and leave behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postroom.access import ROLES, Person
from postroom.app import Room
from postroom.clock import timestamp
from postroom.db import Tx
from postroom.errors import InvalidValue, NotThere, PostroomError, Refused, UnknownField
from postroom.jobs import runs, store
from postroom.jobs.runs import Run
from postroom.operations.running import Running
from postroom.worker import Worker
from tests.ground import Ground, User, maildir
from tests.ground.proxy import FaultProxy
from tests.journeys.conftest import Cli, connect
from tests.journeys.incoming import NAME as SOURCE
from tests.journeys.incoming import Incoming, letter, soon

SERVICE = "orders-out"


@pytest.fixture
async def box(room: Room, ground: Ground, tmp_path: Path) -> Incoming:
    user = ground.user()
    await connect(room, ground, user)
    await room.services.add({"name": SERVICE, "connection": "acme"})
    return Incoming(room, ground, user, tmp_path / "orders")


@pytest.fixture
async def other(ground: Ground) -> User:
    return ground.user()


@contextlib.asynccontextmanager
async def working(room: Room, **settings: Any) -> AsyncIterator[None]:
    """A worker at work in this process."""
    task = asyncio.create_task(Worker(room, **settings).run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def run(room: Room, job: str, **parameters: Any) -> Run:
    """Run a job here, to its end."""
    return await room.runs.here(await room.runs.begin(job, parameters))


async def said(room: Room, run: Run) -> str:
    return "\n".join(line["said"] for line in await room.runs.log(run.id))


def sending(to: str, **fields: Any) -> dict[str, Any]:
    return {
        "send-email": {"via": SERVICE, "to": to, "subject": "Report", "text": "Well.", **fields}
    }


# ------------------------------------------------------------------ what it does


async def test_a_job_sends_with_a_stored_credential(box: Incoming, other: User) -> None:
    """In three lines: name, schedule, step.  The message goes once the run has succeeded."""
    await box.room.jobs.add({"name": "nightly", "steps": [sending(other.address)]})
    done = await run(box.room, "nightly")
    assert (done.state, done.attempts) == ("succeeded", 1)
    assert (await box.room.email.dispatch([SERVICE])).sent == 1
    (content,) = await asyncio.to_thread(maildir.arrived, other.maildir, 1)
    assert b"Subject: Report" in content


async def test_what_a_failed_run_has_sent_is_cancelled(box: Incoming, other: User) -> None:
    steps = [
        sending(other.address),
        {"move-email": {"via": "acme", "ids": ["7/4711"], "to": "Done"}},
    ]
    await box.room.jobs.add({"name": "fails", "steps": steps})
    done = await run(box.room, "fails")
    assert (done.state, done.code) == ("failed", "not_found")
    assert "4711" in done.reason
    (item,) = await box.room.outbox.list()
    assert item.state == "cancelled"
    assert (await box.room.email.dispatch([SERVICE])).settled == 0


async def test_a_message_with_a_wait_is_sent_at_once_and_its_outcome_is_known(
    box: Incoming, other: User
) -> None:
    steps = [
        {**sending(other.address, wait="10s"), "name": "sent"},
        {**sending(other.address, subject="then"), "when": "${step:sent.state} == 'sent'"},
        {**sending(other.address, subject="never"), "when": "${step:sent.state} != 'sent'"},
    ]
    await box.room.jobs.add({"name": "waits", "steps": steps})
    done = await run(box.room, "waits")
    assert done.state == "succeeded"
    subjects = sorted(one.subject for one in await box.room.outbox.list())
    assert subjects == ["Report", "then"]


@pytest.mark.parametrize("fails", [True, False])
async def test_an_answer_that_is_not_sent_leaves_no_mark(box: Incoming, fails: bool) -> None:
    """A message is marked as answered once the run has done all of it."""
    box.fill(letter("question"))
    answer = {"reply-email": {"via": "acme", "id": "${step:found.ids.0}", "text": "Yes."}}
    last = {"move-email": {"via": "acme", "ids": ["7/4711"], "to": "Done"}}
    listing = {"list-email": {"via": "acme"}, "name": "found"}
    steps = [listing, answer, *([last] if fails else [])]
    await box.room.jobs.add({"name": "answers", "steps": steps})
    assert (await run(box.room, "answers")).state == ("failed" if fails else "succeeded")
    found = await box.room.commands.run("list-email", {"via": "acme"})
    assert found["items"][0]["flags"] == ([] if fails else ["answered"])


async def test_what_another_run_passes_on_chooses_no_directory_and_no_mailbox(
    box: Incoming, tmp_path: Path
) -> None:
    """T40: received text does not become trusted by going through the parameters of another job."""
    box.fill(letter("../../escaped"))
    save = {"save-email": {"via": "acme", "ids": "${param:ids}", "to": "./kept/in/${param:who}"}}
    listed = {"list-email": {"via": "acme", "mailbox": "${param:who}"}}
    parameters = {"who": {}, "ids": {"type": "list", "default": []}}
    for name, step in (("saves", save), ("lists", listed)):
        await box.room.jobs.add(
            {"name": name, "parameters": parameters, "steps": [step]}, base=tmp_path
        )
    passed = {"who": "${step:found.items.0.subject}", "ids": "${step:found.ids}"}
    steps = [
        {"list-email": {"via": "acme"}, "name": "found"},
        {"run-job": {"job": "saves", "parameters": passed}},
        {"run-job": {"job": "lists", "parameters": passed}},
    ]
    await box.room.jobs.add({"name": "passes", "steps": steps})
    assert (await run(box.room, "passes")).state == "succeeded"
    for one in await box.room.runs.list(states=["queued"]):
        await box.room.runs.here(one.id)
    (saved,) = tmp_path.rglob("*.eml")
    assert saved.parent.parent == tmp_path / "kept" / "in"
    (failed,) = await box.room.runs.list("lists")
    assert failed.state == "failed"
    assert "chooses no mailbox" in failed.reason


async def test_messages_of_a_folder_are_found_saved_and_moved(
    box: Incoming, tmp_path: Path
) -> None:
    box.fill(*(letter(f"order {number}") for number in range(5)), letter("else"))
    steps = [
        {"list-email": {"via": "acme", "search": "subject:order"}, "name": "found"},
        {"save-email": {"via": "acme", "ids": "${step:found.ids}", "to": "./kept"}},
        {
            "for_each": "${step:found.items}",
            "move-email": {"via": "acme", "ids": ["${item:id}"], "to": "Done", "create": True},
        },
    ]
    await box.room.jobs.add({"name": "files", "steps": steps}, base=tmp_path)
    done = await run(box.room, "files")
    assert done.state == "succeeded", done.reason
    assert sorted(box.there("Done")) == [f"order {number}" for number in range(5)]
    assert box.there() == ["else"]
    assert len(list((tmp_path / "kept").glob("*.eml"))) == 5


async def test_a_loop_over_a_thousand_messages_moves_them_in_a_few_commands(
    box: Incoming, ground: Ground
) -> None:
    """One command of the wire for hundreds of messages, not an exchange each."""
    box.fill(*(letter(f"order {number}") for number in range(1000)))
    steps = [
        {"list-email": {"via": "acme", "limit": 0}, "name": "found"},
        {
            "for_each": "${step:found.items}",
            "move-email": {"via": "acme", "ids": ["${item:id}"], "to": "Done", "create": True},
        },
    ]
    await box.room.jobs.add({"name": "files", "steps": steps})
    async with FaultProxy(ground.dovecot.imap) as proxy:
        side = {"port": str(proxy.port), "security": "none", "trust": ""}
        await box.room.connections.set("acme", {"incoming": side}, rebind=True)
        done = await run(box.room, "files")
        assert done.state == "succeeded", done.reason
        said = proxy.transcript.to_server
    assert len(box.there("Done")) == 1000
    assert len(proxy.connections) == 1
    assert said.count(b"MOVE ") <= 4
    assert said.count(b"\r\n") < 40


async def test_a_job_begins_the_next_one_once_it_has_succeeded(box: Incoming, other: User) -> None:
    """Not when it fails; a circle is refused when it is saved, and ends where it is decided later."""
    room = box.room
    await room.jobs.add(
        {
            "name": "second",
            "steps": [sending(other.address, subject="${param:what}")],
            "parameters": {"what": {}},
        }
    )
    after = {"run-job": {"job": "second", "parameters": {"what": "${run:id}"}}}
    await room.jobs.add({"name": "first", "steps": [after]})
    done = await run(room, "first")
    (following,) = await room.runs.list("second")
    assert (following.cause, following.above, following.parameters) == (
        "job",
        done.id,
        {"what": done.id},
    )
    wrong = {"run-job": {"job": "second", "parameters": {"wat": "x"}}}
    await room.jobs.add({"name": "wrong", "steps": [wrong]})
    assert (await run(room, "wrong")).state == "failed"
    assert len(await room.runs.list("second")) == 1
    with pytest.raises(InvalidValue, match="circle: second begins first begins second"):
        await room.jobs.set("second", {"steps": [{"run-job": {"job": "first"}}]})


async def test_jobs_that_begin_each_other_in_python_end(box: Incoming, tmp_path: Path) -> None:
    """A circle that only shows while it runs ends after eight runs above each other."""
    room, script = box.room, tmp_path / "round.py"
    script.write_text("def main(context):\n    context.do('run-job', job='round')\n")
    script.chmod(0o600)
    await room.jobs.add({"name": "round", "overlap": "beside", "python": str(script)})
    await room.runs.begin("round")
    async with working(room):
        await soon(lambda: states(room).get("failed", 0) == 1, seconds=60.0)
    assert states(room) == {"succeeded": 8, "failed": 1}
    (last,) = await room.runs.list(states=["failed"])
    assert "go on for ever" in last.reason


def states(room: Room) -> dict[str, int]:
    rows = room.desk.db.read_now(
        lambda tx: tx.all("SELECT state, count(*) AS n FROM runs GROUP BY state")
    )
    return {row["state"]: row["n"] for row in rows}


# ------------------------------------------------------------------ programs


async def test_a_command_is_handed_a_credential_and_its_output_is_the_log(
    box: Incoming, tmp_path: Path
) -> None:
    """T31: the password reaches it by a descriptor; its log, result and parameters have none of it."""
    program = tmp_path / "report.sh"
    program.write_text('#!/bin/sh\necho "it says $1"\ncat <&"$POSTROOM_FD"\n')
    program.chmod(0o700)
    job = {
        "name": "report",
        "command": ["./report.sh", "${param:word}"],
        "credentials": ["acme-login"],
        "parameters": {"word": {"default": "hello"}},
    }
    assert (await box.room.connections.test("acme")).ok  # from here on it is in use
    with pytest.raises(PostroomError) as refused:
        await box.room.jobs.add(job, base=tmp_path)
    assert refused.value.code == "secret_reentry_required"
    assert "job:report#" in refused.value.facts["lines"][0]
    await box.room.jobs.add(job, base=tmp_path, rebind=True)
    done = await run(box.room, "report")
    log = await said(box.room, done)
    assert (done.state, done.result) == ("succeeded", {"status": 0})
    assert "it says hello" in log
    assert f'"user_name": "{box.user.address}"' in log
    assert '"password": "****"' in log
    assert box.user.password not in log


async def test_a_program_that_fails_fails_its_run_and_says_how(box: Incoming) -> None:
    await box.room.jobs.add({"name": "fails", "command": ["/bin/sh", "-c", "echo no; exit 3"]})
    done = await run(box.room, "fails")
    assert (done.state, done.code) == ("failed", "program_failed")
    assert "status 3" in done.reason
    assert "no" in await said(box.room, done)


async def test_another_program_is_another_destination(box: Incoming) -> None:
    """T26: whoever changes what a job runs is asked for the secret, or for rebind."""
    job = {"name": "report", "command": ["/bin/true"], "credentials": ["acme-login"]}
    await box.room.jobs.add(job, rebind=True)
    assert (await box.room.connections.test("acme")).ok
    with pytest.raises(PostroomError) as refused:
        await box.room.jobs.set("report", {"command": ["/bin/cat", "/dev/fd/3"]})
    assert refused.value.code == "secret_reentry_required"
    assert (await box.room.jobs.show("report"))["command"]["words"] == ["/bin/true"]
    await box.room.jobs.set("report", {"description": "needs no secret"})


async def test_a_command_reads_the_message_that_began_its_run(box: Incoming) -> None:
    await box.room.jobs.add(
        {
            "name": "reads",
            "command": ["/bin/sh", "-c", "grep ^Subject: && echo $0", "${message:from}"],
        }
    )
    sink = {"type": "job", "job": "reads"}
    await box.room.sources.add({"name": SOURCE, "connection": "acme", "sink": sink, "start": "all"})
    box.fill(letter("one"), letter("two"))
    async with working(box.room):
        await soon(lambda: states(box.room) == {"succeeded": 2}, seconds=30.0)
    logs = [await said(box.room, one) for one in await box.room.runs.list("reads")]
    assert "Subject: two" in logs[0]
    assert "Ada <ada@partner.example>" in logs[1]


async def test_what_a_stranger_wrote_is_no_option_of_a_program(box: Incoming) -> None:
    """T41: a subject that begins with a hyphen fails the run, and no program is begun."""
    await box.room.jobs.add({"name": "reads", "command": ["/bin/echo", "${message:subject}"]})
    sink = {"type": "job", "job": "reads"}
    await box.room.sources.add({"name": SOURCE, "connection": "acme", "sink": sink, "start": "all"})
    box.fill(letter("--version"), letter("hello"))
    await box.room.collecting.run(SOURCE)
    for one in reversed(await box.room.runs.list("reads")):
        await box.room.runs.here(one.id)
    assert states(box.room) == {"failed": 1, "succeeded": 1}
    (failed,) = await box.room.runs.list("reads", states=["failed"])
    assert "for an option" in failed.reason


async def test_what_a_message_says_is_no_file_to_attach(box: Incoming, tmp_path: Path) -> None:
    """T41: whoever writes to a mailbox does not choose what is read from the disk."""
    secret = tmp_path / "secret"
    secret.write_text("private")
    step = sending("a@example.com", attachments=["${message:subject}"])
    await box.room.jobs.add({"name": "attaches", "steps": [step]})
    sink = {"type": "job", "job": "attaches"}
    await box.room.sources.add({"name": SOURCE, "connection": "acme", "sink": sink, "start": "all"})
    box.fill(letter(str(secret)))
    await box.room.collecting.run(SOURCE)
    (begun,) = await box.room.runs.list("attaches")
    assert (await box.room.runs.here(begun.id)).state == "failed"
    assert await box.room.outbox.list() == []


# ------------------------------------------------------------------ when, and by whom


async def test_a_schedule_begins_it_and_the_worker_sends_what_it_sent(
    box: Incoming, other: User
) -> None:
    room = box.room
    await room.jobs.add(
        {"name": "often", "schedule": {"every": "1s"}, "steps": [sending(other.address)]}
    )
    async with working(room):
        await soon(lambda: states(room).get("succeeded", 0) >= 4, seconds=30.0)
        assert len(await asyncio.to_thread(maildir.arrived, other.maildir, 3)) >= 3


async def test_a_run_that_is_cancelled_ends_within_seconds_and_its_program_with_it(
    box: Incoming, tmp_path: Path
) -> None:
    room, trace = box.room, tmp_path / "trace"
    words = ["/bin/sh", "-c", f"echo $$ > {trace}; sleep 3600 & wait"]
    await room.jobs.add({"name": "endless", "command": words})
    begun = await room.runs.begin("endless")
    async with working(room):
        await soon(lambda: trace.exists() and trace.read_text() != "", seconds=20.0)
        assert (await room.runs.cancel(begun)).state == "running"
        await soon(lambda: states(room) == {"cancelled": 1}, seconds=20.0)
    assert not Path(f"/proc/{trace.read_text().strip()}").exists()
    assert (await room.runs.show(begun)).reason.startswith("by local:")


async def test_a_worker_that_stops_gives_its_runs_back(box: Incoming, tmp_path: Path) -> None:
    room, trace = box.room, tmp_path / "trace"
    words = ["/bin/sh", "-c", f"echo begins >> {trace}; sleep 3600"]
    await room.jobs.add({"name": "long", "command": words})
    await room.jobs.add({"name": "once", "command": words, "if_killed": "lost"})
    for name in ("long", "once"):
        await room.runs.begin(name)
    async with working(room):
        await soon(lambda: trace.exists() and trace.read_text().count("begins") == 2, seconds=20.0)
    assert states(room) == {"queued": 1, "lost": 1}


async def test_a_worker_that_stops_before_it_has_begun_gives_its_runs_back(
    box: Incoming, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it took and did nothing of stays with nobody, whenever it is stopped."""
    room = box.room
    await room.jobs.add({"name": "long", "command": ["/bin/sleep", "3600"], "overlap": "beside"})
    for _ in range(4):
        await room.runs.begin("long")

    async def not_yet(self: Running, claim: Any, job: Any) -> None:
        await asyncio.sleep(3600)  # as a task that is cancelled before its first line

    monkeypatch.setattr(Running, "do", not_yet)
    async with working(room):
        await soon(lambda: states(room) == {"running": 4}, seconds=20.0)
    # it may have been stopped before it heard what it took: that is given back in the background
    await soon(lambda: states(room) == {"queued": 4}, seconds=20.0)


async def test_a_run_that_is_cancelled_before_it_has_begun_is_over(
    box: Incoming, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker goes on, and does not keep what it never did."""
    room = box.room
    await room.jobs.add({"name": "long", "command": ["/bin/sleep", "3600"]})
    begun = await room.runs.begin("long")

    async def not_yet(self: Running, claim: Any, job: Any) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(Running, "do", not_yet)
    async with working(room):
        await soon(lambda: states(room) == {"running": 1}, seconds=20.0)
        await room.runs.cancel(begun)
        await soon(lambda: states(room) == {"cancelled": 1}, seconds=20.0)


async def test_as_many_runs_as_the_worker_has_places_for(box: Incoming, tmp_path: Path) -> None:
    """The others wait; none of them is in memory."""
    room = box.room
    trace = tmp_path / "trace"
    trace.touch()
    words = ["/bin/sh", "-c", f"echo begins >> {trace}; sleep 3600"]
    await room.jobs.add({"name": "long", "command": words, "overlap": "beside"})
    for _ in range(5):
        await room.runs.begin("long")
    async with working(room, places=2):
        await soon(lambda: trace.read_text().count("begins") == 2)
        await asyncio.sleep(1.0)
        assert states(room) == {"running": 2, "queued": 3}
    assert trace.read_text().count("begins") == 2


async def test_a_job_for_workers_of_a_role_waits_for_one(box: Incoming) -> None:
    room = box.room
    await room.jobs.add({"name": "inside", "command": ["/bin/true"], "worker_roles": ["inside"]})
    await room.runs.begin("inside")
    await room.jobs.add({"name": "later", "command": ["/bin/true"]})
    await room.runs.begin("later")
    async with working(room):
        await soon(lambda: states(room).get("succeeded") == 1, seconds=20.0)
        assert states(room) == {"queued": 1, "succeeded": 1}, "what was begun later passed it by"
    assert [run.state for run in await room.runs.list(job="inside")] == ["queued"]
    async with working(room, roles=("inside",)):
        await soon(lambda: states(room) == {"succeeded": 2}, seconds=20.0)


async def test_ten_thousand_runs_due_at_start_take_no_more_memory(box: Incoming) -> None:
    """They begin at the worker's own pace."""
    room = box.room
    await room.jobs.add({"name": "many", "command": ["/bin/true"], "overlap": "beside"})

    def fill(tx: Tx) -> None:
        job = store.get(tx, "many")
        for _ in range(10_000):
            runs.add(tx, job, cause="manual", parameters={}, actor="a", now=timestamp())

    await room.desk.db.write(fill)
    before = _resident()
    async with working(room, places=4):
        await soon(lambda: states(room).get("succeeded", 0) >= 20, seconds=60.0)
        assert states(room).get("running", 0) <= 4
    assert _resident() - before < 20_000_000
    assert sum(states(room).values()) == 10_000


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("step", "error", "told"),
    [
        ({"mov-email": {}}, UnknownField, "Did you mean move-email"),
        ({"move-email": {"via": "acme", "idz": [], "to": "x"}}, UnknownField, "Did you mean ids"),
        ({"move-email": {"via": "acme", "ids": []}}, InvalidValue, "to: is needed"),
        ({"move-email": {"via": "acne", "ids": [], "to": "x"}}, NotThere, "Did you mean acme"),
        (sending("${step:found.ids}"), InvalidValue, "found"),
        (sending("${param:to}"), InvalidValue, "to"),
        (sending("${item:id}"), InvalidValue, "for_each"),
        (sending("${nobody}"), PostroomError, "nobody"),
        ({**sending("a@example.com"), "when": "${step:x.y"}, InvalidValue, "when"),
        ({"move-email": {}, "copy-email": {}}, InvalidValue, "one command"),
    ],
)
async def test_a_step_that_cannot_be_is_refused_when_it_is_saved(
    box: Incoming, step: dict[str, Any], error: type[PostroomError], told: str
) -> None:
    with pytest.raises(error) as refused:
        await box.room.jobs.add({"name": "bad", "steps": [step]})
    assert told in str(refused.value)
    assert await box.room.jobs.list() == []


async def test_what_runs_code_is_saved_by_who_has_the_key(box: Incoming) -> None:
    """T27: whoever comes by another door may say what is sent, and not what is run."""
    await box.room.jobs.add({"name": "runs", "command": ["/bin/true"]})
    theirs = box.room.acting(Person("user:ann", "editor", ROLES["editor"], "1"))
    with pytest.raises(Refused, match="user:ann may not save it"):
        await theirs.jobs.set("runs", {"command": ["/bin/false"]})
    await theirs.jobs.add({"name": "sends", "steps": [sending("a@example.com")]})


async def test_a_command_is_a_list_of_words(box: Incoming) -> None:
    with pytest.raises(InvalidValue, match=r"a list of words, such as \[\./report\.sh"):
        await box.room.jobs.add({"name": "x", "command": "echo hi"})


async def test_a_credential_that_was_not_granted_is_not_there(box: Incoming) -> None:
    with pytest.raises(NotThere, match="no credential called 'crm'"):
        await box.room.jobs.add({"name": "x", "command": ["/bin/true"], "credentials": ["crm"]})
    job = {
        "name": "x",
        "command": {
            "words": ["/bin/true"],
            "hand_over": {"by": "environment", "environment": {"P": "acme-login.password"}},
        },
    }
    await box.room.jobs.add(job)
    done = await run(box.room, "x")
    assert (done.state, done.code) == ("failed", "invalid_value")
    assert "granted are none" in done.reason


async def test_a_held_job_begins_nothing(box: Incoming) -> None:
    room = box.room
    await room.jobs.add({"name": "held", "command": ["/bin/true"]})
    begun = await room.runs.begin("held")
    await room.jobs.hold("held")
    await room.jobs.add({"name": "later", "command": ["/bin/true"]})
    await room.runs.begin("later")
    async with working(room):
        await soon(lambda: states(room).get("succeeded") == 1, seconds=20.0)
        assert (await room.runs.show(begun)).state == "queued", "what was begun later passed it by"
        with pytest.raises(Refused, match="is held"):
            await room.runs.begin("held")
        await room.jobs.release("held")
        await soon(lambda: states(room) == {"succeeded": 2}, seconds=20.0)


async def test_what_a_job_names_is_in_use(box: Incoming, other: User) -> None:
    room = box.room
    await room.jobs.add({"name": "nightly", "steps": [sending(other.address)]})
    with pytest.raises(PostroomError, match=r"used by job nightly \(steps\.0\.send-email\.via\)"):
        await room.services.delete(SERVICE)
    await room.runs.begin("nightly")
    with pytest.raises(PostroomError, match="1 queued run of job nightly"):
        await room.jobs.delete("nightly")
    await room.jobs.delete("nightly", force=True)
    assert states(room) == {"cancelled": 1}


# ------------------------------------------------------------------ the command line


def test_on_the_command_line(cli: Cli, wired: User, ground: Ground, tmp_path: Path) -> None:
    """Applied, planned, run, listed, followed, cancelled."""
    other = ground.user()
    file = tmp_path / "jobs.yaml"
    file.write_text(
        "postroom: 1\njobs:\n"
        "  - name: nightly\n    parameters: {to: {}}\n"
        "    steps: [{send-email: {via: orders-out, to: '${param:to}', subject: Hello, text: Hi.}}]\n"
    )
    assert cli("apply", str(file)).out.startswith("add    job nightly")
    assert "Nothing to change" in cli("apply", str(file)).out
    plan = cli("job", "run", "nightly", "-p", f"to={other.address}", "--dry-run")
    assert f"send 'Hello' to {other.address} (orders-out)" in plan.out
    done = cli("job", "run", "nightly", "-p", f"to={other.address}")
    assert done.status == 0
    assert "Succeeded." in done.out
    assert cli("job", "run", "nightly").status == 2
    assert cli("outbox", "drain").status == 0
    assert len(maildir.arrived(other.maildir, 1)) == 1
    listed = cli("job", "runs", "nightly", "--json").json["items"]
    assert [one["state"] for one in listed] == ["succeeded"]
    log = cli("job", "log", listed[0]["id"][:12], "--json").json
    assert log["log"][-1]["said"] == "Succeeded."
    assert cli("job", "log", listed[0]["id"], "--follow").status == 0
    begun = cli("job", "run", "nightly", "-p", "to=x@example.com", "--forget", "--json").json["id"]
    assert cli("job", "cancel", begun).out.strip() == f"Run {begun} is cancelled."
    again = cli("job", "cancel", begun)
    assert (again.status, "it is cancelled" in again.err) == (1, True)
    exported = cli("export").out
    assert "send-email" in exported
    assert json.loads(cli("job", "show", "nightly", "--json").out)["does"] == "steps"
