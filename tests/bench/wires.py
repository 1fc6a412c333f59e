"""Collecting over other wires: mixed sizes, TLS, a long way to the server, one huge message, POP3."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
import threading
from collections.abc import Callable, Iterator
from typing import Final

from tests.bench import clients, peers
from tests.bench.figures import Figure, Samples
from tests.bench.rooms import Place, Scratch, collecting_room, work
from tests.ground import Ground, User, messages
from tests.ground.proxy import FaultProxy
from tests.ground.transcript import Transcript

__all__ = ["wires"]

Say = Callable[[str], None]
ROUND_TRIP: Final = 0.02


@dataclasses.dataclass(frozen=True, slots=True)
class _Bench:
    """What every measurement of this part needs."""

    ground: Ground
    tmpfs: Scratch
    say: Say

    def user(self, count: int, content: Callable[[int], bytes]) -> User:
        """Somebody with so many messages, and Dovecot's index of them made."""
        user = self.ground.user()
        self.ground.dovecot.fill(user, (content(number) for number in range(count)))
        peers.raw_imap(self.ground.dovecot.imap, user.address, user.password)
        return user

    def collect(
        self, user: User, count: int, port: int, *, protocol: str = "imap", tls: bool = False
    ) -> dict[str, float]:
        """Collect everything into a new room on tmpfs."""
        trust = self.ground.pki.ca.read_text() if tls else ""
        with self.tmpfs.new() as base:
            place = Place(base)
            collecting_room(
                place, port, user.address, user.password, protocol=protocol, trust=trust
            )
            return work(place, "collect", count=count)


def wires(
    mixed: int,
    pop: int,
    runs: int,
    tmpfs: Scratch,
    say: Say,
    *,
    far: int = 1_000,
    huge: int = 60_000_000,
) -> list[Figure]:
    """Figures of ``mixed`` messages of all sizes and ``pop`` small ones by POP3, of ``far`` small
    ones over a long way, and of one of ``huge`` bytes.
    """
    with Ground() as ground:
        bench = _Bench(ground, tmpfs, say)
        return [
            *_mixed(bench, mixed, runs),
            *_far(bench, far, runs),
            _huge(bench, huge, runs),
            *_pop3(bench, pop, runs),
        ]


def _of_all_sizes(number: int) -> bytes:
    """2 KB to 1 MB, half of them below 10 KB, 35 KB on the average."""
    random_ = random.Random(f"mixed/{number}")
    if number % 5 < 3:
        return messages.small(number)
    return messages.large(int(2_000 * 500.0 ** random_.random()), number).raw


def _mixed(bench: _Bench, count: int, runs: int) -> list[Figure]:
    user = bench.user(count, _of_all_sizes)
    dovecot, context = bench.ground.dovecot, bench.ground.pki.client_context()
    samples: dict[str, list[float]] = {}
    for run in range(runs):
        plain = bench.collect(user, count, dovecot.imap)
        over_tls = bench.collect(user, count, dovecot.imaps, tls=True)
        raw = peers.raw_imap(dovecot.imap, user.address, user.password)
        raw_tls = peers.raw_imap(dovecot.imaps, user.address, user.password, tls=context)
        with bench.tmpfs.new() as base:
            mbsync = peers.mbsync(
                base, dovecot.imap, user.address, user.password, fsync=False, count=count
            )
        found = {
            "plain": count / plain["seconds"], "tls": count / over_tls["seconds"],
            "raw": count / raw, "raw tls": count / raw_tls, "mbsync": count / mbsync,
            "peak": max(plain["peak_mb"], over_tls["peak_mb"]),
        }  # fmt: skip
        for name, value in found.items():
            samples.setdefault(name, []).append(value)
        bench.say(f"mixed, run {run + 1}: " + ", ".join(f"{k} {v:,.0f}" for k, v in found.items()))
    what = f"collect {count:,} of 2 KB to 1 MB, tmpfs"

    def beside(name: str, peer: str, shown: str, aim: str = "", *, as_time: bool = False) -> Figure:
        label = what if name == "plain" else f"{what}, TLS"
        other = Samples(shown, samples[peer])
        return Figure(label, "rate", samples[name], other, aim, as_time=as_time)

    return [
        beside("plain", "mbsync", "mbsync, FSync no", "faster"),
        beside("plain", "raw", "raw socket", as_time=True),
        beside("tls", "plain", "the same without TLS", "time <= 1.5 x", as_time=True),
        beside("tls", "raw tls", "raw TLS socket", as_time=True),
        Figure(f"{what}, peak memory", "memory", samples["peak"], aim="< 100 MB"),
    ]


