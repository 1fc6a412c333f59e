"""A room served on loopback, as ``postroom serve`` serves its page; asked from the thread of the test."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import uvicorn

from postroom.app import Room, open_room
from postroom.secret import Secret
from postroom.serving.border import Border, networks
from postroom.settings import Settings
from postroom.web import make_app
from postroom.worker import Worker

if TYPE_CHECKING:
    from tests.web.front import Front

__all__ = ["ELSEWHERE", "PASSWORD", "Site"]

ELSEWHERE = "room.localhost"
"""Also this machine to a browser, and no name by which a page takes itself to be on one's own."""
PASSWORD = "quiet river under a stone"  # of whoever signs in; nobody else ever sees it
T = TypeVar("T")


class Site:
    """``with Site(settings) as site``: its ``url``, and :meth:`do` for what a test wants of the room."""

    url: str
    room: Room

    def __init__(
        self,
        settings: Settings,
        *,
        works: bool = False,
        tls: ssl.SSLContext | None = None,
        front: Front | None = None,
    ) -> None:
        """``works``: a worker runs beside the page, in the same process.  ``tls``: served over it, as
        with ``--cert``, and as :data:`ELSEWHERE`.  ``front``: a proxy that stands before the room and
        is trusted.
        """
        self._settings = settings
        self._works = works
        self._tls = tls
        self._front = front
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
            port = listening.getsockname()[1]
            name, proxies = f"{ELSEWHERE if self._tls else '127.0.0.1'}:{port}", []
            if self._front is not None:
                self._front.room = port
                name, proxies = self._front.name, networks(["127.0.0.1"])
            self.url = f"{'https' if self._tls or self._front else 'http'}://{name}"
            app = Border(make_app(self.room), names=[name], proxies=proxies)
            config = uvicorn.Config(
                cast("Any", app), log_level="warning", lifespan="off", proxy_headers=False
            )
            config.load()
            config.ssl = self._tls
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
