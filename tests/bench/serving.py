"""A served room: what it costs idle, how soon its pages come, how soon the API answers a read."""

from __future__ import annotations

import asyncio
import http.client
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from postroom.app import Room, open_room
from postroom.db import Tx
from postroom.secret import Secret
from tests.bench.collecting import Say
from tests.bench.figures import Figure
from tests.bench.pages import PAGES, signed_in, weight
from tests.bench.reads import furnish, reads, spent
from tests.bench.rooms import Place, Scratch, listing_room

__all__ = ["serving"]

_LINE = re.compile(r"https?://127\.0\.0\.1:(\d+)")
_NAME, _PASSWORD = "ada", "correct horse battery staple"


def serving(credentials: int, entries: int, repeats: int, disk: Scratch, say: Say) -> list[Figure]:
    """Figures of a room with so many credentials, and so many messages in the ledger of one source."""
    idle: list[float] = []
    after: list[float] = []
    drawn: dict[str, list[float]] = {name: [] for name in PAGES}
    first: list[float] = []
    size: list[float] = []
    worst: list[float] = []
    whole: list[float] = []
    searched: list[float] = []
    with disk.new() as base:
        place = Place(base)
        listing_room(place, credentials)
        token, known = asyncio.run(_filled(place, entries))
        for repeat in range(repeats):
            with _served(place) as (pid, port):
                line = http.client.HTTPConnection("127.0.0.1", port)
                first.append(spent(line, "/sign-in")[0])
                inside = signed_in(line, _NAME, _PASSWORD)
                size.append(weight(line, inside))
                for name, path in PAGES.items():
                    drawn[name].append(_95th([spent(line, path, inside)[0] for _ in range(50)]))
                head = {"Authorization": f"Bearer {token.reveal()}"}
                routes = reads(line, head, known)
                asked = {path: _asked(line, path, head, 40) for path in routes.one}
                for path in sorted(asked, key=asked.__getitem__, reverse=True)[:_TOLD]:
                    say(f"serve, run {repeat + 1}: {asked[path]:.1f} ms {path}")
                worst.append(max(asked.values()))
                searched.append(_asked(line, "/ledger?subject=nothing", head, 20))
                idle.append(_left_alone(line, pid))
                examined = {path: _asked(line, path, head, 2) for path in routes.whole}
                for path, took in examined.items():
                    say(f"serve, run {repeat + 1}: {took:,.0f} ms {path}")
                whole.append(max(examined.values()))
                after.append(_left_alone(line, pid))
            told = ", ".join(f"{name} {found[-1]:.1f} ms" for name, found in drawn.items())
            say(
                f"serve, run {repeat + 1}: {idle[-1]:.0f} MB, {after[-1]:.0f} MB after the examinations; "
                f"pages: {told}"
            )
    many = f"of {len(asked)} routes"
    return [
        Figure("postroom serve, idle after its reads", "memory", idle, aim="< 120 MB"),
        Figure("postroom serve, idle after whole rooms were examined", "memory", after),
        *(
            Figure(f"page: {name}, 95th percentile", "time", found, aim="< 150 ms")
            for name, found in drawn.items()
        ),
        Figure("page: the first answer of a new process", "time", first, aim="< 150 ms"),
        Figure("page: the overview with everything", "small memory", size, aim="< 100 KB"),
        Figure(f"API, the slowest {many}, 95th percentile", "time", worst, aim="< 20 ms"),
        Figure("API, words that no subject has, 95th percentile", "time", searched),
        Figure("API, the slowest examination of the whole room", "time", whole),
    ]


_TOLD = 6
"""Routes that are named: the slowest."""


def _asked(line: http.client.HTTPConnection, path: str, head: dict[str, str], times: int) -> float:
    """The 95th percentile of so many requests, the first of a new process among them."""
    return _95th([spent(line, f"/api/v1{path}", head)[0] for _ in range(times)])


async def _filled(place: Place, entries: int) -> tuple[Secret, dict[str, str]]:
    """A source with so many messages in its ledger, one of each other noun, and an administrator;
    gives a token of theirs, and what an address may name beside names.
    """
    room = await open_room(place.settings)
    incoming = {"protocol": "imap", "host": "imap.example.com", "auth": {"type": "none"}}
    outgoing = {"protocol": "smtp", "host": "mail.example.com", "auth": {"type": "none"}}
    nobody = {
        "worker_roles": ["elsewhere"]
    }  # its host is nobody's: this worker does not ask for it
    await room.connections.add(
        {"name": "bench", "incoming": incoming, "outgoing": outgoing, **nobody}
    )
    sink = {"type": "directory", "path": str(place.base / "out")}
    await room.sources.add({"name": "bench-in", "connection": "bench", "sink": sink})
    await room.desk.write(lambda tx: _entries(tx, entries))
    known = await furnish(room)
    token = await _token(room)
    await room.close()
    return token, known


def _entries(tx: Tx, count: int) -> None:
    source = tx.one("SELECT id, store FROM sources")
    assert source is not None
    for number in range(count):
        tx.execute(
            "INSERT INTO ledger (source, store, folder, message, state, reason, attempts, size, "
            "received_at, subject, sender, message_id, sha256, delivered_to, after_due, due_at, "
            "retries, gone_at, first_seen_at, updated_at) VALUES (:id, :store, 'INBOX', :key, 'done', "
            "'', 1, 2048, :at, 'Order', 'eve@example.com', '<m@x>', NULL, '', '', 0, 0, NULL, :at, :at)",
            id=source["id"], store=source["store"], key=f"7/{number}", at=1_780_000_000.0 + number,
        )  # fmt: skip


async def _token(room: Room) -> Secret:
    code = await room.people.first_address()
    assert code is not None
    done = await room.people.accept(code, _NAME, Secret(_PASSWORD))
    made = await room.acting(done.session.person).tokens.add("bench")
    return Secret(made["token"])


@contextmanager
def _served(place: Place) -> Iterator[tuple[int, int]]:
    """The process that serves the room, and its port."""
    own = ["--room", str(place.settings.room), "--kek", str(place.settings.kek)]
    words = [sys.executable, "-m", "postroom", "serve", "--port", "0", *own]
    log = place.base / "serve.log"  # a pipe that nobody reads would stop the server
    with log.open("w") as into, subprocess.Popen(words, stderr=into) as process:
        try:
            while (found := _LINE.search(log.read_text())) is None:
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            yield process.pid, int(found[1])
        finally:
            process.terminate()


def _95th(times: object) -> float:
    found = sorted(times)  # type: ignore[call-overload]
    return float(found[int(len(found) * 0.95) - 1])


def _left_alone(line: http.client.HTTPConnection, pid: int) -> float:
    """What it keeps when nobody has asked for anything for a while."""
    line.close()
    time.sleep(20.0)
    return _resident(pid)


def _resident(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found
    return int(found[1]) / 1024
