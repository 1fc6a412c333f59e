"""Streams: server-sent events (WHATWG HTML, 9.2): the steps of an operation, and then its result."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any, Final, cast

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Message, Send

from postroom.api.problems import as_json, problem_of
from postroom.app import Room
from postroom.errors import PostroomError, Refused
from postroom.log import logger
from postroom.operations.asking import Asked
from postroom.operations.documents import document, encoded
from postroom.operations.personal import Way

__all__ = ["EVENT_STREAM", "answered", "event", "stream_of", "wants_stream"]

EVENT_STREAM: Final = "text/event-stream"
ALIVE_SECONDS: Final = 15.0
"""How often a stream says that it is there: what stands in between ends what is quiet."""
SLOW_SECONDS: Final = 30.0
"""How long it is waited for a reader who takes nothing."""
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_MOST_WAITING: Final = 10_000
_log = logger("api")


def wants_stream(request: Request) -> bool:
    """Whether the answer is to be a stream of events."""
    accepted = request.headers.get("accept", "").lower().split(",")
    return any(one.partition(";")[0].strip() == EVENT_STREAM for one in accepted)


def event(name: str, told: Any, *, id: str = "") -> bytes:
    """One event, with its data as JSON on one line."""
    head = f"id: {id}\n" if id else ""
    return f"{head}event: {name}\ndata: ".encode("ascii") + as_json(told) + b"\n\n"


def answered(events: AsyncGenerator[bytes]) -> StreamingResponse:
    """A stream as an answer."""
    return _Stream(events, headers=_HEADERS, media_type=EVENT_STREAM)


class _Stream(StreamingResponse):
    """A stream that ends with whoever reads it: gone, or so slow that what is told waits for them.

    Nothing is made before it is asked for, so that a slow reader costs a line and no memory.
    """

    async def stream_response(self, send: Send) -> None:
        """Send what there is.  Raises TimeoutError where nobody takes it."""

        async def taken(message: Message) -> None:
            await asyncio.wait_for(send(message), SLOW_SECONDS)

        async with contextlib.aclosing(cast("AsyncGenerator[bytes]", self.body_iterator)):
            await super().stream_response(taken)


def stream_of(asked: Asked, room: Room, given: dict[str, Any]) -> StreamingResponse:
    """Do an operation, and tell its steps (``step``), and how it ended (``result``, ``problem``).

    ``told`` of a step is what the operation tells, in its order.  Whoever goes away ends it.
    """
    return answered(_steps(asked, room, given))


async def _steps(asked: Asked, room: Room, given: dict[str, Any]) -> AsyncGenerator[bytes]:
    steps: asyncio.Queue[bytes | None] = asyncio.Queue(_MOST_WAITING)

    def tell(*told: Any) -> None:
        with contextlib.suppress(asyncio.QueueFull):  # nobody reads: the result is what matters
            steps.put_nowait(event("step", {"v": 1, "told": [encoded(each) for each in told]}))

    task = asyncio.ensure_future(_end(asked, room, _hearing(asked, given, tell)))
    task.add_done_callback(lambda _done: _finish(steps))
    try:
        while True:
            try:
                step = await asyncio.wait_for(steps.get(), ALIVE_SECONDS)
            except TimeoutError:
                yield b": waiting\n\n"
                continue
            if step is None:
                break
            yield step
        yield task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _finish(steps: asyncio.Queue[bytes | None]) -> None:
    while True:
        try:
            return steps.put_nowait(None)
        except asyncio.QueueFull:
            steps.get_nowait()


def _hearing(asked: Asked, given: dict[str, Any], tell: Any) -> dict[str, Any]:
    if asked.tells == "way":
        return {**given, "way": Way(tell)}
    return {**given, asked.tells: tell}


async def _end(asked: Asked, room: Room, given: dict[str, Any]) -> bytes:
    door = asked.door
    try:
        value = await getattr(getattr(room, door.noun), door.method)(**given)
    except PostroomError as error:
        return event("problem", problem_of(error))
    except Exception:  # noqa: BLE001  # the answer has begun: it ends with a problem
        _log.exception("mistake: %s %s", door.http, door.path)
        return event("problem", problem_of(Refused("That went wrong here.", code="mistake")))
    return event("result", document(asked.returns, value))
