"""The harness does what it says: children die and freeze where they are told, and none stays."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.children import Victim, left_behind, until_dead, until_frozen
from tests.faults.history import Pen
from tests.faults.spots import Spot

CLIENT = "tests.faults.test_harness:counting"
SECONDS = 30.0


def one(number: int) -> int:
    return number + 1


async def two(number: int) -> int:
    return number + 2


async def counting(pen: Pen, how: str = "") -> None:
    """A client: it says how far it came."""
    number = one(0)
    print("one", flush=True)
    number = await two(number)
    print("two", flush=True)
    number = one(number)
    print("one again", flush=True)
    if how == "wait":
        await asyncio.sleep(SECONDS)


@pytest.mark.parametrize(
    ("spot", "said"),
    [
        ("tests.faults.test_harness:one before", []),
        ("tests.faults.test_harness:one after", []),
        ("tests.faults.test_harness:one before 2", ["one", "two"]),
        ("tests.faults.test_harness:two before", ["one"]),
        ("tests.faults.test_harness:two after", ["one"]),
    ],
)
async def test_a_child_dies_at_its_spot(spot: str, said: list[str]) -> None:
    with Victim(CLIENT, spot=spot) as victim:
        assert await until_dead(victim)
        assert victim.lines() == said


async def test_a_spot_that_is_never_reached_is_noticed() -> None:
    with Victim(CLIENT, spot="tests.faults.test_harness:one before 3") as victim:
        assert not await until_dead(victim)
        assert victim.status == 0


async def test_a_child_freezes_at_its_spot_and_goes_on_when_it_is_let() -> None:
    with Victim(CLIENT, spot="tests.faults.test_harness:two before", stop=True) as victim:
        await until_frozen(victim)
        assert victim.line() == "one"
        victim.thaw()
        assert victim.line() == "two"
        assert await asyncio.to_thread(victim.wait) == 0


async def test_whoever_leaves_the_block_leaves_no_child() -> None:
    with Victim(CLIENT, "wait") as victim:
        assert [victim.line() for _ in range(3)] == ["one", "two", "one again"]
        assert left_behind() == 1
    assert victim.killed
    assert left_behind() == 0


async def test_what_goes_wrong_in_a_child_is_its_parent_s_to_read() -> None:
    with Victim(CLIENT, spot="tests.faults.test_harness:three before") as victim:
        with pytest.raises(AssertionError, match="AttributeError: three"):
            victim.line()
        assert await asyncio.to_thread(victim.wait) == 1


@pytest.mark.parametrize("text", ["postroom.db.engine:open_database", "sql COMMIT during"])
def test_a_spot_says_before_or_after(text: str) -> None:
    with pytest.raises(AssertionError, match="say before or after"):
        Spot.parse(text)
