"""Real workers tell: one of several, once, and one that was killed is followed by another."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable

from postroom.app import open_room
from postroom.clock import monotonic
from postroom.secret import Secret
from postroom.settings import Settings
from tests.child import Child
from tests.ground import Pki
from tests.ground.hooks import hooks


async def eventually(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    end = monotonic() + seconds
    while not holds():
        assert monotonic() < end
        await asyncio.sleep(0.05)


async def test_what_a_killed_worker_told_is_told_by_nobody_again(
    settings: Settings, pki: Pki
) -> None:
    async with hooks(pki) as hook:
        room = await open_room(settings, make=True)
        try:
            details = {"certificate": pki.ca.read_text()}
            await room.credentials.create("ca", "trusted_certificate", details=details)
            ends = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=6)).isoformat()
            await room.credentials.create("key", "secret", expires_at=ends,
                                          details={"value": Secret("a-key-that-ends-soon-5e")})  # fmt: skip
            await room.notify.add({"name": "hook", "url": f"{hook.url}/x", "trust": "ca"})

            def rounds() -> int:
                """How often somebody has told, and is done."""
                found: int | None = room.desk.db.read_now(
                    lambda tx: tx.value("SELECT epoch FROM duties WHERE owner IS NULL")
                )
                return found or 0

            def about_key() -> list[str]:
                return [event for event, said in hook.said() if "Credential key" in said]

            where = ("--room", str(settings.room), "--kek", str(settings.kek))
            with Child("-m", "postroom", "worker", *where) as first:
                await eventually(lambda: about_key() == ["began"])
                await eventually(lambda: rounds() == 1)
                first.kill()
            with (
                Child("-m", "postroom", "worker", *where),
                Child("-m", "postroom", "worker", *where),
            ):
                await eventually(lambda: rounds() >= 2)
                assert about_key() == ["began"]
        finally:
            await room.close()
