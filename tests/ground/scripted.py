"""A server that follows a script: for behaviour that no real server shows."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.ground.transcript import Transcript
from tests.ground.wire import How, Wire, listen

__all__ = [
    "Answer",
    "Close",
    "Expect",
    "Repeat",
    "ScriptedServer",
    "Send",
    "Session",
    "Silence",
    "StartTls",
    "Step",
    "Take",
]


class Step(ABC):
    """One thing the server does."""

    @abstractmethod
    async def run(self, session: Session) -> None:
        """Do it; EOFError if the client has left."""


@dataclass(frozen=True, slots=True)
class Send(Step):
    """Send bytes; `{tag}` becomes the group `tag` of an earlier Expect, and so on.

    With `clear` they go past TLS, as no server should send them.
    """

    data: bytes
    clear: bool = False

    async def run(self, session: Session) -> None:
        """Send them."""
        await session.send(session.filled(self.data), clear=self.clear)


@dataclass(frozen=True, slots=True)
class Expect(Step):
    """Read up to `until` and match the whole of it (without `until`) as a regular expression."""

    pattern: bytes
    until: bytes = b"\r\n"

    async def run(self, session: Session) -> None:
        """Read and match; a mismatch is a complaint and ends the session."""
        line = await session.read_until(self.until)
        found = re.fullmatch(self.pattern, line, re.DOTALL | re.IGNORECASE)
        if found is None:
            session.complain(f"expected {self.pattern!r}, the client sent {line!r}")
        else:
            session.groups.update(found.groupdict())


@dataclass(frozen=True, slots=True)
class Take(Step):
    """Read that many bytes (a literal)."""

    count: int

    async def run(self, session: Session) -> None:
        """Read them."""
        await session.read_exactly(self.count)


@dataclass(frozen=True, slots=True)
class Answer(Step):
    """Answer each line by the first pattern that matches it whole, until the client leaves.

    With `until`, a line that matches that pattern is the last (it is answered too if it is in
    the table). A line that matches nothing is a complaint.
    """

    table: Mapping[bytes, bytes]
    until: bytes | None = None

    async def run(self, session: Session) -> None:
        """Read and answer."""
        while True:
            line = await session.read_until(b"\r\n")
            for pattern, reply in self.table.items():
                if found := re.fullmatch(pattern, line, re.DOTALL | re.IGNORECASE):
                    session.groups.update(found.groupdict())
                    await session.send(session.filled(reply))
                    break
            else:
                if self.until is None or not re.fullmatch(self.until, line, re.IGNORECASE):
                    session.complain(f"no answer is written for {line!r}")
            if self.until is not None and re.fullmatch(self.until, line, re.IGNORECASE):
                return


@dataclass(frozen=True, slots=True)
class Repeat(Step):
    """Send the same bytes again and again; without `times` until the client leaves."""

    data: bytes
    times: int | None = None
    pause: float = 0.0

    async def run(self, session: Session) -> None:
        """Send them."""
        done = 0
        while self.times is None or done < self.times:
            await session.send(self.data)
            await asyncio.sleep(self.pause)
            done += 1


@dataclass(frozen=True, slots=True)
class Silence(Step):
    """Say nothing for `seconds`; without a number until the client leaves (it is listened to)."""

    seconds: float | None = None

    async def run(self, session: Session) -> None:
        """Wait."""
        if self.seconds is not None:
            await asyncio.sleep(self.seconds)
            return
        while True:
            await session.read_some()


@dataclass(frozen=True, slots=True)
class StartTls(Step):
    """Shake hands now, with the server's `tls` or another context.

    What the client sent in the clear behind its STARTTLS line is thrown away with `discard`,
    and kept, as broken servers do, without.
    """

    context: ssl.SSLContext | None = None
    discard: bool = True

    async def run(self, session: Session) -> None:
        """Shake hands; a client that refuses ends the session without a complaint."""
        await session.start_tls(self.context, self.discard)


@dataclass(frozen=True, slots=True)
class Close(Step):
    """Hang up: `fin`, `rst`, or `eof` (FIN without TLS's close_notify)."""

    how: How = "fin"

    async def run(self, session: Session) -> None:
        """End the session."""
        session.how = self.how
        raise EOFError


class Session:
    """One client. `step` is the number of steps done; `finished` if that is all of them."""

    def __init__(self, server: ScriptedServer, number: int, wire: Wire) -> None:
        self.number = number
        self.step = 0
        self.finished = False
        self.sent = 0
        self.error: Exception | None = None
        self.how: How = "fin"
        self.groups: dict[str, bytes] = {}
        self._server = server
        self._wire = wire
        self._buffer = b""

    async def run(self, steps: Sequence[Step]) -> None:
        """Follow the script, then hang up."""
        try:
            if self._server.tls is not None and not self._server.starttls:
                await self.start_tls(None, discard=True)
            for step in steps:
                await step.run(self)
                self.step += 1
            self.finished = True
        except EOFError:
            # Close says it this way too, and is then the last step.
            self.finished = self.step == len(steps) - 1 and isinstance(steps[-1], Close)
        except (OSError, ssl.SSLError) as error:
            self.error = error
        finally:
            await self._hang_up()

    def complain(self, sentence: str) -> None:
        """Note what the client did wrong and end the session."""
        self._server.complaints.append(f"connection {self.number}, step {self.step}: {sentence}")
        raise EOFError

    def filled(self, data: bytes) -> bytes:
        """The bytes with {group} replaced by what was captured."""
        for name, value in self.groups.items():
            data = data.replace(b"{%s}" % name.encode(), value or b"")
        return data

    async def send(self, data: bytes, *, clear: bool = False) -> None:
        """Send and write down."""
        self._server.transcript.add(self.number, "to_client", data)
        await self._wire.send(data, clear=clear)
        self.sent += len(data)

    async def read_some(self) -> None:
        """Wait for bytes of the client; EOFError when it has left."""
        data = await self._wire.receive()
        if not data:
            raise EOFError
        self._server.transcript.add(self.number, "to_server", data)
        self._buffer += data

    async def read_until(self, mark: bytes) -> bytes:
        """The bytes before the next mark, which is taken too."""
        while mark not in self._buffer:
            await self.read_some()
        line, _, self._buffer = self._buffer.partition(mark)
        return line

    async def read_exactly(self, count: int) -> bytes:
        """That many bytes."""
        while len(self._buffer) < count:
            await self.read_some()
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    async def start_tls(self, context: ssl.SSLContext | None, discard: bool) -> None:
        """Shake hands as a server."""
        context = context or self._server.tls
        if context is None:
            raise ValueError("StartTls needs a context, or a server with tls=")
        if discard:
            self._buffer = b""
        await self._wire.start_tls(context, server_side=True)

    async def _hang_up(self) -> None:
        try:
            await asyncio.wait_for(self._wire.finish(self.how), 1)
        except (OSError, ssl.SSLError):
            self.how = "rst"
        self._wire.close(self.how)


class ScriptedServer:
    """`async with ScriptedServer([Send(b"* OK\\r\\n"), ...]) as server:` on server.host, .port.

    One script for each connection in turn, the last for all that follow. With `tls` each begins
    with TLS; with `starttls` too, a StartTls step does. Leaving the block raises AssertionError
    if a client did not keep to an Expect or Answer (see `complaints`).
    """

    def __init__(
        self,
        *scripts: Sequence[Step],
        tls: ssl.SSLContext | None = None,
        starttls: bool = False,
        record: bool = True,
        host: str = "127.0.0.1",
    ) -> None:
        if not scripts:
            raise ValueError("a scripted server needs a script")
        self.tls, self.starttls = tls, starttls
        self.host, self.port = host, 0
        self.transcript = Transcript(record)
        self.sessions: list[Session] = []
        self.complaints: list[str] = []
        self._scripts = scripts
        self._listener: socket.socket | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._listener = listen(self.host)
        self.port = self._listener.getsockname()[1]
        self._tasks.append(asyncio.create_task(self._accept(self._listener)))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A client that has just left is heard out first.
        if len(self._tasks) > 1:
            await asyncio.wait(self._tasks[1:], timeout=0.05)
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()
        if error is not None:
            return
        for result in results:
            if isinstance(result, Exception):
                raise result
        assert not self.complaints, "\n".join(self.complaints)

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            client, _ = await asyncio.get_running_loop().sock_accept(listener)
            number = len(self.sessions) + 1
            session = Session(self, number, Wire(client))
            self.sessions.append(session)
            steps = self._scripts[min(number, len(self._scripts)) - 1]
            self._tasks.append(asyncio.create_task(session.run(steps)))
