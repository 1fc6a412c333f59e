"""The growth of a block is its own, whatever was before it."""

from __future__ import annotations

from tests.memory import MIB, memory_growth


def test_what_grows_below_an_earlier_peak_is_seen() -> None:
    """A peak of 100 MiB before the block hides nothing, and one inside of it that is over counts."""
    earlier = bytearray(100 * MIB)
    del earlier
    with memory_growth() as growth:
        inside = bytearray(b"x") * (30 * MIB)
        del inside
    assert 28 * MIB < growth() < 40 * MIB
    with memory_growth() as little:
        pass
    assert little() < 2 * MIB
