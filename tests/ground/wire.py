"""One end of a TCP connection with everything a fault needs: RST, FIN, TLS at any point."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import Literal, TypeVar

__all__ = ["How", "Wire", "in_thread", "listen"]

# rst: at once, unsent data lost. fin: in order, with TLS's close_notify. eof: FIN without it.
How = Literal["rst", "fin", "eof"]

_CHUNK = 1 << 16
_Server = TypeVar("_Server")


def listen(host: str, port: int = 0) -> socket.socket:
    """A listening socket that does not block; port 0 takes a free one."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(128)
    listener.setblocking(False)
    return listener


class Wire:
    """A connected socket. One task may receive while another sends."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._sending = asyncio.Lock()
        self._closed = False

    @classmethod
    async def dial(cls, host: str, port: int) -> Wire:
        """Connect; OSError if nobody listens."""
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    async def start_tls(
        self, context: ssl.SSLContext, *, server_side: bool, host: str | None = None
    ) -> None:
        """Shake hands; ssl.SSLError or ConnectionError if the other side refuses."""
        tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=host
        )
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._take():
                    raise ConnectionResetError("hung up during the TLS handshake") from None
            except ssl.SSLError:
                await self._flush()
                raise
        await self._flush()
        self._tls = tls

    async def receive(self) -> bytes:
        """Some bytes, decrypted; b"" at the end, whether or not close_notify came."""
        if self._tls is None:
            return await asyncio.get_running_loop().sock_recv(self._socket, _CHUNK)
        while True:
            try:
                return self._tls.read(_CHUNK)
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._take():
                    return b""
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    async def send(self, data: bytes, *, clear: bool = False) -> None:
        """Send all of it; with `clear` past TLS."""
        if self._tls is None or clear:
            async with self._sending:
                await asyncio.get_running_loop().sock_sendall(self._socket, data)
            return
        self._tls.write(data)
        await self._flush()

    async def finish(self, how: How = "fin") -> None:
        """Say that nothing more will come; receiving goes on. With `rst`, the end of all."""
        if how == "rst":
            self.close("rst")
            return
        if self._tls is not None and how == "fin":
            # The error says that the other side's close_notify has not come yet: just so.
            with suppress(ssl.SSLError):
                self._tls.unwrap()
            await self._flush()
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return  # The other side was faster.

    def close(self, how: How = "fin") -> None:
        """Close the socket; harmless when repeated. Tasks that wait on it must end first."""
        if self._closed:
            return
        self._closed = True
        if how == "rst":
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self._drain()
        self._socket.close()

    def _drain(self) -> None:
        """Take what has come: to close over unread bytes would send RST where FIN is meant."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
            while self._socket.recv(_CHUNK):
                continue
        except OSError:
            return

    async def _take(self) -> bool:
        data = await asyncio.get_running_loop().sock_recv(self._socket, _CHUNK)
        if data:
            self._incoming.write(data)
        return bool(data)

    async def _flush(self) -> None:
        async with self._sending:
            if data := self._outgoing.read():
                await asyncio.get_running_loop().sock_sendall(self._socket, data)


@contextmanager
def in_thread(server: AbstractAsyncContextManager[_Server]) -> Iterator[_Server]:
    """Run a FaultProxy or ScriptedServer in a thread of its own, for clients that block.

    Its attributes may be read from here; its coroutines belong to the other thread.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(10)
    finally:
        leave = server.__aexit__(None, None, None)
        try:
            asyncio.run_coroutine_threadsafe(leave, loop).result(10)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            loop.close()
