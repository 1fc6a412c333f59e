"""A room served on loopback, as ``postroom serve`` serves its page; asked from the thread of the test."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Self, TypeVar, cast

import uvicorn

from postroom.app import Room, open_room
from postroom.secret import Secret
from postroom.serving.border import Border
from postroom.settings import Settings
from postroom.web import make_app
from postroom.worker import Worker

__all__ = ["PASSWORD", "Site"]

PASSWORD = "quiet river under a stone"  # of whoever signs in; nobody else ever sees it
T = TypeVar("T")


class Site:
    """``with Site(settings) as site``: its ``url``, and :meth:`do` for what a test wants of the room."""

    url: str
    room: Room

    def __init__(self, settings: Settings, *, works: bool = False) -> None:
        """``works``: a worker runs beside the page, in the same process."""
        self._settings = settings
        self._works = works
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._failed: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(30)
        if self._failed is not None:
            raise self._failed
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(30)

    def do(self, operation: Callable[[Room], Awaitable[T]]) -> T:
        """Do something with the room, where it is served."""

        async def done() -> T:
            return await operation(self.room)

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(60)

    def person(self, name: str, role: str) -> None:
        """Somebody with a role, who signs in with :data:`PASSWORD`."""

        async def body(room: Room) -> None:
            first = await room.people.first_address()
            if first is not None:
                await room.people.accept(first, "root", Secret(PASSWORD))
            if name != "root":
                await room.users.add(name, role, password=Secret(PASSWORD))

        self.do(body)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # the test has to hear of it
            self._failed = error
            self._ready.set()
            raise

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.room = await open_room(self._settings, make=True)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            name = f"127.0.0.1:{listening.getsockname()[1]}"
            self.url = f"http://{name}"
            app = Border(make_app(self.room), names=[name])
            config = uvicorn.Config(cast("Any", app), log_level="warning", lifespan="off")
            self._server = uvicorn.Server(config)
            worker = asyncio.create_task(Worker(self.room).run()) if self._works else None
            serving = asyncio.create_task(self._server.serve([listening]))
            while not self._server.started and not serving.done():
                await asyncio.sleep(0.01)
            self._ready.set()
            await serving
            if worker is not None:
                worker.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await worker
        await self.room.close()
