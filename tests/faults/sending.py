"""Workers that send through a real Postfix are killed at every place of the dialogue (F8)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, Literal

from postroom.app import open_room
from postroom.errors import Refused
from postroom.mail import Draft
from postroom.settings import Settings
from tests.faults.children import Victim
from tests.faults.dose import dose
from tests.faults.history import Pen
from tests.faults.stage import Stage
from tests.ground.faults import Call, Rule
from tests.ground.proxy import FaultProxy
from tests.journeys.conftest import connect
from tests.journeys.outgoing import NAME, Outgoing, message_ids

__all__ = [
    "QUEUED",
    "drain",
    "killed_workers",
    "killed_workers_that_resend",
    "posting",
    "send_under_key",
]

QUEUED: Final = b"250 2.0.0 Ok: queued"
_DOT: Final = b"\r\n.\r\n"
_LEVEL: Final = 30
"""So many messages wait when a worker starts: it is killed in the middle of them."""
_IN_DOUBT: Final = 16
"""The most that one kill may leave in doubt: eight marked ahead, eight answered and not yet stored."""
_ENDS: Final = frozenset({"sent", "ambiguous"})


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where in the dialogue the worker dies: with what is before it (or it, too) on the wire."""

    direction: Literal["to_server", "to_client"]
    pattern: bytes
    passed: bool = False

    def rule(self, kill: Call, nth: int, connection: int) -> Rule:
        if self.passed:
            return Rule(self.direction, kill, after=self.pattern, nth=nth, connection=connection)
        return Rule(self.direction, kill, before=self.pattern, nth=nth, connection=connection)


_PLACES: Final = (
    _Place("to_server", b"MAIL FROM"),
    _Place("to_server", b"RCPT TO"),
    _Place("to_server", b"DATA\r\n"),
    _Place("to_client", b"354 "),
    _Place("to_server", _DOT),
    _Place("to_server", _DOT, passed=True),
    _Place("to_client", QUEUED),
    _Place("to_client", QUEUED, passed=True),
)


@contextlib.asynccontextmanager
async def posting(stage: Stage) -> AsyncIterator[Outgoing]:
    """A new room on the stage, and two people of Postfix and Dovecot."""
    room = await open_room(stage.settings, make=True)
    try:
        ground = stage.ground()
        user = ground.user()
        await connect(room, ground, user)
        yield Outgoing(room, ground, user, ground.user())
    finally:
        await room.close()


async def drain(pen: Pen, room: str, kek: str) -> None:
    """A client: sends what is due, and ends."""
    opened = await open_room(Settings(Path(room), kek))
    await opened.email.dispatch()
    await opened.close()


async def send_under_key(pen: Pen, room: str, kek: str, to: str, key: str, texts: str) -> None:
    """A client: sends several times at once under one key; prints the item or the error of each."""
    opened = await open_room(Settings(Path(room), kek))
    print("ready", flush=True)

    async def one(text: str) -> str:
        draft = Draft(from_=None, to=to, subject="Order", text=text)
        try:
            return (await opened.email.send(NAME, draft, wait=20.0, idempotency_key=key)).id
        except Refused as error:
            return error.code

    print(json.dumps(await asyncio.gather(*map(one, texts.split(",")))), flush=True)
    await opened.close()


