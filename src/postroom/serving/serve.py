"""``postroom serve``: API, page, health and worker of a room in one process, until it is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import dataclasses
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self

import uvicorn
from starlette.applications import Starlette

from postroom import api, web
from postroom.access.invitations import FIRST_LASTS
from postroom.access.throttle import peer_key
from postroom.app import Room
from postroom.errors import InvalidValue, PostroomError
from postroom.log import logger
from postroom.net.listening import ServerTls, is_loopback, listen
from postroom.secret import Secret
from postroom.serving.border import App, Border, Receive, Scope, Send, is_within, networks
from postroom.serving.control import SOCKET, controlled
from postroom.serving.health import health_routes
from postroom.serving.protocol import HEAD_BYTES, HEAD_SECONDS, Impatient
from postroom.worker import Worker, check_in_place

__all__ = ["PORT", "Serving", "serve"]

PORT: Final = 8420
API: Final = "/api/v1"
AT_ONCE: Final = 200
"""Connections at the same time; more are told to come again (503), and twice as many are cut."""
OF_ONE: Final = 100
"""Those of one address, which may be that of a whole office: nobody takes every place alone."""
RENEW_SECONDS: Final = 60.0
GIVE_BACK_SECONDS: Final = 15.0
END_SECONDS: Final = 10.0
"""How long answers that are under way may still take."""
AGAIN_SECONDS: Final = 10.0
"""How long a worker that ended in an error is left alone."""
STAY_SECONDS: Final = 1.0
"""How often it is looked whether the room still is where it was."""
_log = logger("serve")
Open = Callable[[Secret | None], Awaitable[Room]]
"""Opens the room, with a passphrase where one was given."""
Told = Callable[[str], None]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """Where and how a room is served.

    ``names`` are the names people and programs call it by, besides the address itself; behind no proxy
    also with the port, where they say none.  ``proxies`` are networks whose ``X-Forwarded-For`` and
    ``-Proto`` are believed.  ``certificate`` and ``key`` are PEM files, both or neither.  ``places`` is
    how many runs of jobs the worker does at a time, 0: this process works for nobody.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    names: Sequence[str] = ()
    proxies: Sequence[str] = ()
    certificate: Path | None = None
    key: Path | None = None
    roles: tuple[str, ...] = ()
    places: int = 8

    def tls(self) -> ServerTls | None:
        """Raises InvalidValue: half a pair, files that are none, and a password in the clear."""
        if (self.certificate is None) != (self.key is None):
            raise InvalidValue("cert", "--cert and --key come together")
        if self.certificate is not None and self.key is not None:
            return ServerTls(self.certificate, self.key)
        if not is_loopback(self.host) and not self.proxies:
            raise InvalidValue(
                "host",
                f"{self.host} can be reached from other machines, and passwords would travel in the "
                "clear: give --cert and --key, or --trusted-proxy for the proxy that does TLS",
            )
        return None


async def serve(open_room: Open, how: Serving, told: Told) -> None:
    """Serve until cancelled; ``told`` hears where, and how to begin.

    Raises PostroomError: the room cannot be opened, the port is taken, the certificate is none.
    """
    tls, trusted = how.tls(), networks(how.proxies)

    def place(peer: str) -> str:
        return "" if is_within(peer, trusted) else peer_key(peer)

    with contextlib.closing(listen(how.host, how.port)) as listening:
        listening.limit(most=2 * AT_ONCE, of_one=OF_ONE, place=place)
        async with _Served(open_room, how) as served:
            border = Border(served, names=_names(how, listening, tls), proxies=trusted)
            address = _address(how, listening, tls)
            told(f"The room is served at {address}; Ctrl-C ends it.")
            await _until_cancelled(
                _Server(_config(border, tls)),
                listening,
                served.begin(address, told),
                served.work(),
                served.stay(),
                _giving_back(),
                *([] if tls is None else [_renewing(tls)]),
            )


async def _until_cancelled(
    server: _Server, listening: socket.socket, *beside: Coroutine[Any, Any, None]
) -> None:
    """Serve, and do what is to be done beside it; what is under way is answered at the end."""
    serving = asyncio.create_task(server.serve([listening]))
    others = [asyncio.create_task(one) for one in beside]
    left = {serving, *others}
    try:
        while serving in left:
            done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        server.should_exit = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(serving), END_SECONDS)
        for task in (serving, *others):
            task.cancel()
        await asyncio.gather(serving, *others, return_exceptions=True)


