"""Which programs may be handed what: lines of jobs and of exec, and who is asked when they change."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room
from postroom.clock import timestamp
from postroom.errors import InvalidValue, PostroomError, Refused
from postroom.fields import parse
from postroom.jobs import code
from postroom.jobs.granting import digest_of, line_of, lines_of
from postroom.jobs.job import Job
from postroom.operations.jobs import Jobs
from postroom.secret import Secret

DAILY: dict[str, Any] = {
    "name": "daily",
    "credentials": ["crm"],
    "command": {"words": ["curl", "-K", "-"], "directory": "/srv"},
}


def unasked(macro: str, where: str) -> str:
    """Nothing here has a variable in its words."""
    raise AssertionError(macro)


def job(**changes: Any) -> Job:
    return parse(Job, DAILY | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"command": {"words": ["curl", "-K", "--"], "directory": "/srv"}},
        {"command": {"words": ["wget", "-K", "-"], "directory": "/srv"}},
        {"command": {"words": ["curl", "-K -"], "directory": "/srv"}},
        {"command": {"words": ["curl", "-K", "-"], "directory": "/tmp"}},
        {"command": {**DAILY["command"], "hand_over": {"by": "files"}}},
        {"credentials": ["crm", "erp"]},
        {"command": None, "python": "reports:nightly"},
        {"name": "hourly"},
    ],
)
def test_what_decides_what_runs_is_another_destination(changes: dict[str, Any]) -> None:
    assert line_of(job(**changes), unasked) != line_of(job(), unasked)


@pytest.mark.parametrize(
    "changes",
    [
        {"description": "Every day"},
        {"schedule": {"every": "1h"}},
        {"limits": {"time": "5m"}},
        {"parameters": {"day": {"type": "date"}}},
        {"credentials": ["CRM"]},
        {"keep": "1d"},
    ],
)
def test_what_does_not_is_the_same(changes: dict[str, Any]) -> None:
    assert digest_of(job(**changes), unasked) == digest_of(job(), unasked)


def test_steps_add_no_line() -> None:
    steps = {"name": "x", "steps": [{"move-email": {"via": "acme", "ids": ["1"], "to": "Done"}}]}
    assert lines_of(parse(Job, steps), unasked) == {}
    assert lines_of(job(), unasked) == {"crm": {line_of(job(), unasked)}}


# ------------------------------------------------------------------------------ in a room


@pytest.fixture
async def jobs(room: Room) -> Jobs:
    """A room with the credential ``crm``, which was accepted somewhere."""
    secret = Secret("Canary-" + "0f9e8d7c6b5a")
    await room.credentials.create("crm", "password", details={"user_name": "a", "password": secret})
    await accepted(room)
    return Jobs(room.desk)


async def accepted(room: Room) -> None:
    """From now on nobody corrects where it goes unasked."""
    store, version = room.desk.credentials, (await room.credentials.get("crm")).version
    await room.desk.db.write(lambda tx: store.presented(tx, "crm", version, timestamp()))


async def lines(room: Room) -> list[str]:
    found: list[str] = (await room.credentials.get("crm")).destinations
    return found


async def test_a_job_that_is_handed_a_stored_secret_asks_for_it(room: Room, jobs: Jobs) -> None:
    """T26: neither adding a job nor changing what it runs moves a secret unasked."""
    with pytest.raises(Refused) as refused:
        await jobs.add(DAILY)
    assert refused.value.code == "secret_reentry_required"
    assert refused.value.facts["lines"] == [line_of(job(), unasked)]
    assert await lines(room) == []
    await jobs.add(DAILY, rebind=True)
    assert await lines(room) == [line_of(job(), unasked)]
    with pytest.raises(Refused) as again:
        await jobs.set("daily", {"command": ["curl", "https://elsewhere.example"]})
    assert again.value.code == "secret_reentry_required"
    assert await lines(room) == [line_of(job(), unasked)]
    await jobs.set("daily", {"description": "Every day", "limits": {"time": "5m"}})


async def test_what_nothing_uses_any_more_drops_out(room: Room, jobs: Jobs) -> None:
    await jobs.add({**DAILY, "credentials": []})
    await jobs.set("daily", {"credentials": ["crm"]}, rebind=True)
    assert len(await lines(room)) == 1
    await jobs.delete("daily")
    assert await lines(room) == []


async def test_another_change_does_not_ask_for_what_a_job_has(room: Room, jobs: Jobs) -> None:
    """A job's lines count as a connection's: saving the credential or something else keeps them."""
    await jobs.add(DAILY, rebind=True)
    await room.credentials.set("crm", {"user_name": "b"})
    await room.variables.set("HOST", "x.example.com")
    assert await lines(room) == [line_of(job(), unasked)]


async def test_usage_tells_of_it_and_it_is_not_deleted_under_it(room: Room, jobs: Jobs) -> None:
    await jobs.add(DAILY, rebind=True)
    assert ("job", "daily", "credentials") in [
        use[:3] for use in (await room.credentials.usage("crm")).uses
    ]
    with pytest.raises(PostroomError, match="job daily"):
        await room.credentials.delete("crm")


async def test_exec_is_a_destination_that_is_asked_for(room: Room, jobs: Jobs) -> None:
    """T26: so is that any program may be handed it."""
    with pytest.raises(Refused) as refused:
        await room.credentials.change("crm", programs=True)
    assert (refused.value.code, refused.value.facts["lines"]) == (
        "secret_reentry_required",
        ["exec"],
    )
    assert not (await room.credentials.get("crm")).programs
    await room.credentials.change("crm", programs=True, rebind=True)
    assert await lines(room) == ["exec"]
    await room.credentials.set("crm", {"user_name": "b"})
    assert await lines(room) == ["exec"]
    await room.credentials.change("crm", programs=False)
    assert await lines(room) == []


async def test_with_the_value_in_the_same_request_nobody_is_asked(room: Room, jobs: Jobs) -> None:
    secret = Secret("Canary-" + "typed-again-1")
    await room.credentials.set("crm", {"password": secret}, programs=True)
    assert await lines(room) == ["exec"]


async def test_a_room_whose_row_says_so_hands_over_nothing(room: Room, jobs: Jobs) -> None:
    """T26: who can write the database adds no destination by it."""
    await room.desk.db.write(lambda tx: tx.execute("UPDATE credentials SET programs = 1"))
    with pytest.raises(Refused) as refused:
        await room.desk.db.write(
            lambda tx: room.desk.credentials.open(
                tx, "crm", line="exec", actor="local:x", purpose="test"
            )
        )
    assert refused.value.code == "destination_not_bound"


# ------------------------------------------------------------------------------ code


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "report.py"
    file.write_text("def main(context): pass\n")
    file.chmod(0o644)
    return file


def nightly(script: Path) -> Job:
    return parse(Job, {"name": "nightly", "python": str(script), "credentials": ["crm"]})


async def test_a_script_that_was_changed_does_not_run(room: Room, jobs: Jobs, script: Path) -> None:
    """T26: what is in the file decides, not its name; and what was compared is what is executed."""
    saved = code.saved(nightly(script))
    assert code.read_script(saved) == b"def main(context): pass\n"
    await jobs.add({"name": "nightly", "python": str(script), "credentials": ["crm"]}, rebind=True)
    assert await lines(room) == [line_of(saved, unasked)]
    script.write_text("def main(context): leak()\n")
    with pytest.raises(Refused, match="nothing was run") as refused:
        code.read_script(saved)
    assert refused.value.code == "destination_not_bound"
    with pytest.raises(Refused) as again:
        await jobs.set("nightly", {"python": str(script)})
    assert again.value.code == "secret_reentry_required"
    await jobs.set("nightly", {"description": "x"}, rebind=True)
    assert await lines(room) == [line_of(code.saved(nightly(script)), unasked)]


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_script_that_others_may_write_is_refused(script: Path, mode: int) -> None:
    script.chmod(mode)
    with pytest.raises(InvalidValue, match=r"report\.py may be written by others.*chmod go-w"):
        code.saved(nightly(script))


def test_a_script_in_a_directory_that_others_may_write_is_refused(
    script: Path, tmp_path: Path
) -> None:
    link = tmp_path / "elsewhere" / "link.py"
    link.parent.mkdir()
    link.symlink_to(script)
    link.parent.chmod(0o777)
    with pytest.raises(InvalidValue, match="elsewhere may be written by others"):
        code.saved(nightly(link))
    link.parent.chmod(0o1777)  # as /tmp: nobody replaces what is another's there
    code.saved(nightly(link))
    script.parent.chmod(0o770)
    with pytest.raises(InvalidValue, match="may be written by others"):
        code.saved(nightly(link))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_script_of_another_user_is_refused(script: Path) -> None:
    os.chown(script, 65534, -1)
    with pytest.raises(InvalidValue, match="belongs to another user"):
        code.saved(nightly(script))


def test_so_is_a_program_by_its_path(script: Path) -> None:
    script.chmod(0o777)
    with pytest.raises(InvalidValue, match=r"command\.words"):
        code.saved(job(command={"words": [str(script)]}))
    code.saved(job(command={"words": ["/bin/sh", "-c", "true"]}))


def test_a_script_that_is_not_there_or_has_no_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="cannot be read: No such file"):
        code.saved(nightly(tmp_path / "nowhere.py"))
    large = tmp_path / "large.py"
    large.write_bytes(b"#" * (code.CODE_BYTES + 1))
    with pytest.raises(InvalidValue, match="larger than 4 MiB"):
        code.saved(nightly(large))
