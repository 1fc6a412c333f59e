"""Connections in IDLE, in a fresh process: ``python -m tests.bench.sitting --values JSON``.

It prints the kilobytes that each takes, and how long news take to it and to a bare TLS socket.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import ssl
import statistics
import time
from pathlib import Path

from postroom.net.dial import Route
from postroom.net.tls import Tls
from postroom.protocols.base import MessageStore, SignIn, WireTarget
from postroom.protocols.imap import open_store
from postroom.secret import Secret

__all__ = ["main"]

_NEWS = 200
_AT_ONCE = 32


def _resident() -> int:
    """Kilobytes of this process."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


async def _sit(port: int, authority: str, count: int) -> list[MessageStore]:
    """So many stores, signed in, with their folder open."""
    target = WireTarget(Route("127.0.0.1", port), "tls", Tls(trust=(authority,)))
    waiting = iter(range(count))
    stores: dict[int, MessageStore] = {}

    async def some() -> None:
        for number in waiting:
            sign_in = SignIn("password", f"user{number}", Secret("x"))
            store = await open_store(target, sign_in)
            await store.open("INBOX", read_only=True)
            stores[number] = store

    await asyncio.gather(*(some() for _ in range(_AT_ONCE)))
    return [stores[number] for number in range(count)]


class _Control:
    """Makes the server tell a user of a new message; gives the moment at which it did."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def tell(self, user: str) -> float:
        self._writer.write(f"{user}\n".encode())
        return float(await self._reader.readline())


async def _ours(control: _Control, stores: list[MessageStore]) -> list[float]:
    """Milliseconds from the server's word to the end of ``wait``, with all others idle beside it."""
    tasks = {number: asyncio.create_task(store.wait(3600.0)) for number, store in enumerate(stores)}
    await asyncio.sleep(0.5 + len(stores) / 2000)  # all have said IDLE
    delays = []
    for _ in range(_NEWS):
        number = random.randrange(len(stores))
        heard = asyncio.create_task(_when(tasks[number]))
        told = await control.tell(f"user{number}")
        delays.append((await heard - told) * 1000)
        tasks[number] = asyncio.create_task(stores[number].wait(3600.0))
        await asyncio.sleep(0.01)
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    return delays


async def _when(task: asyncio.Task[bool]) -> float:
    await task
    return time.monotonic()


async def _bare(control: _Control, port: int, authority: str) -> list[float]:
    """The same for a socket alone that has said IDLE."""
    context = ssl.create_default_context(cadata=authority)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(b'a LOGIN "bare" "x"\r\nb EXAMINE INBOX\r\nc IDLE\r\n')
    while not (await reader.readline()).startswith(b"+"):
        pass
    delays = []
    for _ in range(_NEWS):
        told = await control.tell("bare")
        await reader.readline()
        delays.append((time.monotonic() - told) * 1000)
        await asyncio.sleep(0.01)
    writer.close()
    return delays


async def _measure(port: int, control: int, authority: str, count: int) -> dict[str, float]:
    pushing = _Control(*await asyncio.open_connection("127.0.0.1", control))
    bare = await _bare(pushing, port, authority)
    first = await _sit(port, authority, 1)  # what is loaded once is loaded
    before = _resident()
    stores = await _sit(port, authority, count)
    delays = await _ours(pushing, stores)
    each = (_resident() - before) / count
    for store in [*first, *stores]:
        store.abandon()
    return {"each_kb": each, "ours_ms": _p99(delays), "bare_ms": _p99(bare)}


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def main() -> None:
    """Read the command line, measure, print what was found."""
    parser = argparse.ArgumentParser(description="connections in IDLE")
    parser.add_argument("--values", type=json.loads, required=True)
    print(json.dumps(asyncio.run(_measure(**parser.parse_args().values))))


if __name__ == "__main__":
    main()
