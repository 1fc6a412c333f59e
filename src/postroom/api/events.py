"""Events: what sources, services, sign-ins, runs and the outbox are doing, told as it changes.

Idle streams ask for the number of the database's version, as the loops of a worker do; only when it
has changed is anything looked at, by the same operations that lists use, as the person sees them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from postroom.api.problems import as_json, problem_of
from postroom.api.signing import signed_in
from postroom.api.streams import ALIVE_SECONDS, answered, event
from postroom.app import Room
from postroom.clock import monotonic
from postroom.errors import InvalidValue, PostroomError, Refused, UnknownField
from postroom.operations.documents import encoded
from postroom.operations.gate import check_may

__all__ = ["NOUNS", "Events", "log_of"]

LOOK_SECONDS: Final = 0.5
"""How often a stream asks whether somebody has committed something."""
SIGNED_IN_SECONDS: Final = 10.0
"""How often it is looked whether the token still is one, when nothing else is told."""
MOST_STREAMS: Final = 64
MOST_OF_ONE: Final = 16
"""Streams of one person: nobody takes all there are."""
NEWEST: Final = 200
"""Runs and outbox items that are watched: the newest."""

NOUNS: Final[Mapping[str, Callable[[Room], Awaitable[Any]]]] = {
    "sources": lambda room: room.sources.list(),
    "services": lambda room: room.services.list(),
    "sign-ins": lambda room: room.signins.list(),
    "runs": lambda room: room.runs.list(limit=NEWEST),
    "outbox": lambda room: room.outbox.list(limit=NEWEST),
}
"""What can be watched: the name of its events, and how it is listed."""
_KEYS: Final = ("id", "name", "account")


class Events:
    """``GET /events``: first how everything is, then what changes; ``of`` says of what (all)."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._open: Counter[str] = Counter()

    async def answer(self, request: Request) -> Response:
        """A stream that ends when whoever reads it goes, or their token ends."""
        room = await signed_in(self._room, request)
        check_may(room.desk.person, "view")
        of = request.query_params.getlist("of") or list(NOUNS)
        if request.query_params.keys() - {"of"}:
            raise UnknownField("There is one parameter, of, several times; another was given.")
        if not set(of) <= NOUNS.keys():
            raise InvalidValue("of", f"is one of {', '.join(NOUNS)}, several times")
        who = room.desk.person.user
        self._check_room(who)
        return answered(self._told(request, list(dict.fromkeys(of)), who))

    def _check_room(self, who: str) -> None:
        if self._open.total() >= MOST_STREAMS or self._open[who] >= MOST_OF_ONE:
            raise Refused(
                "So many streams of events are open already.", code="too_many", temporary=True
            )

    async def _told(self, request: Request, of: list[str], who: str) -> AsyncGenerator[bytes]:
        try:
            self._check_room(who)  # others were let in at the same time
        except Refused as error:
            yield event("problem", problem_of(error))
            return
        self._open[who] += 1
        try:
            yield b"retry: 2000\n\n"
            async for each in self._changes(request, of):
                yield each
        except PostroomError as error:
            yield event("problem", problem_of(error))
        finally:
            self._open[who] -= 1
            self._open += Counter()  # without those who have none

    async def _changes(self, request: Request, of: list[str]) -> AsyncGenerator[bytes]:
        known: dict[str, dict[str, bytes]] = {name: {} for name in of}
        seen, alive, proved = -1, monotonic(), -SIGNED_IN_SECONDS
        room = self._room
        while True:
            if monotonic() >= proved + SIGNED_IN_SECONDS:
                room, proved = await signed_in(self._room, request), monotonic()
                check_may(room.desk.person, "view")
            version = self._room.desk.db.data_version()
            if version != seen:
                # before anything is told: whoever lost their token hears no more
                room, proved = await signed_in(self._room, request), monotonic()
                check_may(room.desk.person, "view")
                seen, alive = version, monotonic()
                for name in of:
                    for each in _differences(name, await NOUNS[name](room), known[name]):
                        yield each
            elif monotonic() >= alive + ALIVE_SECONDS:
                alive = monotonic()
                yield b": waiting\n\n"
            await asyncio.sleep(LOOK_SECONDS)


def _differences(name: str, found: Any, known: dict[str, bytes]) -> list[bytes]:
    """The events for what is not as it was; ``known`` is brought up to date."""
    told, now = [], {}
    for one in found:
        document = encoded(one)
        key = str(next(document[each] for each in _KEYS if document.get(each)))
        now[key] = hashlib.sha256(as_json(document)).digest()
        if known.get(key) != now[key]:
            told.append(event(name, {"v": 1, **document}))
    if name not in ("runs", "outbox"):  # those only grow older than what is watched
        told += [event("gone", {"v": 1, "of": name, "name": key}) for key in known.keys() - now]
    known.clear()
    known.update(now)
    return told


async def log_of(
    signed: Callable[[], Awaitable[Room]], room: Room, run: str, after: int
) -> AsyncGenerator[bytes]:
    """A run's log as it is written: an event ``line`` each, and at the end ``result``, the run.

    ``signed`` gives the room anew, as whoever asks sees it then; where they may not any more it ends.
    """
    alive = proved = monotonic()
    while True:
        if monotonic() >= proved + SIGNED_IN_SECONDS:
            try:
                room, proved = await signed(), monotonic()
                check_may(room.desk.person, "view")
            except PostroomError as error:
                yield event("problem", problem_of(error))
                return
        found = await room.runs.show(run)  # asked first: then no line comes any more
        while lines := await room.runs.log(run, after=after):
            after = lines[-1]["line"]
            alive = monotonic()
            for line in lines:
                yield event("line", {"v": 1, **encoded(line)}, id=str(after))
        if found.finished:
            yield event("result", {"v": 1, **encoded(found)})
            return
        if monotonic() >= alive + ALIVE_SECONDS:
            alive = monotonic()
            yield b": waiting\n\n"
        await asyncio.sleep(LOOK_SECONDS)
