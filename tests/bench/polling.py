"""Polling a large folder with nothing new in it: CPU, bytes, round trips; beside imapclient, mbsync."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import imapclient

from postroom.net.dial import Route
from postroom.net.tls import Tls
from postroom.protocols.base import FolderState, MessageStore, SignIn, Since, WireTarget
from postroom.protocols.imap import open_store
from postroom.secret import Secret
from tests.bench import peers
from tests.bench.figures import Figure, Samples
from tests.bench.rooms import Place, Scratch, collecting_room, work
from tests.ground import Ground, User, messages
from tests.ground.proxy import FaultProxy

__all__ = ["polling"]

Say = Callable[[str], None]
_AIM = "< 1 ms, < 2 KB"


def polling(count: int, runs: int, polls: int, tmpfs: Scratch, say: Say) -> list[Figure]:
    """Figures of polling a folder of ``count`` messages; each sample is the mean of ``polls``."""
    with Ground() as ground, tmpfs.new() as base:
        user = ground.user()
        ground.dovecot.fill(user, (messages.small(number) for number in range(count)))
        peers.raw_imap(ground.dovecot.imap, user.address, user.password)  # Dovecot's own index
        place = Place(base)
        collecting_room(place, ground.dovecot.imap, user.address, user.password)
        work(place, "collect", count=count)
        mbsync = _Mbsync(base / "mbsync", user)
        mbsync.poll(ground.dovecot.imap)
        samples: dict[str, list[float]] = {}
        for run in range(runs):
            found = asyncio.run(_kept(ground, user, polls))
            found["a pass"] = work(place, "poll", passes=polls)["cpu_ms"]
            found["mbsync"] = mbsync.poll(ground.dovecot.imap)
            for name, value in found.items():
                samples.setdefault(name, []).append(value)
            say(f"poll, run {run + 1}: " + ", ".join(f"{n} {v:.2f} ms" for n, v in found.items()))
        wire = asyncio.run(_wire(ground, user, mbsync))
    return _figures(count, samples, wire)


def _figures(count: int, samples: dict[str, list[float]], wire: dict[str, str]) -> list[Figure]:
    def beside(name: str, peer: str, aim: str = "") -> Figure:
        shown = Samples(f"{peer}, CPU ({wire[peer]})", samples[peer])
        what = f"poll {count:,}, nothing new, {name}, CPU ({wire[name]})"
        return Figure(what, "time", samples[name], shown, aim)

    return [
        beside("kept open", "imapclient kept open", _AIM),
        beside("new connection", "imapclient anew"),
        beside("new connection", "mbsync"),
        Figure(
            f"poll {count:,}, nothing new, a whole pass of the collector, CPU",
            "time",
            samples["a pass"],
        ),
    ]


# ---------------------------------------------------------------- ours


def _target(port: int) -> WireTarget:
    return WireTarget(Route("127.0.0.1", port), "none", Tls(), sign_in_without_tls=True)


async def _opened(port: int, user: User) -> MessageStore:
    sign_in = SignIn("password", user.address, Secret(user.password))
    return await open_store(_target(port), sign_in)


async def _poll(store: MessageStore, since: dict[str, Since]) -> FolderState:
    """What the collector asks of the wire in a pass: open, and list what is newer."""
    state = await store.open("INBOX", since=since)
    cursor = since["INBOX"].cursor if since else state.next_cursor
    assert [page async for page in store.newer(cursor)] == []
    return state


async def _known(port: int, user: User) -> dict[str, Since]:
    store = await _opened(port, user)
    state = await _poll(store, {})
    await store.close()
    return {"INBOX": Since(state.uidvalidity, state.next_cursor)}


async def _kept(ground: Ground, user: User, polls: int) -> dict[str, float]:
    """Milliseconds of this process's own CPU for one poll, ours and imapclient's."""
    port = ground.dovecot.imap
    since = await _known(port, user)

    async def anew() -> None:
        store = await _opened(port, user)
        await _poll(store, since)
        await store.close()

    store = await _opened(port, user)
    found = {
        "kept open": await _cpu(polls, lambda: _poll(store, since)),
        "new connection": await _cpu(polls, anew),
    }
    await store.close()
    client = _client(port, user)
    found["imapclient kept open"] = await _cpu(polls, _later(lambda: _their_poll(client)))
    client.logout()
    found["imapclient anew"] = await _cpu(polls, _later(lambda: _their_session(port, user)))
    return found


async def _cpu(polls: int, poll: Callable[[], Awaitable[object]]) -> float:
    await poll()
    began = time.process_time()
    for _ in range(polls):
        await poll()
    return (time.process_time() - began) * 1000 / polls


def _later(call: Callable[[], object]) -> Callable[[], Awaitable[None]]:
    async def later() -> None:
        call()

    return later


# ---------------------------------------------------------------- the peers


def _client(port: int, user: User) -> Any:
    client = imapclient.IMAPClient("127.0.0.1", port, ssl=False)
    client.login(user.address, user.password)
    return client


def _their_poll(client: Any) -> None:
    """The usual loop: select, and search for what is newer than the last uid."""
    told = client.select_folder("INBOX", readonly=True)
    client.search(["UID", f"{told[b'UIDNEXT']}:*"])


def _their_session(port: int, user: User) -> None:
    client = _client(port, user)
    _their_poll(client)
    client.logout()


class _Mbsync:
    """mbsync with a Maildir of its own that has everything."""

    def __init__(self, base: Path, user: User) -> None:
        self._base, self._user = base, user
        (base / "mail").mkdir(parents=True)
        (base / "state").mkdir()

    def poll(self, port: int) -> float:
        """Run it; gives the milliseconds of CPU it took."""
        config = peers.mbsync_config(self._base, port, self._user.address, self._user.password)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [peers.program("mbsync"), "-q", "-c", str(config), "bench"],
            check=True,
            capture_output=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1000


# ---------------------------------------------------------------- bytes and round trips


async def _wire(ground: Ground, user: User, mbsync: _Mbsync) -> dict[str, str]:
    """Round trips and bytes of one poll each, by name, as text."""
    since = await _known(ground.dovecot.imap, user)

    async def anew(port: int) -> None:
        store = await _opened(port, user)
        await _poll(store, since)
        await store.close()

    found = {
        "new connection": await _counted(ground, anew),
        "imapclient anew": await _counted(ground, lambda p: _thread(_their_session, p, user)),
        "mbsync": await _counted(ground, lambda p: _thread(mbsync.poll, p)),
    }
    async with FaultProxy(ground.dovecot.imap) as proxy:
        store = await _opened(proxy.port, user)
        await _poll(store, since)
        with _count(proxy, found, "kept open"):
            await _poll(store, since)
        await store.close()
    async with FaultProxy(ground.dovecot.imap) as proxy:
        client = await asyncio.to_thread(_client, proxy.port, user)
        await asyncio.to_thread(_their_poll, client)
        with _count(proxy, found, "imapclient kept open"):
            await asyncio.to_thread(_their_poll, client)
        await asyncio.to_thread(client.logout)
    return found


async def _thread(call: Callable[..., object], *values: object) -> None:
    await asyncio.to_thread(call, *values)


async def _counted(ground: Ground, poll: Callable[[int], Awaitable[None]]) -> str:
    found: dict[str, str] = {}
    async with FaultProxy(ground.dovecot.imap) as proxy:
        with _count(proxy, found, "it"):
            await poll(proxy.port)
    return found["it"]


@contextlib.contextmanager
def _count(proxy: FaultProxy, found: dict[str, str], name: str) -> Any:
    def now() -> tuple[int, int]:
        heard = proxy.transcript
        return heard.round_trips, len(heard.to_server) + len(heard.to_client)

    trips, size = now()
    yield
    trips, size = now()[0] - trips, now()[1] - size
    found[name] = f"{trips} round trip{'s' * (trips != 1)}, {size:,} bytes"
