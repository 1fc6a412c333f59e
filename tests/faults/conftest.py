"""Fixtures of the fault tests: a stage, and the certainty that no child is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.children import left_behind
from tests.faults.stage import Stage

if TYPE_CHECKING:
    from tests.ground import Ground


@pytest.fixture
def stage(tmp_path: Path, request: pytest.FixtureRequest) -> Stage:
    """A room of this test's own that nobody has made yet."""

    def ground() -> Ground:
        started: Ground = request.getfixturevalue("ground")
        return started

    return Stage(tmp_path, ground)


@pytest.fixture(autouse=True)
def _nobody_left() -> Iterator[None]:
    yield
    assert left_behind() == [], "a child outlived its test"
