"""Jobs that run code with stored credentials, from the room file to the run's log; the examples."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import postroom
from tests.journeys.conftest import Cli

TOKEN = "Canary-crm-token-51f0b7e3"
EXAMPLES = Path(__file__).parents[2] / "examples"
SRC = Path(postroom.__file__).parents[1]


class Crm(ThreadingHTTPServer):
    """An API of customers that wants a bearer token."""

    asked: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: Crm

    def do_GET(self) -> None:
        allowed = self.headers["Authorization"] == f"Bearer {TOKEN}"
        self.server.asked.append(self.path)
        since = self.path.rpartition("=")[2]
        known = [{"name": "Ann", "created": "2026-03-01"}, {"name": "Bob", "created": "2026-04-01"}]
        found = [one for one in known if one["created"] > since] if allowed else {"error": "token?"}
        body = json.dumps(found).encode()
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: Any) -> None: ...


@pytest.fixture
def crm() -> Iterator[Crm]:
    with Crm(("127.0.0.1", 0), _Answer) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory of ours for a room file and its scripts."""
    made = tmp_path / "definitions"
    made.mkdir(mode=0o755)
    return made


def apply(cli: Cli, place: Path, crm: Crm, jobs: str) -> Any:
    file = place / "room.yaml"
    file.write_text(
        "postroom: 1\ncredentials:\n  - name: crm\n    type: generic\n    description: The API\n"
        f"    fields: {{url: {{value: '{crm.url}', plain: true}}, token: {{from_env: CRM_TOKEN}}}}\n"
        f"jobs:\n{jobs}"
    )
    return cli("apply", str(file), "--yes")


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_TOKEN", TOKEN)


def test_the_example_of_a_python_job(cli: Cli, crm: Crm, place: Path) -> None:
    """As its text says: applied, run twice, and the second time it remembers how far it came."""
    shutil.copy(EXAMPLES / "crm.py", place)
    text = (EXAMPLES / "crm.py").read_text()
    line = re.search(r"^ +(- \{name: new-customers.*\})$", text, re.MULTILINE)
    assert line is not None
    applied = apply(cli, place, crm, f"  {line[1]}\n")
    assert applied.status == 0, applied
    destinations = cli("credential", "show", "crm", "--json").json["destinations"]
    assert re.fullmatch(r"job:new-customers#[0-9a-f]{64}", destinations[0])
    first = cli("job", "run", "new-customers", "--json")
    assert first.status == 0, first
    second = cli("job", "run", "new-customers")
    assert second.status == 0, second
    assert crm.asked == ["/customers?since=2026-01-01", "/customers?since=2026-04-01"]
    runs = cli("job", "runs", "new-customers", "--json").json["items"]
    assert [run["result"] for run in runs] == [{"new": 0}, {"new": 2}]
    log = cli("job", "log", runs[1]["id"])
    assert "2026-03-01 Ann" in log.out + log.err
    assert "hand it to job new-customers" in cli("audit", "list", "--json").out


def test_a_changed_script_does_not_run_until_somebody_agrees(
    cli: Cli, crm: Crm, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T26: who can write the script cannot have it run with the token."""
    script = shutil.copy(EXAMPLES / "crm.py", place)
    job = "  - {name: new-customers, python: ./crm.py, credentials: [crm]}\n"
    assert apply(cli, place, crm, job).status == 0
    assert cli("job", "run", "new-customers").status == 0
    Path(script).write_text(Path(script).read_text() + "\n# a change\n")
    refused = cli("job", "run", "new-customers")
    assert refused.status == 1
    assert "was changed after job new-customers was saved" in refused.out + refused.err
    again = "job", "set", "new-customers", "--set", f"python.file={script}"
    assert cli(*again).status == 1  # nobody is there to agree
    assert cli(*again, "--rebind").status == 0
    assert cli("job", "run", "new-customers").status == 0
    # with the value in the same request nobody is asked: the room file has where it comes from
    Path(script).write_text(Path(script).read_text() + "\n# another\n")
    assert apply(cli, place, crm, job).status == 0
    assert cli("job", "run", "new-customers").status == 0
    assert len(crm.asked) == 3


def test_a_command_is_handed_what_it_was_granted(cli: Cli, crm: Crm, place: Path) -> None:
    """Its status, its output without secrets, and the destination that its words are."""
    script = "wc -c < $POSTROOM_DIRECTORY/crm/token; cat $POSTROOM_DIRECTORY/crm/*; exit $1"
    job = (
        f"  - name: show\n    credentials: [crm]\n"
        f"    command: {{words: [sh, -c, '{script}', sh, '0'], hand_over: {{by: files}}}}\n"
    )
    assert apply(cli, place, crm, job).status == 0
    done = cli("job", "run", "show")
    assert done.status == 0, done
    assert str(len(TOKEN)) in done.out + done.err
    assert "****" in done.out + done.err
    assert TOKEN not in done.out + done.err
    changed = cli("job", "set", "show", "--set", 'command.words=["sh", "-c", "cat /dev/null"]')
    assert changed.status == 1
    assert "job:show#" in changed.out + changed.err
    moved = apply(cli, place, crm, job.replace("'0'", "'3'"))
    assert moved.status == 0, moved
    failed = cli("job", "run", "show")
    assert failed.status == 1
    assert "It ended with status 3." in failed.out + failed.err


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_example_of_a_shell_script(cli: Cli, crm: Crm, place: Path) -> None:
    """It asks the API; the token is in no command line while it runs, and not in what it writes."""
    assert apply(cli, place, crm, "  []\n").status == 0
    assert cli("credential", "set", "crm", "--programs", "--rebind").status == 0
    programs = place / "bin"
    programs.mkdir()
    (programs / "postroom").write_text(f'#!/bin/sh\nexec {sys.executable} -m postroom "$@"\n')
    (programs / "postroom").chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(SRC),
        "POSTROOM_ROOM": str(cli.settings.room),
        "POSTROOM_KEK": str(cli.settings.kek),
    }
    del environment["CRM_TOKEN"]
    done = subprocess.run([str(EXAMPLES / "exec.sh"), "2026-03-15"], capture_output=True, text=True,
                          check=False, env=environment, timeout=60)  # fmt: skip
    assert done.returncode == 0, done
    assert json.loads(done.stdout) == [{"name": "Bob", "created": "2026-04-01"}]
    assert crm.asked == ["/customers?since=2026-03-15"]
