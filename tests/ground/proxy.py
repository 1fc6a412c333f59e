"""The fault proxy: between client and server, in the clear or inside TLS, it harms on command."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from tests.ground.faults import Action, Cut, Rule, UpgradeTls, Watch
from tests.ground.transcript import Direction, Transcript
from tests.ground.wire import How, Wire, listen

__all__ = ["Connection", "FaultProxy", "Pump"]

# What a `before` pattern holds back goes on when nothing follows: it was not the pattern.
_HOLD_SECONDS = 0.05
_QUEUE = 64


class Pump:
    """One direction of one connection: reads, waits out the delay, obeys the rules, delivers."""

    def __init__(
        self, connection: Connection, direction: Direction, source: Wire, sink: Wire, delay: float
    ) -> None:
        self.connection, self.direction, self.sink = connection, direction, sink
        self.delay = delay
        self.rate: float | None = None
        self.dropping: float = 0
        self._source = source
        self._queue: asyncio.Queue[tuple[float, bytes | Action]] = asyncio.Queue(connection.depth)
        self._watches = [Watch(rule) for rule in connection.rules_for(direction)]
        self._longest = max((len(watch.pattern) for watch in self._watches), default=0)
        self._pending = b""
        self._history = b""
        self._passed = 0
        self._finished = False

    async def read(self) -> None:
        """Write down and queue what the source sends; b"" stands for its end."""
        clock = asyncio.get_running_loop().time
        while True:
            data = await self._source.receive()
            if data:
                self.connection.transcript.add(self.connection.number, self.direction, data)
            await self._queue.put((clock() + self.delay, data))
            if not data:
                return

    async def deliver(self) -> None:
        """Pass everything on until the source's end has been passed on too."""
        await self._feed(b"")
        while True:
            try:
                item = await self._next(_HOLD_SECONDS if self._pending else None)
            except TimeoutError:
                await self._forward(self._take(len(self._pending)))
                continue
            if isinstance(item, bytes):
                if not item:
                    break
                await self._feed(item)
            else:
                await item.run(self, None)
        await self._forward(self._take(len(self._pending)))
        await self.finish("fin")

    async def command(self, action: Action) -> None:
        """Act after what has been read so far."""
        await self._queue.put((0.0, action))

    async def finish(self, how: How) -> None:
        """End this direction, once."""
        if not self._finished:
            self._finished = True
            await self.sink.finish(how)

    async def complete_line(self) -> bytes:
        """Take the bytes up to the next line's end; deliver nothing, ask no rule."""
        while b"\n" not in self._pending:
            item = await self._next(None)
            if not isinstance(item, bytes) or not item:
                raise ConnectionResetError("the server left in the middle of a line")
            self._pending += item
        return self._take(self._pending.index(b"\n") + 1)

    async def _next(self, limit: float | None) -> bytes | Action:
        due, item = await asyncio.wait_for(self._queue.get(), limit)
        wait = due - asyncio.get_running_loop().time()
        if wait > 0:
            await asyncio.sleep(wait)
        return item

    async def _feed(self, data: bytes) -> None:
        self._pending += data
        window = self._history + self._pending
        for watch in self._watches:
            watch.scan(window, self._passed - len(self._history))
        while (due := self._due()) is not None:
            await self._forward(self._take(max(0, due.hits.pop(0) - self._passed)))
            await due.rule.action.run(self, due.rule)
        held = max((watch.hold(self._pending) for watch in self._watches), default=0)
        await self._forward(self._take(len(self._pending) - held))

    def _due(self) -> Watch | None:
        end = self._passed + len(self._pending)
        due = [watch for watch in self._watches if watch.hits and watch.hits[0] <= end]
        return min(due, key=lambda watch: watch.hits[0], default=None)

    def _take(self, count: int) -> bytes:
        data, self._pending = self._pending[:count], self._pending[count:]
        self._passed += len(data)
        if self._longest > 1:
            self._history = (self._history + data)[1 - self._longest :]
        return data

    async def _forward(self, data: bytes) -> None:
        if self.dropping and data:
            dropped = int(min(self.dropping, len(data)))
            self.dropping -= dropped
            data = data[dropped:]
        if self.rate is None:
            if data:
                await self.sink.send(data)
            return
        while data and self.rate is not None:  # it may be lifted meanwhile
            step = max(1, int(self.rate / 50))
            part, data = data[:step], data[step:]
            await asyncio.sleep(len(part) / self.rate)
            await self.sink.send(part)
        if data:
            await self.sink.send(data)


