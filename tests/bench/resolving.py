"""Opening a credential with its audit row durable first, beside what the disk can sync."""

from __future__ import annotations

from tests.bench import peers
from tests.bench.collecting import Say
from tests.bench.figures import Figure, Samples
from tests.bench.rooms import Place, Scratch, resolving_room, work

__all__ = ["resolving"]

TASKS = 64


def resolving(one: int, many: int, runs: int, disk: Scratch, say: Say) -> list[Figure]:
    """Figures of ``one`` openings one after the other and of ``many`` by 64 tasks."""
    alone: list[float] = []
    together: list[float] = []
    syncs: list[float] = []
    commits: list[float] = []
    for run in range(runs):
        with disk.new() as base:
            place = Place(base)
            resolving_room(place)
            syncs.append(peers.sync_rate(base))
            commits.append(peers.commit_rate(base, TASKS))
            found = work(place, "resolve", one=one, many=many, tasks=TASKS)
        alone.append(found["one"])
        together.append(found["many"])
        say(
            f"resolve, run {run + 1}: one task {alone[-1]:,.0f}/s, {TASKS} tasks "
            f"{together[-1]:,.0f}/s, the disk {syncs[-1]:,.0f} fdatasync/s"
        )
    disk_rate = Samples("the disk's fdatasync", syncs)
    bare = Samples(f"bare SQLite, {TASKS} INSERTs a commit", commits)
    return [
        Figure("resolve a credential, one task", "rate", alone, disk_rate, ">= 1 x"),
        Figure(f"resolve a credential, {TASKS} tasks", "rate", together, disk_rate, ">= 10,000/s"),
        Figure(f"resolve a credential, {TASKS} tasks", "rate", together, bare),
    ]
