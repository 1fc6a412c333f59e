"""T83: no reader of foreign bytes breaks or dawdles, on what broke one before or on anything like it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.dose import dose
from tests.fuzz import target as fuzz
from tests.fuzz.search import main

__all__: list[str] = []

EXAMPLES = dose(100, 1_000, 5_000)
KEPT = [(name, path) for name in fuzz.TARGETS for path in fuzz.target(name).corpus()]


def like(target: fuzz.Target) -> st.SearchStrategy[bytes]:
    """Kept inputs with words put in and bytes taken out; words in a row; any bytes."""
    words = st.sampled_from(target.words) | st.binary(max_size=4)
    edits = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 40), words), max_size=4)

    def edited(seed: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
        for place, gone, word in changes:
            at = place % (len(seed) + 1)
            seed = seed[:at] + word + seed[at + gone :]
        return seed

    seeds = [path.read_bytes() for path in target.corpus()]
    near = st.builds(edited, st.sampled_from(seeds), edits)
    return near | st.lists(words, max_size=20).map(b"".join) | st.binary(max_size=200)


@pytest.mark.parametrize(("name", "path"), KEPT, ids=[f"{n}-{path.name}" for n, path in KEPT])
def test_what_is_kept_breaks_nothing(name: str, path: Path) -> None:
    """T83: real transcripts, and every input that broke a reader once."""
    fuzz.target(name).check(path.read_bytes())


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_what_is_like_it_breaks_nothing(name: str) -> None:
    """T83: the same again at each run (``FAULTS=full`` and ``FAULTS=long``: more of it)."""
    target = fuzz.target(name)

    @settings(max_examples=EXAMPLES, derandomize=True, database=None)
    @given(like(target))
    def check(data: bytes) -> None:
        target.check(data)

    check()


def test_every_target_is_listed() -> None:
    here = {path.stem for path in fuzz.CORPUS.parent.glob("*.py")}
    assert here - {"__init__", "search", "target"} == set(fuzz.TARGETS)


def test_what_takes_too_long_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """T83: the time of the processor counts, so a busy machine is none."""
    monkeypatch.setattr(fuzz, "LONGEST", 0.01)

    def dawdle(data: bytes) -> None:
        sum(range(3_000_000))

    busy = fuzz.timed(dawdle)
    with pytest.raises(fuzz.TooSlow, match="for 3 bytes"):
        busy(b"abc")


def test_a_search_for_no_target_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["5", "nonsense"]) == 2
    assert "addresses" in capsys.readouterr().err
