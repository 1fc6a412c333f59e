"""Programs as runs start them: what they are handed, what is kept of what they write, how they end."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room
from postroom.errors import InvalidValue, NotThere, Refused
from postroom.jobs.handing import Told, memory_directory
from postroom.jobs.job import HandOver, Limits
from postroom.jobs.process import Ended, run_program, why_it_ended
from postroom.jobs.runlock import RunLock, sweep
from postroom.secret import Secret
from tests.memory import MIB, memory_growth

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the guard watches /proc")

PASSWORD = "Canary-4f1b7e90.word"
CRM: dict[str, dict[str, Any]] = {"crm": {"user_name": "ann", "password": Secret(PASSWORD)}}


class Ran:
    """A program that is run in a room's directory of runs; its lines."""

    def __init__(self, tmp_path: Path) -> None:
        self.runs = tmp_path / "runs"
        self.lines: list[tuple[str, str]] = []

    async def __call__(self, *words: str, **more: Any) -> Ended:
        told = Told("r1", "nightly", more.pop("parameters", {}))
        found: dict[str, Any] = {"runs": self.runs, "told": told}
        take = lambda stream, line: self.lines.append((stream, line))  # noqa: E731
        return await run_program(words, on_output=take, **(found | more))

    @property
    def out(self) -> list[str]:
        return [line for stream, line in self.lines if stream == "stdout"]

    def left(self) -> list[str]:
        """What is still there of the run."""
        private = memory_directory(str((self.runs / "r1.lock").absolute()))
        return [*map(str, self.runs.iterdir()), *([str(private)] if private.exists() else [])]


@pytest.fixture
def ran(tmp_path: Path) -> Ran:
    return Ran(tmp_path)