class Connection:
    """One client and its server. `error` says why it failed, if it did."""

    def __init__(self, proxy: FaultProxy, number: int, client: Wire) -> None:
        self.number = number
        self.error: Exception | None = None
        self.transcript = proxy.transcript
        self.pumps: list[Pump] = []
        self.depth = _QUEUE if proxy.window is None else 1
        self._proxy = proxy
        self._client = client
        self._server: Wire | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._ending: asyncio.Future[How] = asyncio.get_running_loop().create_future()

    def rules_for(self, direction: Direction) -> list[Rule]:
        """The rules that concern that direction of this connection."""
        return [
            rule
            for rule in self._proxy.rules
            if rule.direction == direction and rule.connection in (None, self.number)
        ]

    def end(self, how: How) -> None:
        """End it from anywhere; the first word counts."""
        if not self._ending.done():
            self._ending.set_result(how)

    async def run(self) -> None:
        """From the accepted client to the end of both sides."""
        how: How = "rst"
        tasks: list[asyncio.Task[None]] = []
        try:
            client, server = self._client, await self._open()
            delay = self._proxy.latency / 2
            self.pumps = [
                Pump(self, "to_server", client, server, delay),
                Pump(self, "to_client", server, client, delay),
            ]
            self._start_readers()
            tasks = [asyncio.create_task(self._guarded(pump)) for pump in self.pumps]
            both = asyncio.gather(*tasks, return_exceptions=True)
            ends: set[asyncio.Future[Any]] = {self._ending, both}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            how = self._ending.result() if self._ending.done() else "fin"
            for crash in both.result() if both.done() else ():
                if isinstance(crash, BaseException):
                    raise crash
        except ssl.SSLError as error:
            # In order, so that the alert still reaches the client.
            self.error, how = error, "fin"
        except OSError as error:
            self.error = error
        finally:
            await _cancel([*tasks, *self._readers])
            await self._close(how)

    async def upgrade(self, pump: Pump) -> None:
        """STARTTLS on both sides, after the go-ahead line has been passed to the client."""
        proxy, server = self._proxy, self._server
        assert proxy.tls is not None
        assert proxy.upstream_tls is not None
        assert server is not None
        line = await pump.complete_line()
        # Nobody else may read the handshake's bytes.
        await _cancel(self._readers)
        await self._client.send(line)
        await server.start_tls(proxy.upstream_tls, server_side=False, host="localhost")
        await self._client.start_tls(proxy.tls, server_side=True)
        self._start_readers()

    async def _open(self) -> Wire:
        proxy = self._proxy
        if proxy.tls is not None and not proxy.starttls:
            await self._client.start_tls(proxy.tls, server_side=True)
        self._server = server = await Wire.dial(*proxy.upstream)
        if proxy.upstream_tls is not None and not proxy.starttls:
            await server.start_tls(proxy.upstream_tls, server_side=False, host="localhost")
        return server

    def _start_readers(self) -> None:
        self._readers = [asyncio.create_task(self._read(pump)) for pump in self.pumps]

    async def _read(self, pump: Pump) -> None:
        try:
            await pump.read()
        except (OSError, ssl.SSLError) as error:
            self.error = self.error or error
            self.end("rst")

    async def _guarded(self, pump: Pump) -> None:
        try:
            await pump.deliver()
        except (OSError, ssl.SSLError) as error:
            self.error = self.error or error
            self.end("rst")

    async def _close(self, how: How) -> None:
        for wire in filter(None, (self._client, self._server)):
            try:
                await asyncio.wait_for(wire.finish(how), 1)
            except (OSError, ssl.SSLError):
                how = "rst"
            wire.close(how)


class FaultProxy:
    """`async with FaultProxy(port, rules=[...]) as proxy:` listens on proxy.host, proxy.port.

    `upstream` is a port of 127.0.0.1 or (host, port). `latency` is seconds for a round trip.
    With `tls` the proxy presents that context's certificate to clients; with `upstream_tls` it
    speaks TLS to the server (as "localhost"): the rules then act inside TLS and the transcript is
    in the clear. With neither it passes TLS through unread. `starttls` leaves both to a rule with
    UpgradeTls. `record=False` keeps no transcript. With `window`
    only so many bytes are taken in ahead of what was passed on: what a client writes beyond waits.
    """

    def __init__(
        self,
        upstream: int | tuple[str, int],
        *,
        rules: Sequence[Rule] = (),
        tls: ssl.SSLContext | None = None,
        upstream_tls: ssl.SSLContext | None = None,
        starttls: bool = False,
        latency: float = 0.0,
        record: bool = True,
        window: int | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        if any(isinstance(rule.action, UpgradeTls) for rule in rules) and not (
            starttls and tls and upstream_tls
        ):
            raise ValueError("UpgradeTls needs tls=, upstream_tls= and starttls=True")
        self.upstream = ("127.0.0.1", upstream) if isinstance(upstream, int) else upstream
        self.rules = list(rules)
        self.tls, self.upstream_tls, self.starttls = tls, upstream_tls, starttls
        self.latency = latency
        self.window = window
        self.host, self.port = host, 0
        self.transcript = Transcript(record)
        self.connections: list[Connection] = []
        self._crashes: list[BaseException] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.down()
        if self._crashes and error is None:
            raise self._crashes[0]

    async def up(self) -> None:
        """Listen (again, on the same port)."""
        self._listener = listen(self.host, self.port)
        if self.window is not None:  # accepted sockets inherit it
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.window)
        self.port = self._listener.getsockname()[1]
        self._accepting = asyncio.create_task(self._accept(self._listener))

    async def down(self, how: How = "rst") -> None:
        """End every connection and refuse new ones until `up`."""
        if self._accepting is not None and self._listener is not None:
            await _cancel([self._accepting])
            self._listener.close()
        for connection in self.connections:
            connection.end(how)
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=0.2)
            await _cancel(list(late))

    async def do(self, action: Action, direction: Direction = "to_client") -> None:
        """Act now, on every open connection; anything but Cut after what is under way."""
        for connection in self.connections:
            if isinstance(action, Cut):
                connection.end(action.how)
                continue
            for pump in connection.pumps:
                if pump.direction == direction:
                    await pump.command(action)

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            client, _ = await asyncio.get_running_loop().sock_accept(listener)
            connection = Connection(self, len(self.connections) + 1, Wire(client))
            self.connections.append(connection)
            task = asyncio.create_task(connection.run())
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (crash := task.exception()) is not None:
            self._crashes.append(crash)


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