@dataclasses.dataclass
class _Killing:
    """Workers are started on a room and killed; ``stored`` maps Message-IDs to items."""

    post: Outgoing
    where: tuple[str, str]
    proxy: FaultProxy
    chance: random.Random
    mutant: str
    stored: dict[str, str] = dataclasses.field(default_factory=dict)

    async def rounds(self, count: int) -> None:
        """So many workers, each killed at the next of the places; what they left is then sent."""
        for number in range(count):
            while self._to_send() < _LEVEL:
                item = await self.post.store(subject=f"m{len(self.stored)}")
                self.stored[(await self.post.show(item)).message_id] = item
            await self._kill(_PLACES[number % len(_PLACES)])
        self.proxy.rules = []
        while self.post.waiting():
            await self.post.all_due()
            with self._worker():
                async with asyncio.timeout(60):
                    while self.post.due_now():
                        await asyncio.sleep(0.05)
        await asyncio.to_thread(self.post.ground.postfix.idle)

    def _to_send(self) -> int:
        """How many the next worker finds: what the dead had claimed is among them."""
        states = self.post.states()
        return states.get("queued", 0) + states.get("claimed", 0)

    def _worker(self) -> Victim:
        room, kek = self.where
        return Victim("postroom", "worker", "--room", room, "--kek", kek, mutant=self.mutant)

    async def _kill(self, place: _Place) -> None:
        killed = asyncio.Event()
        jitter = self.chance.choice((0.0, 0.0, self.chance.uniform(0.0, 0.02)))
        with self._worker() as victim:

            async def kill() -> None:
                await asyncio.sleep(jitter)
                victim.kill()
                killed.set()

            connection = len(self.proxy.connections) + 1
            nth = self.chance.randint(1, _LEVEL // 2)
            self.proxy.rules = [place.rule(Call(kill), nth, connection)]
            await asyncio.wait_for(killed.wait(), 60)


@contextlib.asynccontextmanager
async def _killed(
    stage: Stage, mutant: str, kills: int, policy: Literal["hold", "resend"]
) -> AsyncIterator[_Killing]:
    async with posting(stage) as post:
        async with FaultProxy(post.ground.postfix.plain, record=False) as proxy:
            await post.through(proxy, on_ambiguous=policy)
            if policy == "resend":  # nowhere to look, so what is in doubt is sent again
                side = {"incoming": {"protocol": "none"}}
                await post.room.connections.set("acme", side, rebind=True)
            run = _Killing(post, stage.where, proxy, stage.chance, mutant)
            await run.rounds(kills)
        yield run


async def killed_workers(stage: Stage, mutant: str = "") -> list[str]:
    """With ``hold``: each is sent once, or in doubt and then arrived at most once; few are in doubt."""
    kills = dose(8, 200, 5_000)
    async with _killed(stage, mutant, kills, "hold") as run:
        states = {key: (await run.post.show(item)).state for key, item in run.stored.items()}
        arrived = Counter(message_ids(run.post.other))
    wrong = [f"{key} ended {state}" for key, state in states.items() if state not in _ENDS]
    wrong += [f"{key} arrived, and nobody stored it" for key in arrived if key not in states]
    wrong += [f"{key} arrived {times} times" for key, times in arrived.items() if times > 1]
    wrong += [
        f"{key} is said to be sent and never arrived"
        for key, state in states.items()
        if state == "sent" and not arrived[key]
    ]
    doubts = sum(state == "ambiguous" for state in states.values())
    if doubts > _IN_DOUBT * kills:
        wrong.append(f"{doubts} are in doubt after {kills} kills")
    return wrong


async def killed_workers_that_resend(stage: Stage, mutant: str = "") -> list[str]:
    """With ``resend``: all arrive; a duplicate was in doubt before; at most one for each kill."""
    kills = dose(8, 200, 5_000)
    async with _killed(stage, mutant, kills, "resend") as run:
        arrived = Counter(message_ids(run.post.other))
        wrong = [f"{key} is lost" for key in run.stored if not arrived[key]]
        wrong += [
            f"{key} arrived, and nobody stored it" for key in arrived if key not in run.stored
        ]
        if run.post.states() != {"sent": len(run.stored)}:
            wrong.append(f"they ended {run.post.states()}")
        twice = {key: arrived[key] - 1 for key in run.stored if arrived[key] > 1}
        for key, more in twice.items():
            tries = await run.post.room.outbox.attempts(run.stored[key])
            doubts = sum(one["outcome"] == "ambiguous" for one in tries)
            if doubts < more:
                wrong.append(f"{key} came {more + 1} times, and was in doubt {doubts} times")
    if sum(twice.values()) > kills:
        wrong.append(f"{sum(twice.values())} duplicates after {kills} kills")
    return wrong