async def until(told: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not told():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return False
    return state != b"Z"


# ------------------------------------------------------------------------------ handing over


async def test_by_descriptor_it_reads_json_and_nothing_is_on_its_command_line(ran: Ran) -> None:
    """T31: what is granted comes by descriptor: neither argv nor environ of anything has it."""
    code = (
        "import json, os, glob\n"
        "given = json.load(open(int(os.environ['POSTROOM_FD'])))\n"
        f"word = given['credentials']['crm']['password']\nassert word == {PASSWORD[::-1]!r}[::-1]\n"
        "for path in glob.glob('/proc/[0-9]*/cmdline') + glob.glob('/proc/[0-9]*/environ'):\n"
        "    try: data = open(path, 'rb').read()\n"
        "    except OSError: continue\n"
        "    assert word.encode() not in data, path\n"
        "print(given['job'], given['run'], given['parameters'], given['credentials']['crm']['user_name'])\n"
    )
    ended = await ran(sys.executable, "-c", code, credentials=CRM, parameters={"day": "2026-11-29"})
    assert ended == Ended(0), ran.lines
    assert ran.out == ["nightly r1 {'day': '2026-11-29'} ann"]


async def test_the_descriptor_cannot_be_changed_and_a_shell_can_read_it(ran: Ran) -> None:
    assert (
        await ran("sh", "-c", "echo x >&3 || echo refused; cat <&$POSTROOM_FD", credentials=CRM)
    ).ok
    assert ran.out[0] == "refused"
    assert json.loads(ran.out[1])["credentials"] == {
        "crm": {"user_name": "ann", "password": "****"}
    }


async def test_by_files_they_are_in_memory_for_their_owner_alone(ran: Ran) -> None:
    script = (
        'cd "$POSTROOM_DIRECTORY" && stat -c "%a %U" . crm crm/password && stat -f -c %T . '
        "&& wc -c < crm/password && cat crm/user_name"
    )
    assert (await ran("sh", "-c", script, credentials=CRM, how=HandOver(by="files"))).ok
    user = os.popen("id -un").read().strip()
    assert ran.out == [
        f"700 {user}",
        f"700 {user}",
        f"400 {user}",
        "tmpfs",
        str(len(PASSWORD)),
        "ann",
    ]
    assert ran.left() == []


async def test_by_environment_only_as_asked(ran: Ran) -> None:
    how = HandOver(by="environment", environment={"CRM_PASSWORD": "crm.password"})
    assert (await ran("sh", "-c", "echo ${#CRM_PASSWORD}; env", credentials=CRM, how=how)).ok
    assert ran.out[0] == str(len(PASSWORD))
    assert "CRM_PASSWORD=****" in ran.out


async def test_a_field_that_there_is_not_is_refused_with_the_nearest(ran: Ran) -> None:
    how = HandOver(by="environment", environment={"WORD": "crm.pasword"})
    with pytest.raises(InvalidValue, match="did you mean password"):
        await ran("true", credentials=CRM, how=how)
    with pytest.raises(InvalidValue, match="granted are crm"):
        await ran(
            "true", credentials=CRM, how=HandOver(by="environment", environment={"A": "erp.x"})
        )
    assert ran.left() == []


async def test_files_are_refused_where_nothing_is_in_memory(
    ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postroom.jobs.handing._IN_MEMORY", ("nosuchfs",))
    with pytest.raises(Refused, match="none is written to a disk"):
        await ran("true", credentials=CRM, how=HandOver(by="files"))


async def test_its_environment_is_not_the_workers(
    ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T25: the key of the room, and whatever else the worker was told, stays with the worker."""
    monkeypatch.setenv("POSTROOM_KEK", "env:ROOM_KEY")
    monkeypatch.setenv("ROOM_KEY", "Canary-key-of-the-room-00")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    assert (await ran("env")).ok
    names = {line.partition("=")[0] for line in ran.out}
    assert {"PATH", "HOME", "TZ", "TMPDIR"} <= names
    assert not names & {"POSTROOM_KEK", "ROOM_KEY", "PYTHONPATH", "PYTEST_CURRENT_TEST"}


async def test_it_inherits_no_other_descriptor(ran: Ran) -> None:
    with Path(__file__).open() as open_here:
        os.set_inheritable(open_here.fileno(), True)
        assert (await ran("sh", "-c", "ls -l /proc/$$/fd", credentials=CRM)).ok
    found = [line.rpartition("-> ")[2] for line in ran.out if "->" in line]
    assert not [path for path in found if path.endswith(".py")]
    assert len(found) == 5, found  # 0, 1, 2, what it was handed, and the lock of its run


async def test_a_message_is_what_it_reads(ran: Ran) -> None:
    message = b"From: a@example.com\r\n\r\n" + b"x" * 300_000
    assert (await ran("wc", "-c", stdin=message)).ok
    assert ran.out == [str(len(message))]
    assert (await ran("wc", "-c")).ok
    assert ran.out[-1] == "0"


# ------------------------------------------------------------------------------ output


async def test_a_secret_in_two_halves_is_scrubbed(ran: Ran) -> None:
    """T34: a program that prints what it was given, in pieces and encoded, does not get it into the log."""
    code = (
        "import sys, os, time, json, base64\n"
        "word = json.load(open(3))['credentials']['crm']['password']\n"
        "for half in (word[:7], word[7:], '\\n', base64.b64encode(b'x' + word.encode()).decode()):\n"
        "    os.write(2, half.encode()); time.sleep(0.1)\n"
    )
    assert (await ran(sys.executable, "-c", code, credentials=CRM)).ok
    assert next(line for line in ran.lines if line[0] == "stderr") == ("stderr", "****")
    assert PASSWORD[:12] not in str(ran.lines)


async def test_another_open_secret_is_scrubbed_too(ran: Ran) -> None:
    other = Secret("Canary-of-another-record")
    assert (await ran("sh", "-c", "echo Canary-of-another-record")).ok
    assert ran.out == ["****"]
    assert other


@pytest.mark.slow
async def test_a_gigabyte_is_read_in_bounded_memory(ran: Ran) -> None:
    """The beginning and the end are kept, the rest is counted, and the worker does not grow.

    The words are such as no other test has for a secret: every open one is taken out.
    """
    script = "echo it-begins-here; yes | head -c 1000000000; echo it-ends-here"
    with memory_growth() as grown:
        assert (await ran("sh", "-c", script, limits=Limits(output=200_000))).ok
    assert grown() < 16 * MIB
    assert ran.out[0] == "it-begins-here"
    assert ran.out[-1] == "it-ends-here"
    assert len(ran.out) < 10_000
    left_out = [line for line in ran.out if "left out" in line]
    assert len(left_out) == 1
    assert 999_000_000 < int(left_out[0].split()[0][1:]) < 1_000_000_000


async def test_endless_lines_and_bytes_that_are_no_text_are_bounded(ran: Ran) -> None:
    assert (await ran("sh", "-c", "head -c 3000000 /dev/urandom; head -c 3000000 /dev/zero")).ok
    assert max(len(line) for line in ran.out) <= 8 * 1024 * len("\\x00")
    assert sum(len(line) for line in ran.out) < 8 * MIB
    assert all(line.replace("\t", "").isprintable() for line in ran.out)


async def test_a_secret_at_the_edge_of_what_is_kept_is_scrubbed(ran: Ran) -> None:
    """T34: nor does half of one survive where the middle is left out."""
    code = (
        "import json\nword = json.load(open(3))['credentials']['crm']['password']\n"
        "print(word * 40_000, end='')\n"
    )
    for limit in (2000, 2001, 2007, 2013):
        ran.lines.clear()
        ended = await ran(sys.executable, "-c", code, credentials=CRM, limits=Limits(output=limit))
        assert ended.ok
        assert [line for line in ran.out if line.strip("*")] == [ran.out[-2]]
        assert "left out" in ran.out[-2]


# ------------------------------------------------------------------------------ ends


async def test_its_status_and_its_signal_are_told(ran: Ran) -> None:
    assert await ran("sh", "-c", "exit 7") == Ended(7)
    ended = await ran("sh", "-c", "kill -9 $$")
    assert ended == Ended(None, 9)
    assert why_it_ended(ended, Limits()) == "It was ended by signal 9."
    assert ran.left() == []


async def test_a_program_that_there_is_not(ran: Ran, tmp_path: Path) -> None:
    with pytest.raises(NotThere, match="no program 'nosuch'") as missing:
        await ran("nosuch")
    assert missing.value.facts["status"] == 127
    file = tmp_path / "data.txt"
    file.write_text("echo hello\n")
    with pytest.raises(Refused, match="Permission denied") as not_executable:
        await ran(str(file))
    assert not_executable.value.facts["status"] == 126
    file.chmod(0o755)
    with pytest.raises(Refused, match="Exec format error"):
        await ran(str(file))
    with pytest.raises(Refused, match="cannot be entered"):
        await ran("true", directory=str(tmp_path / "nowhere"))
    assert ran.left() == []


async def test_a_time_limit_ends_it_though_it_does_not_listen(ran: Ran) -> None:
    """Asked first, killed after the grace."""
    began = time.monotonic()
    ended = await ran("sh", "-c", "trap 'echo asked' TERM; while :; do sleep 0.1; done",
                      limits=Limits(time="1s"), grace=0.5)  # fmt: skip
    assert (ended.signal, ended.why) == (9, "time")
    assert time.monotonic() - began < 15
    assert "asked" in ran.out
    assert "longer than 1 seconds" in why_it_ended(ended, Limits(time="1s"))
    assert ran.left() == []


async def test_a_memory_limit_counts_all_of_the_tree(ran: Ran) -> None:
    code = (
        "import os, time\nfor _ in range(3):\n    if os.fork() == 0:\n        break\n"
        "held = os.urandom(40 << 20)\ntime.sleep(60)\n"
    )
    ended = await ran(sys.executable, "-c", code, limits=Limits(memory=100 << 20))
    assert ended.why == "memory"
    assert "bytes of memory" in why_it_ended(ended, Limits())


async def test_what_forks_share_is_counted_once(ran: Ran) -> None:
    # twice what is held is too much; once, and a half, as of a look in the midst of the fork, is not
    code = (
        "import os, time\nheld = os.urandom(80 << 20)\n"
        "pids = [os.fork() for _ in range(1)]\n"
        "time.sleep(1)\n"
    )
    assert (await ran(sys.executable, "-c", code, limits=Limits(memory=140 << 20))).ok


async def test_one_large_allocation_fails_before_it_is_made(ran: Ran) -> None:
    code = "try: x = bytearray(1 << 33)\nexcept MemoryError: print('refused')"
    assert (await ran(sys.executable, "-c", code, limits=Limits(memory=100 << 20))).ok
    assert ran.out == ["refused"]


async def test_it_leaves_no_core_dump(ran: Ran) -> None:
    assert (await ran("sh", "-c", "ulimit -c; ulimit -Hc")).ok
    assert ran.out == ["0", "0"]


STAYS = (
    "import os, sys, time\n"
    "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
    "        import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    "        os.chdir('/'); [os.close(fd) for fd in range(3)]\n"
    "        open(sys.argv[1], 'w').write(str(os.getpid()))\n        time.sleep(600)\n"
    "    os._exit(0)\n"
    "while not os.path.exists(sys.argv[1]) or not open(sys.argv[1]).read(): time.sleep(0.02)\n"
)
"""Forks twice, in a session of its own, closes what it has and stays."""


async def test_what_forks_and_stays_ends_with_its_program(ran: Ran, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    assert (await ran(sys.executable, "-c", STAYS, str(note))).ok
    assert not alive(int(note.read_text()))
    assert ran.left() == []


async def test_cancelling_ends_all_of_it_before_it_returns(ran: Ran, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    task = asyncio.create_task(ran(sys.executable, "-c", STAYS + "time.sleep(600)", str(note),
                                   credentials=CRM, how=HandOver(by="files")))  # fmt: skip
    await until(lambda: note.exists() and note.read_text())
    assert ran.left()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(int(note.read_text()))
    assert ran.left() == []


HOPS = (
    "import os, signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "for _ in range(2): os.fork()\n"
    "while True:\n    if os.fork(): os._exit(0)\n"
)
"""Four processes that are each another one a moment later, and do not listen."""


async def test_what_forks_all_the_time_cannot_outrun_its_end(ran: Ran) -> None:
    assert (await ran(sys.executable, "-S", "-c", HOPS, grace=0.3)).ok
    assert ran.left() == []


async def test_a_guard_that_is_killed_takes_its_program_along(ran: Ran) -> None:
    """The program may do that: it runs as the same user."""
    ended = await ran("sh", "-c", "kill -9 $PPID; sleep 600; true")
    assert ended.why == "guard"
    await until(lambda: RunLock(ran.runs, "r1").try_to_take())


# ------------------------------------------------------------------------------ the lock


async def test_a_run_is_not_begun_anew_while_it_is_at_work(ran: Ran) -> None:
    first = asyncio.create_task(ran("sh", "-c", "echo at work; sleep 600"))
    await until(lambda: ran.out)
    with pytest.raises(Refused) as held:
        await ran("true", wait=0.3)
    assert (held.value.code, held.value.temporary) == ("claim_lost", True)
    assert sweep(ran.runs) == 0
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await ran("true", wait=0.3)).ok


async def test_what_killed_runs_left_is_swept(ran: Ran) -> None:
    lock = RunLock(ran.runs, "r1")
    await lock.take()
    lock.directory.mkdir()
    (lock.directory / "part").write_text("x")
    assert lock.private is not None
    (lock.private / "crm").mkdir(parents=True)
    lock.let_go()
    assert sweep(ran.runs) == 1
    assert ran.left() == []


async def test_a_worker_sweeps(room: Room) -> None:
    lock = RunLock(room.settings.room / "runs", "r1")
    await lock.take()
    lock.directory.mkdir()
    lock.let_go()
    await room.running.tidy()
    assert not lock.directory.exists()
