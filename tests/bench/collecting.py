"""Collecting many small messages by IMAP: beside a raw socket, mbsync and a plain loop of files."""

from __future__ import annotations

from collections.abc import Callable

from tests.bench import clients, peers
from tests.bench.figures import Figure, Samples
from tests.bench.rooms import Place, Scratch, collecting_room, work
from tests.ground import Ground, User, messages

__all__ = ["collecting"]

Say = Callable[[str], None]


def collecting(count: int, runs: int, tmpfs: Scratch, disk: Scratch, say: Say) -> list[Figure]:
    """Figures of collecting ``count`` messages of 2.5 KB, on tmpfs and on the disk."""
    with Ground() as ground:
        user = ground.user()
        ground.dovecot.fill(user, (messages.small(number) for number in range(count)))
        peers.raw_imap(ground.dovecot.imap, user.address, user.password)  # Dovecot's own index
        figures = []
        for name, scratch, fsync in (("tmpfs", tmpfs, False), ("disk", disk, True)):
            figures += _on(name, scratch, ground, user, count, runs, fsync, say)
        return figures


def _on(
    name: str,
    scratch: Scratch,
    ground: Ground,
    user: User,
    count: int,
    runs: int,
    fsync: bool,
    say: Say,
) -> list[Figure]:
    port = ground.dovecot.imap
    inside: list[float] = []
    whole: list[float] = []
    raw: list[float] = []
    synced: list[float] = []
    files: list[float] = []
    peak: list[float] = []
    theirs: list[float] = []
    for run in range(runs):
        raw.append(count / peers.raw_imap(port, user.address, user.password))
        with scratch.new() as base:
            place = Place(base)
            collecting_room(place, port, user.address, user.password)
            found = work(place, "collect", count=count)
        inside.append(count / found["seconds"])
        whole.append(count / found["process"])
        peak.append(found["peak_mb"])
        with scratch.new() as base:
            synced.append(
                count
                / peers.mbsync(base, port, user.address, user.password, fsync=fsync, count=count)
            )
        if not fsync:
            with scratch.new() as base:
                took = clients.imapclient_all(base / "out", port, user.address, user.password)
            theirs.append(count / took)
        if fsync:
            with scratch.new() as base:
                files.append(peers.files_rate(base, messages.small(1), count // 5))
        say(
            f"collect, {name}, run {run + 1}: {inside[-1]:,.0f}/s ({found['cpu']:.2f} s CPU), as a "
            f"process {whole[-1]:,.0f}/s, mbsync {synced[-1]:,.0f}/s, raw {raw[-1]:,.0f}/s"
        )
    what = f"collect {count:,} of 2.5 KB, {name}"
    mbsync = Samples(f"mbsync, FSync {'yes' if fsync else 'no'}", synced)
    figures = [
        Figure(what, "rate", inside, mbsync, "faster"),
        Figure(f"{what}, whole process", "rate", whole, mbsync, "faster"),
    ]
    if fsync:
        bare = Samples("loop: create, fdatasync", files)
        figures.append(Figure(what, "rate", inside, bare, "time <= 1.5 x", as_time=True))
    else:
        socket = Samples("raw socket", raw)
        figures.append(Figure(what, "rate", inside, Samples("imapclient, files", theirs)))
        figures.append(Figure(what, "rate", inside, socket, "time <= 2.5 x", as_time=True))
        figures.append(Figure(f"{what}, peak memory", "memory", peak))
    return figures
