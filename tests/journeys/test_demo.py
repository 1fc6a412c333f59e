"""``postroom demo`` as a person meets it: run twice, looked into, and kept from another's room."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from postroom.app import open_room
from postroom.settings import Settings
from tests.journeys.test_security import SOURCE, leaks

ROOM = "demo room"
"""With a blank, so that what the demo prints to be typed has to be quoted."""


class Run(NamedTuple):
    """How a demo ended, and what other users of the machine could see of its processes."""

    status: int
    out: str
    err: str
    seen: frozenset[bytes]


def environment() -> dict[str, str]:
    """Ours, without a ``postroom`` on the path and without settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_")}
    return {**kept, "PYTHONPATH": SOURCE, "PATH": "/usr/bin:/bin"}


async def demo(folder: Path, *words: str) -> Run:
    """One demo in a process of its own, watched by way of /proc while it runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "postroom", "demo", *words, "--room", ROOM, cwd=folder,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env=environment(),
    )  # fmt: skip
    seen: set[bytes] = set()
    ending = asyncio.create_task(process.communicate())
    while not ending.done():
        for pid in family(process.pid):
            seen |= {shown(pid, "cmdline"), shown(pid, "environ")}
        await asyncio.wait([ending], timeout=0.02)
    out, err = ending.result()
    return Run(process.returncode or 0, out.decode(), err.decode(), frozenset(seen))


def family(pid: int) -> Iterator[int]:
    """A process and all its children."""
    yield pid
    for child in shown(pid, f"task/{pid}/children").split():
        yield from family(int(child))


def shown(pid: int, name: str) -> bytes:
    """A file of /proc; empty when the process has ended."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


async def password_of(folder: Path) -> str:
    """The demo's password, by the room's own key: it is random, so only the vault can tell."""
    settings = Settings(folder / ROOM, f"file:{folder / f'{ROOM}-files' / 'room.key'}")
    room = await open_room(settings)
    try:
        opened: Any = await room.desk.db.write(
            lambda tx: room.desk.credentials.open(
                tx, "demo-login", line=None, actor="local:test", purpose="test"
            )
        )
        return str(opened.fields.password.reveal())
    finally:
        await room.close()


def collected(folder: Path) -> list[bytes]:
    """The files of the sink, by uid."""
    found = (folder / f"{ROOM}-files" / "collected" / "INBOX").iterdir()
    return [path.read_bytes() for path in sorted(found, key=lambda p: int(p.stem.split("-")[1]))]


def on_the_server(folder: Path) -> list[bytes]:
    """The files of the server's Maildir, by date."""
    found = (folder / f"{ROOM}-files" / "servers" / "mailbox").glob("[cn]*/*")
    return [path.read_bytes() for path in sorted(found, key=lambda p: p.name.partition(":")[0])]


def check_secrecy(folder: Path, run: Run, password: str) -> None:
    """The password is in no argument, variable, output or file, in no form; the mask is shown."""
    assert any(b"postroom.cli.demo.serving" in words for words in run.seen), "the servers' process"
    for words in run.seen:
        assert not leaks(words, password)
    assert not leaks((run.out + run.err).encode(), password)
    assert f"****{password[-4:]}" in run.out
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert folder / ROOM / "room.db" in files
    for path in files:
        assert not leaks(path.read_bytes(), password), path


async def test_the_demo_twice(tmp_path: Path) -> None:
    """What it says is so; the second begins anew and leaves nothing of the first."""
    first = await demo(tmp_path)
    assert first.status == 0, first.err
    table = dict(re.findall(r"^  (\w[\w ]*?)  +(\S.*)$", first.out, re.MULTILINE))
    assert table["collected"].startswith("200 messages")
    assert table["recorded"] == "200 done"
    assert re.match(r"sent to orders@demo\.example in .* reply 250$", table["sent"])
    assert table["collected again"] == "1 message: Hello from Postroom"
    assert table["audit record"] == "whole"
    assert "Traceback" not in first.err

    found = collected(tmp_path)
    assert len(found) == 201
    assert found == on_the_server(tmp_path), "exact bytes"
    assert b"\r\nSubject: Hello from Postroom\r\n" in found[-1]
    assert b"This went through a durable outbox." in found[-1]
    password = await password_of(tmp_path)
    check_secrecy(tmp_path, first, password)

    stray = tmp_path / f"{ROOM}-files" / "collected" / "INBOX" / "1-999.eml"
    stray.write_bytes(b"of the first")
    second = await demo(tmp_path, "--messages", "12", "--json")
    assert second.status == 0, second.err
    told = json.loads(second.out)
    assert told["room"] == str(tmp_path / ROOM)
    assert told["happened"]["collected"].startswith("12 messages")
    assert told["happened"]["collected again"] == "1 message: Hello from Postroom"
    assert collected(tmp_path) == on_the_server(tmp_path)
    assert len(collected(tmp_path)) == 13
    other = await password_of(tmp_path)
    assert other != password
    check_secrecy(tmp_path, second, other)
    check_tries(tmp_path, first.out)


def check_tries(folder: Path, printed: str) -> None:
    """What the demo says to try works as it stands there, in the directory where it was said."""
    export, *tries = printed.partition("\nTry ")[2].splitlines()[1:]
    assert len(tries) == 4
    for line in tries:
        ended = subprocess.run(
            ["/bin/sh", "-c", f"{export}\n{line} --json"],
            cwd=folder, env=environment(), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, (line, ended.stderr)
        assert json.loads(ended.stdout)["v"] == 1


async def test_the_demo_leaves_a_room_alone_that_it_did_not_make(tmp_path: Path) -> None:
    """Whatever the name: what is no demo's is refused in a sentence and not touched."""
    (tmp_path / ROOM).mkdir()
    (tmp_path / ROOM / "room.db").write_bytes(b"somebody's")
    run = await demo(tmp_path)
    assert run.status == 1
    assert "no demo made it" in run.err
    assert "--room PATH" in run.err
    assert (tmp_path / ROOM / "room.db").read_bytes() == b"somebody's"
    assert not (tmp_path / f"{ROOM}-files").exists()
