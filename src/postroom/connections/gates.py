"""The gates of a room: one for each app and mailbox on Graph, the same for every process that asks there."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from postroom.clock import monotonic, timestamp
from postroom.connections.effective import EffectiveSide
from postroom.db import (
    Database,
    Seat,
    Tx,
    close_gate,
    gate_closed_for,
    give_places,
    places_wanted,
    take_places,
)
from postroom.errors import RoomError
from postroom.protocols.gate import Crowded, Gate

__all__ = ["AT_ONCE", "Gates", "SharedGate"]

AT_ONCE: Final = 4
"""Requests at a time from one app to one mailbox (Microsoft's "Outlook service limits")."""

_LINGER_SECONDS: Final = 0.25  # a place that nobody wants: the next request then costs no commit
_LOOK_SECONDS: Final = 0.05  # at first: each look is a write
_LONGEST_LOOK_SECONDS: Final = 0.5

SeatOf = Callable[[], Awaitable[Seat]]


class Gates:
    """Finds the gate of a side.  Of one event loop; ``seat`` is who this process is."""

    def __init__(self, db: Database, seat: SeatOf) -> None:
        self._db = db
        self._seat = seat
        self._open: weakref.WeakValueDictionary[str, Gate] = weakref.WeakValueDictionary()

    def of(self, side: EffectiveSide) -> Gate | None:
        """The gate of an app and mailbox; None for a wire that needs none."""
        if side.protocol != "graph" or side.grant is None:
            return None
        whose = side.user or side.grant.account
        key = (side.host, str(side.port), side.grant.client_id, whose.casefold())
        name = hashlib.sha256("\0".join(key).encode()).hexdigest()
        gate = self._open.get(name)
        if gate is None:
            gate = self._open[name] = SharedGate(self._db, self._seat, name)
        return gate


class SharedGate(Gate):
    """One gate for all processes of the room.

    This process's places are a row, written when it takes and gives some, and kept a moment longer
    than they are used.  A room that cannot be written keeps nobody from their mail: then this
    process counts alone, and the service itself says 429 to what is too much.
    """

    def __init__(self, db: Database, seat: SeatOf, name: str) -> None:
        super().__init__(AT_ONCE)
        self._db = db
        self._seat = seat
        self._name = name
        self._owner = ""
        self._busy = 0
        self._held = 0
        self._changing = asyncio.Lock()
        self._lingers: asyncio.TimerHandle | None = None
        self._giving: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def passing(self, places: int, *, until: float) -> AsyncIterator[None]:
        """Wait for so many free places, here and in the whole room, and hold them."""
        async with super().passing(places, until=until):
            await self._take(places, until)
            try:
                yield
            finally:
                self._leave(places)

    async def close_for(self, seconds: float) -> None:
        """No process of the room asks for so long."""
        await super().close_for(seconds)
        with contextlib.suppress(RoomError):
            await self._db.write(
                lambda tx: close_gate(tx, self._name, seconds=seconds, now=timestamp())
            )

    @property
    def closed_for(self) -> float:
        """Seconds until somebody may ask again; 0.0: now."""
        with contextlib.suppress(RoomError):
            said = self._db.read_now(lambda tx: gate_closed_for(tx, self._name, now=timestamp()))
            return max(super().closed_for, said)
        return super().closed_for

    async def _take(self, places: int, until: float) -> None:
        async with self._changing:
            if self._held - self._busy < places:
                try:
                    await self._wait_for(places, until)
                except BaseException:
                    self._give_in(0.0)  # or who comes later would wait behind us for ever
                    raise
            self._busy += places

    async def _wait_for(self, places: int, until: float) -> None:
        with contextlib.suppress(RoomError):
            self._owner = (await self._seat()).owner
            pause = _LOOK_SECONDS
            while not await self._db.write(self._taking(self._busy, places)):
                self._held = self._busy
                if monotonic() + pause > until:
                    raise Crowded
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_LOOK_SECONDS)

    def _taking(self, busy: int, places: int) -> Callable[[Tx], bool]:
        # others of this process leave meanwhile: what it is busy in is counted now
        self._held = busy + places
        return lambda tx: take_places(
            tx, self._name, self._owner, busy=busy, wanted=places, width=AT_ONCE, now=timestamp()
        )

    def _leave(self, places: int) -> None:
        """Places are kept a moment, unless another process waits for one."""
        self._busy -= places
        wanted = False
        with contextlib.suppress(RoomError):
            wanted = self._db.read_now(lambda tx: places_wanted(tx, self._name, self._owner))
        self._give_in(0.0 if wanted else _LINGER_SECONDS)

    def _give_in(self, seconds: float) -> None:
        if self._lingers is not None:
            self._lingers.cancel()
        self._lingers = asyncio.get_running_loop().call_later(seconds, self._begin_giving)

    def _begin_giving(self) -> None:
        self._giving = asyncio.create_task(self._give(), name="postroom-gate")

    async def _give(self) -> None:
        async with self._changing:
            busy = self._held = self._busy
            with contextlib.suppress(RoomError):
                await self._db.write(lambda tx: give_places(tx, self._name, self._owner, busy=busy))
