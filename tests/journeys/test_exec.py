"""``postroom exec``: a program with a stored credential, as a shell script starts it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.child import Child
from tests.journeys.conftest import Cli
from tests.journeys.terminal import Terminal
from tests.sweep import forms

PASSWORD = "Canary-exec-7d41f0c2a9"


@pytest.fixture
def crm(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A room with the credential ``crm``, which programs may be handed."""
    monkeypatch.setenv("CRM_PASSWORD", PASSWORD)
    made = cli("credential", "add", "crm", "--type", "password", "--user-name", "ann",
               "--password-from-env", "CRM_PASSWORD", "--programs")  # fmt: skip
    assert made.status == 0, made
    monkeypatch.delenv("CRM_PASSWORD")
    return cli


def words(cli: Cli, *options: str) -> list[str]:
    where = ["--room", str(cli.settings.room), "--kek", str(cli.settings.kek)]
    return ["-m", "postroom", "exec", *where, *(options or ("--credential", "crm")), "--"]


def run(cli: Cli, *program: str, options: tuple[str, ...] = (), **more: Any) -> Any:
    command = [sys.executable, *words(cli, *options), *program]
    return subprocess.run(command, capture_output=True, check=False, timeout=60, **more)


def until(told: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not told():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_it_is_handed_the_fields_and_its_status_is_given_back(crm: Cli) -> None:
    done = run(crm, "sh", "-c", "cat <&$POSTROOM_FD; echo to stderr >&2; exit 7")
    assert done.returncode == 7, done
    given = json.loads(done.stdout)
    assert given["credentials"] == {"crm": {"user_name": "ann", "password": "****"}}
    assert done.stderr == b"to stderr\n"


def test_by_environment_and_by_files(crm: Cli) -> None:
    by_name = ("--credential", "crm", "--env", "LOGIN=user_name", "--env", "WORD=crm.password")
    done = run(crm, "sh", "-c", "echo $LOGIN ${#WORD} $WORD", options=by_name)
    assert done.stdout.decode() == f"ann {len(PASSWORD)} ****\n"
    files = ("--credential", "crm", "--as", "files")
    script = (
        "stat -c %a $POSTROOM_DIRECTORY/crm/password; wc -c < $POSTROOM_DIRECTORY/crm/password; "
    )
    done = run(crm, "sh", "-c", f"{script} echo $POSTROOM_DIRECTORY", options=files)
    mode, size, place = done.stdout.decode().split()
    assert (mode, int(size)) == ("400", len(PASSWORD))
    assert not Path(place).exists()


def test_several_credentials(crm: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERP", "Canary-erp-11223344556677")
    assert crm("credential", "add", "erp", "--type", "secret", "--value-from-env", "ERP",
               "--programs").status == 0  # fmt: skip
    monkeypatch.delenv("ERP")
    both = ("--credential", "crm", "--credential", "erp")
    done = run(crm, "sh", "-c", "cat <&3", options=both)
    assert set(json.loads(done.stdout)["credentials"]) == {"crm", "erp"}
    done = run(crm, "true", options=(*both, "--env", "A=value"))
    assert done.returncode == 2
    assert b"give credential.field" in done.stderr


def test_what_goes_through_is_exact_apart_from_secrets(crm: Cli) -> None:
    """T34: bytes that are no text, a secret in two halves; through a pipe, as shells have it."""
    data = bytes(range(256)) * 4096 + b"\r\n\0end"
    assert run(crm, "cat", input=data).stdout == data
    code = (
        "import json, os, sys, time\n"
        "word = json.load(open(3))['credentials']['crm']['password']\n"
        "for part in ('a', word[:9], word[9:], word.upper(), 'z'):\n"
        "    os.write(1, part.encode()); time.sleep(0.05)\n"
    )
    assert run(crm, sys.executable, "-c", code).stdout == b"a********z"


@pytest.mark.bares("process", why="--raw: the terminal is the program's own, and it is said so")
def test_raw_scrubs_nothing(crm: Cli) -> None:
    done = run(crm, "sh", "-c", "cat <&3", options=("--credential", "crm", "--raw"))
    assert json.loads(done.stdout)["credentials"]["crm"]["password"] == PASSWORD


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_passed_on(crm: Cli, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo got {name}; exit 9' {name}; echo ready; while :; do sleep 0.05; done"
    with Child(*words(crm), "sh", "-c", script) as child:
        assert child.line() == "ready"
        child.send(number)
        assert child.line() == f"got {name}"
        assert child.wait() == 9


def test_a_program_that_a_signal_ends_has_the_status_of_shells(crm: Cli) -> None:
    assert run(crm, "sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM


def test_what_cannot_be_executed_has_the_status_of_shells(crm: Cli, tmp_path: Path) -> None:
    missing = run(crm, "nosuchprogram")
    assert missing.returncode == 127
    assert missing.stderr.startswith(b"postroom: There is no program 'nosuchprogram'")
    file = tmp_path / "plain.txt"
    file.write_text("text")
    refused = run(crm, str(file))
    assert refused.returncode == 126
    assert b"chmod +x" in refused.stderr


def test_a_reader_that_goes_away_ends_it(crm: Cli) -> None:
    command = [sys.executable, *words(crm), "yes"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"y\n"
        process.stdout.close()
        assert process.wait(30) == 128 + signal.SIGPIPE


def test_what_it_started_ends_with_it(crm: Cli) -> None:
    done = run(crm, "sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & echo $!")
    assert done.returncode == 0
    pid = int(done.stdout)
    assert not Path(f"/proc/{pid}/fd").exists()


def test_killed_it_leaves_nothing(crm: Cli) -> None:
    files = ("--credential", "crm", "--as", "files")
    script = "echo $$ $POSTROOM_DIRECTORY; sleep 600"
    with Child(*words(crm, *files), "sh", "-c", script) as child:
        pid, place = child.line().split()
        assert Path(place).exists()
        child.kill()
        until(lambda: not Path(place).exists() and not Path(f"/proc/{pid}").exists())
    runs = crm.settings.room / "runs"
    until(lambda: not list(runs.iterdir()))


# ------------------------------------------------------------------------------ who may


def test_a_credential_that_programs_may_not_be_handed(crm: Cli, tmp_path: Path) -> None:
    """T27: refused with the command that permits it, and nothing is started or opened."""
    assert crm("credential", "set", "crm", "--no-programs").status == 0
    shown = crm("credential", "show", "crm", "--json").json
    assert (shown["programs"], shown["destinations"]) == (False, [])
    done = run(crm, "touch", str(tmp_path / "started"))
    assert done.returncode == 1
    assert b"postroom credential set crm --programs" in done.stderr
    assert not (tmp_path / "started").exists()
    assert not [row for row in audit(crm) if row["action"] == "open"]


def test_on_a_terminal_it_is_asked(crm: Cli) -> None:
    assert crm("credential", "set", "crm", "--no-programs").status == 0
    with Terminal(*words(crm)[2:], "echo", "done") as terminal:
        terminal.until("whichever you start?")
        terminal.type("y")
        terminal.until("done")
    assert crm("credential", "show", "crm", "--json").json["destinations"] == ["exec"]


def test_raw_has_the_terminal_for_itself(crm: Cli) -> None:
    """As a pager or an editor needs it: it reads /dev/tty, and Ctrl-C is the program's own."""
    raw = ("--credential", "crm", "--raw")
    script = (
        "trap 'echo caught; exit 3' INT; echo ready; read line </dev/tty; echo got $line; "
        "while :; do sleep 0.05; done"
    )
    with Terminal(*words(crm, *raw)[2:], "sh", "-c", script) as terminal:
        terminal.until("ready")
        terminal.type("typed")
        terminal.until("got typed")
        terminal.interrupt()
        terminal.until("caught")
        assert terminal.end() == 3


def test_ctrl_c_on_a_terminal_reaches_it(crm: Cli) -> None:
    script = "trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.05; done"
    with Terminal(*words(crm)[2:], "sh", "-c", script) as terminal:
        terminal.until("ready")
        terminal.interrupt()
        terminal.until("caught")
        assert terminal.end() == 3


def audit(cli: Cli) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = cli("audit", "list", "--json").json["items"]
    return items


def test_the_record_says_who_was_handed_it_and_no_argument(crm: Cli) -> None:
    assert run(crm, "echo", "an argument").returncode == 0
    opened = [row for row in audit(crm) if row["action"] == "open"]
    assert len(opened) == 1
    assert opened[0]["name"] == "crm"
    assert opened[0]["detail"]["line"] == "exec"
    assert opened[0]["detail"]["purpose"] == "hand it to echo"
    assert "an argument" not in json.dumps(opened)


def test_the_room_file_has_it(crm: Cli, tmp_path: Path) -> None:
    file = tmp_path / "room.yaml"
    file.write_text(crm("export").out)
    assert re.search(r"programs: true", file.read_text())
    again = crm("apply", str(file), "--json").json
    assert {step["verb"] for step in again["steps"]} <= {"same"}
    file.write_text(file.read_text().replace("programs: true", "programs: false"))
    assert crm("apply", str(file), "--yes").status == 0
    assert crm("credential", "show", "crm", "--json").json["destinations"] == []
    file.write_text(file.read_text().replace("programs: false", "programs: often"))
    wrong = crm("apply", str(file))
    assert wrong.status == 2
    assert "say true or false" in wrong.err


# ------------------------------------------------------------------------------ nothing tells


def test_no_process_shows_the_secret(crm: Cli) -> None:
    """T31: neither the command line nor the environment of anything, here or below, has it."""
    with Child(*words(crm), "sh", "-c", "echo ready; exec sleep 600") as child:
        assert child.line() == "ready"
        needles = forms(PASSWORD.encode()).values()
        seen = 0
        for path in [*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")]:
            try:
                data = path.read_bytes()
            except OSError:
                continue
            seen += 1
            assert not any(needle in data for needle in needles), path
        assert seen > 10
        child.stop()


def test_the_key_of_the_room_is_not_in_its_environment(
    crm: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T25: neither where it is nor what it is; everything else is the shell's."""
    key = Path(str(crm.settings.kek).removeprefix("file:")).read_text().strip()
    monkeypatch.setenv("POSTROOM_KEK", "env:ROOM_KEY")
    monkeypatch.setenv("ROOM_KEY", key)
    monkeypatch.setenv("OTHER", "stays")
    command = ["-m", "postroom", "exec", "--room", str(crm.settings.room), "--credential", "crm"]
    done = subprocess.run([sys.executable, *command, "--", "env"], capture_output=True, check=True,
                          env=os.environ)  # fmt: skip
    names = {line.partition(b"=")[0] for line in done.stdout.splitlines()}
    assert b"OTHER" in names
    assert not names & {b"POSTROOM_KEK", b"ROOM_KEY"}
