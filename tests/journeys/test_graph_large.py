"""100 MB through the outbox and Graph: how much memory each step takes, in processes of their own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from postroom.app import open_room
from postroom.settings import Settings
from tests.journeys.test_microsoft365 import Tenant, tenant
from tests.memory import memory_growth

__all__ = ["dispatched", "stored", "tenant"]

MB = 1_000_000
SIZE = 100 * MB


async def test_a_large_file_is_stored_and_sent_in_little_memory(
    tenant: Tenant, tmp_path: Path
) -> None:
    """Composed and stored: the file and twice its message.  Sent: under 30 MB, it is read as it goes."""
    await tenant.connect()
    await tenant.room.services.add({"name": "orders-out", "connection": "acme"})
    file = tmp_path / "large.bin"
    with file.open("wb") as made:
        for _ in range(SIZE // MB):
            made.write(os.urandom(MB))
    grown = await _in_a_process(tenant, "stored", str(file))
    assert grown < 4.2 * SIZE
    tenant.graph.fault("/send", status=400, code="ErrorInvalidRecipients")  # Postfix takes 50 MB
    assert await _in_a_process(tenant, "dispatched") < 30 * MB
    [item] = await tenant.room.outbox.list(service="orders-out")
    assert item.state == "failed"
    assert sum(path.startswith("/upload/") for _, path, _, _ in tenant.graph.seen) == 31


async def _in_a_process(tenant: Tenant, what: str, *words: str) -> int:
    """By how many bytes a process grew that did this in the room."""
    settings = tenant.room.settings
    program = f"from tests.journeys.test_graph_large import {what}; {what}()"
    line = [sys.executable, "-c", program, str(settings.room), str(settings.kek), *words]
    done = await asyncio.to_thread(
        subprocess.run, line, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def stored() -> None:
    """One message with the file, into the outbox."""

    async def run() -> None:
        room = await open_room(Settings(Path(sys.argv[1]), sys.argv[2]))
        with memory_growth() as grown:
            letter = {
                "via": "orders-out", "to": "you@ground.test", "subject": "large",
                "text": "Text.\n", "attachments": [sys.argv[3]],
            }  # fmt: skip
            await room.commands.run("send-email", letter)
        print(grown())
        await room.close()

    asyncio.run(run())


def dispatched() -> None:
    """What is in the outbox, out."""

    async def run() -> None:
        room = await open_room(Settings(Path(sys.argv[1]), sys.argv[2]))
        # as in a worker: the code is loaded, and the token is there
        await room.email.dispatch(["orders-out"], item="another")
        await (await room.desk.opener.open_transport("acme")).close()
        with memory_growth() as grown:
            await room.email.dispatch(["orders-out"])
        print(grown())
        await room.close()

    asyncio.run(run())
