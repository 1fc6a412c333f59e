"""Listing many credentials and showing one of them, beside a bare query for the same rows."""

from __future__ import annotations

from tests.bench.collecting import Say
from tests.bench.figures import Figure, Samples
from tests.bench.rooms import Place, Scratch, listing_room, work

__all__ = ["listing"]


def listing(count: int, runs: int, tmpfs: Scratch, say: Say) -> list[Figure]:
    """Figures of a room of ``count`` credentials: the 95th percentile of 40 lists and of 100 looks."""
    lists: list[float] = []
    looks: list[float] = []
    bare: list[float] = []
    with tmpfs.new() as base:
        place = Place(base)
        listing_room(place, count)
        for run in range(runs):
            found = work(place, "listing", lists=40, looks=100)
            lists.append(found["list_ms"])
            looks.append(found["show_ms"])
            bare.append(found["bare_ms"])
            say(
                f"list, run {run + 1}: {count:,} in {lists[-1]:.0f} ms, one shown in {looks[-1]:.1f} ms, "
                f"{found['opened']:.0f} secrets opened"
            )
    peer = Samples("sqlite3, the same rows", bare)
    return [
        Figure(f"list {count:,} credentials, 95th percentile", "time", lists, peer, "< 200 ms"),
        Figure(f"show one of {count:,}, 95th percentile", "time", looks, None, "< 200 ms"),
    ]