def _far(bench: _Bench, count: int, runs: int) -> list[Figure]:
    user = bench.user(count, messages.small)
    ours: list[float] = []
    theirs: list[float] = []
    trips: list[float] = []
    for run in range(runs):
        with _proxied(bench.ground.dovecot.imap) as proxy:
            ours.append(bench.collect(user, count, proxy.port)["seconds"] * 1000)
            trips.append(_trips_before_body(proxy.transcript))
        with _proxied(bench.ground.dovecot.imap) as proxy, bench.tmpfs.new() as base:
            whole = (user.address, user.password)
            theirs.append(peers.mbsync(base, proxy.port, *whole, fsync=False, count=count) * 1000)
        bench.say(f"far, run {run + 1}: {ours[-1]:,.0f} ms, mbsync {theirs[-1]:,.0f} ms")
    what = f"collect {count:,} of 2.5 KB, round trip 20 ms"
    return [
        Figure(what, "time", ours, Samples("mbsync, FSync no", theirs), "<= 500 ms"),
        Figure(f"{what}, round trips before the first body", "count", trips, aim="<= 8"),
    ]


@contextlib.contextmanager
def _proxied(port: int) -> Iterator[FaultProxy]:
    """A proxy that is a round trip away from the server, in a thread and a loop of its own."""
    proxy = FaultProxy(port, latency=ROUND_TRIP)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(proxy.up(), loop).result()
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(proxy.down(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _trips_before_body(heard: Transcript) -> int:
    """How often the client had spoken and waited for an answer when the first body came."""
    part = Transcript()
    for event in heard.events:
        part.events.append(event)
        if event.direction == "to_client" and b"BODY[]" in event.data:
            break
    return part.round_trips


def _huge(bench: _Bench, size: int, runs: int) -> Figure:
    """Megabytes of memory that one message of ``size`` takes beyond what one of 2.5 KB does."""
    small = bench.user(1, messages.small)
    large = bench.user(1, lambda _: messages.large(size).raw)
    port = bench.ground.dovecot.imap
    more: list[float] = []
    for run in range(runs):
        peaks = [bench.collect(user, 1, port)["peak_mb"] for user in (small, large)]
        more.append(max(0.1, peaks[1] - peaks[0]))
        bench.say(f"huge, run {run + 1}: {peaks[0]:.0f} MB, {peaks[1]:.0f} MB")
    what = f"one message of {size / 1e6:.0f} MB, memory beyond one of 2.5 KB"
    return Figure(what, "memory", more, aim="< 8 MB")


def _pop3(bench: _Bench, count: int, runs: int) -> list[Figure]:
    user = bench.user(count, messages.small)
    port = bench.ground.dovecot.pop3
    ours: list[float] = []
    theirs: list[float] = []
    for run in range(runs):
        ours.append(count / bench.collect(user, count, port, protocol="pop3")["seconds"])
        with bench.tmpfs.new() as base:
            took = clients.poplib_all(base / "out", port, user.address, user.password)
        theirs.append(count / took)
        bench.say(f"pop3, run {run + 1}: {ours[-1]:,.0f}/s, poplib {theirs[-1]:,.0f}/s")
    what = f"collect {count:,} of 2.5 KB by POP3, tmpfs"
    return [Figure(what, "rate", ours, Samples("poplib, files", theirs), ">= 2 x")]
