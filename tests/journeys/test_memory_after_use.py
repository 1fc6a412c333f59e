"""What lies in the memory of a process that has opened a password a thousand times."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from postroom.app import Room
from postroom.secret import Secret
from postroom.settings import Settings
from tests.child import Child

PASSWORD = "Cny-5b77-of-the-heap-q0Zx"
OPENS = """
import asyncio, gc, signal, sys
from pathlib import Path
from postroom.app import open_room
from postroom.settings import Settings

async def main():
    room = await open_room(Settings(Path(sys.argv[1]), sys.argv[2]))
    kept = room.desk.credentials
    line = (await room.credentials.show("acme"))["destinations"][0]
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    for turns in (100, 1000):
        for _ in range(turns):
            await room.desk.write(
                lambda tx: kept.open(tx, "acme", line=line, actor="test", purpose="look")
            )
        gc.collect()
        print(turns, flush=True)
        signal.sigwait({signal.SIGUSR1})
    await room.close()

asyncio.run(main())
"""


def copies(pid: int, word: bytes) -> int:
    """How often a word stands in the memory of a process that this one may look into."""
    found = 0
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            area = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if area is None or "[v" in line:  # what the kernel shares has nothing of ours
                continue
            begin, end = (int(each, 16) for each in area.groups())
            memory.seek(begin)
            rest = end - begin
            while rest > 0 and (part := memory.read(min(rest, 1 << 24))):
                found += part.count(word)
                rest -= len(part)
    return found


async def test_a_thousand_uses_leave_no_more_than_a_hundred(room: Room, settings: Settings) -> None:
    """T37: Python wipes nothing for certain, and what is left of a use makes room for the next.

    The number itself is a matter of the allocator; that it does not grow with use is what is promised.
    """
    await room.credentials.create(
        "acme", "password", details={"user_name": "ann", "password": Secret(PASSWORD)}
    )
    side = {"host": "127.0.0.1", "port": "1", "auth": {"type": "secret", "credential": "acme"}}
    await room.connections.add({"name": "acme", "incoming": {"protocol": "imap", **side}})
    with Child("-c", OPENS, str(settings.room), str(settings.kek)) as child:
        assert child.line() == "100"
        first = copies(child.pid, PASSWORD.encode())
        child.send(signal.SIGUSR1)
        assert child.line() == "1000"
        last = copies(child.pid, PASSWORD.encode())
    assert last <= max(2 * first, 20), (first, last)
