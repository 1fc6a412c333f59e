"""Writers of credentials are killed: at random times, and at every named point."""

from __future__ import annotations

import pytest

from tests.faults import points, storing
from tests.faults.dose import dose, minutes
from tests.faults.stage import Stage

pytestmark = pytest.mark.timeout(minutes(3, 15, 300))
AGAIN = pytest.mark.parametrize("run", range(dose(1, 3, 3)))
"""What reaches a point once is killed there again, in a room of its own."""


async def test_no_acknowledged_change_is_lost_to_a_kill_at_any_time(stage: Stage) -> None:
    """F1: every acknowledged version opens, no record is unreadable, the file is whole."""
    assert await storing.killed_writers(stage) == []


def each(points: dict[str, str]) -> list[tuple[str, str]]:
    """Every point, in a full dose the first three times that it is reached."""
    return [
        (name, spot if spot[-1].isdigit() else f"{spot} {nth}")
        for name, spot in points.items()
        for nth in range(1, dose(2, 4, 4))
    ]


@pytest.mark.parametrize(("name", "spot"), each(points.STORE))
async def test_killed_at_a_named_point_of_a_change(stage: Stage, name: str, spot: str) -> None:
    """F2: the change is whole or has not been, and the room can be used."""
    assert await storing.killed_at(stage, "changes", spot) == []


@pytest.mark.parametrize(("name", "spot"), each(points.KEYS))
async def test_killed_at_a_named_point_of_a_rotation(stage: Stage, name: str, spot: str) -> None:
    """F2, F5: whatever was sealed opens, the next rotation finishes what was begun."""
    assert await storing.killed_at(stage, "rotations", spot) == []


@AGAIN
@pytest.mark.parametrize(("name", "spot"), points.KEKS.items())
async def test_killed_while_one_kek_follows_another(
    stage: Stage, name: str, spot: str, run: int
) -> None:
    """F2, F6: some key always opens the room, and nothing has to be mended by hand."""
    assert await storing.killed_between_keks(stage, spot) == []


@AGAIN
@pytest.mark.parametrize(("name", "spot"), points.FIRST_RUN.items())
async def test_killed_while_the_room_is_made(stage: Stage, name: str, spot: str, run: int) -> None:
    """F2: ``init`` said again makes the room; a key that was written is never written over."""
    assert await storing.killed_beginning(stage, spot) == []


async def test_what_cannot_be_sealed_is_not_saved(stage: Stage) -> None:
    """T8: there is no way back to plain text, neither in nor out."""
    assert await storing.sealed_or_nothing(stage) == []