async def _giving_back() -> None:
    """Give memory back to the system that was freed, and that the C library would keep for itself."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
    while trim is not None:
        await asyncio.sleep(GIVE_BACK_SECONDS)
        await asyncio.to_thread(trim, 0)


async def _renewing(tls: ServerTls) -> None:
    """Take a renewed certificate into use without an end of the service."""
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            if tls.renew():
                _log.info("the certificate was read again")
        except InvalidValue as error:
            _log.error("the certificate on the disk is not taken: %s", error.sentence)


class _Server(uvicorn.Server):
    """uvicorn's, that leaves the signals to the command line, and waits for no handshake in vain."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, which has no setting for how long a TLS handshake may take: asyncio's minute."""
        config, state = self.config, self.server_state

        def made() -> asyncio.Protocol:
            return Impatient(config=config, server_state=state, app_state={})

        within = HEAD_SECONDS if config.ssl else None
        self.servers = []
        for one in sockets or ():
            server = await asyncio.get_running_loop().create_server(
                made, sock=one, ssl=config.ssl, backlog=config.backlog, ssl_handshake_timeout=within
            )
            self.servers.append(server)
        self.started = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class _Served:
    """The room behind the doors; another one takes its place when it is unlocked."""

    def __init__(self, open_room: Open, how: Serving) -> None:
        self._open = open_room
        self._how = how
        self._ends = contextlib.AsyncExitStack()
        self._unlocked = asyncio.Event()
        self.room: Room
        self._doors: dict[str, App]

    async def __aenter__(self) -> Self:
        try:
            await self._take(await self._open(None))
            path = self.room.settings.room / SOCKET
            await self._ends.enter_async_context(controlled(path, self.unlock))
        except BaseException:
            await self._ends.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._ends.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, to the door it is for."""
        path = scope["path"]
        if path.startswith(API + "/"):
            await self._doors["api"]({**scope, "root_path": API}, receive, send)
        elif path in ("/healthz", "/readyz", "/metrics"):
            await self._doors["health"](scope, receive, send)
        else:
            await self._doors["web"](scope, receive, send)

    async def begin(self, address: str, told: Told) -> None:
        """Say how somebody comes in for the first time, now or when the room is unlocked."""
        if self.room.desk.locked is not None:
            told(
                f"The room is locked. {self.room.desk.locked.sentence} It can be looked at, and unlocked "
                "on this machine: postroom keys unlock"
            )
            await self._unlocked.wait()
        code = await self.room.people.first_address()
        if code is not None:
            told(
                "Nobody can sign in yet. Whoever opens this address becomes the administrator; it "
                f"works once, for {round(FIRST_LASTS / 3600)} hours:"
            )
            told(f"  {address}/welcome#{code}")

    async def unlock(self, passphrase: Secret) -> bool:
        """Open the room anew with a passphrase; says whether it was locked.  Raises PostroomError."""
        if self.room.desk.locked is None:
            return False
        opened = await self._open(passphrase)
        if opened.desk.locked is not None:
            await opened.close()
            raise opened.desk.locked
        await self._take(opened)  # requests under way end with the old one, which closes at the end
        return True

    async def work(self) -> None:
        """The worker, as soon as the room is not locked; one that fails begins anew.

        Where this process works for nobody, it still tells what people have to know: that no worker
        lives, no worker can.
        """
        await self._unlocked.wait()
        if not self._how.places:
            await self.room.telling.keep(here=True)
        while True:
            try:
                await Worker(self.room, roles=self._how.roles, places=self._how.places).run()
            except PostroomError as error:
                _log.error("the worker ended: %s", error)
            await asyncio.sleep(AGAIN_SECONDS)

    async def stay(self) -> None:
        """End where there is no room any more.  Raises RoomError.

        Here and not in the worker alone, which has an end of its own and begins anew: nobody may write
        into a room that was moved away, and a locked one or one without a worker may be moved too.
        """
        while True:
            check_in_place(self.room)
            await asyncio.sleep(STAY_SECONDS)

    async def _take(self, room: Room) -> None:
        self._ends.push_async_callback(room.close)
        page = web.make_app(room)
        await self._ends.enter_async_context(page.router.lifespan_context(page))
        self.room = room
        self._doors = {
            "api": api.make_app(room), "web": page, "health": Starlette(routes=health_routes(room))
        }  # fmt: skip
        if room.desk.locked is None:
            self._unlocked.set()
        else:
            _log.warning("the room is locked: %s", room.desk.locked.sentence)


def _config(app: App, tls: ServerTls | None) -> uvicorn.Config:
    config = uvicorn.Config(
        app, http=Impatient, ws="none", lifespan="off", interface="asgi3", log_config=None,
        log_level="critical",  # what strangers send amiss is no line each in the log
        access_log=False, proxy_headers=False, server_header=False, limit_concurrency=AT_ONCE,
        timeout_keep_alive=15, timeout_graceful_shutdown=5, h11_max_incomplete_event_size=HEAD_BYTES,
    )  # fmt: skip
    config.load()
    if tls is not None:
        config.ssl = tls.context
    return config


def _address(how: Serving, listening: socket.socket, tls: ServerTls | None) -> str:
    scheme = "https" if tls or how.proxies else "http"
    return f"{scheme}://{_names(how, listening, tls)[0]}"


def _names(how: Serving, listening: socket.socket, tls: ServerTls | None) -> list[str]:
    """The first is how it is told.  A name without a port is also one with ours: who forwards another
    port to it calls it without."""
    given, port = [name.lower() for name in how.names], listening.getsockname()[1]
    if not how.proxies and port != (443 if tls else 80):
        given = [each for name in given for each in (*_with(name, port), name)]
    return given + _own(how, listening, tls)


def _with(name: str, port: int) -> tuple[str, ...]:
    """The name with a port, if it has none."""
    bare = name.rpartition("]")[2] if name.startswith("[") else name
    return () if ":" in bare else (f"{name}:{port}",)


def _own(how: Serving, listening: socket.socket, tls: ServerTls | None) -> list[str]:
    """The address itself, and what this machine calls itself."""
    port = listening.getsockname()[1]
    usual = port == (443 if tls else 80)
    own = f"[{how.host}]" if ":" in how.host else how.host
    hosts = [own, "localhost", "127.0.0.1", "[::1]"]
    return [host if usual else f"{host}:{port}" for host in dict.fromkeys(hosts)]
