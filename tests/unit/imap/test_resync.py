"""Cursors, and what a server told to be gone: the same as a plain set, however it is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.errors import InvalidValue
from postroom.protocols.base import Changes, Since
from postroom.protocols.imap.responses import Fetch, Other, Vanished
from postroom.protocols.imap.resync import Resync, read_cursor, write_cursor

LAST = 60
ranges = st.lists(
    st.tuples(st.integers(1, 80), st.integers(0, 9)).map(lambda pair: (pair[0], sum(pair))),
    max_size=12,
)


def resynced(*told: Vanished | Fetch, modseq: int = 9) -> Changes:
    resync = Resync(Since(7, f"{LAST}/5"))
    assert resync.parameter() == f"(QRESYNC (7 5 1:{LAST}))"
    for event in told:
        assert resync.take(event)
    changes = resync.changes(7, modseq, tells=True)
    assert changes is not None
    return changes


@given(st.lists(ranges, max_size=3))
def test_what_has_gone_is_a_set_of_ids(told: list[list[tuple[int, int]]]) -> None:
    """Overlapping, unsorted, in several lines; cut at the cursor."""
    gone = resynced(*(Vanished(each, earlier=True) for each in told)).gone
    plain = {n for each in told for low, high in each for n in range(low, high + 1) if n <= LAST}
    assert gone is not None
    assert list(gone) == [f"7-{uid}" for uid in sorted(plain)]
    assert len(gone) == len(plain)
    assert {n for n in range(1, 100) if f"7-{n}" in gone} == plain
    assert "8-1" not in gone
    assert "7-x" not in gone


def test_what_is_told_of_now_is_nothing_of_before() -> None:
    """VANISHED without EARLIER counts the folder down; it is somebody else's business."""
    assert not Resync(Since(7, "60/5")).take(Vanished([(1, 2)], earlier=False))
    assert not Resync(Since(7, "60/5")).take(Other("X"))


def test_more_ranges_than_can_be_true_are_not_believed() -> None:
    """T68: they are not kept either; the folder is looked through instead."""
    many = [(n, n) for n in range(2, LAST, 2)] * 1000
    changes = resynced(*(Vanished(many, earlier=True) for _ in range(8)))
    assert changes.gone is None
    assert changes.lost


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**63 - 1))
def test_a_cursor_comes_back(uid: int, modseq: int) -> None:
    assert read_cursor(write_cursor(uid, modseq)) == (uid, modseq)


@pytest.mark.parametrize(
    "cursor", ["x", "1/", "/1", "-1", "1/2/3", "1 2", "١", "1" * 11, "1/" + "1" * 20]
)
def test_a_cursor_that_is_none(cursor: str) -> None:
    with pytest.raises(InvalidValue):
        read_cursor(cursor)


@pytest.mark.parametrize("cursor", ["", "60", "0/5"])
def test_without_a_modseq_or_a_message_there_is_nothing_to_ask(cursor: str) -> None:
    """A room that never kept one; a folder that was empty."""
    assert not Resync(Since(7, cursor)).possible
