"""Fixtures of the fault tests: a stage, and the certainty that no child is left."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.children import left_behind
from tests.faults.stage import Stage

if TYPE_CHECKING:
    from tests.ground import Ground
    from tests.journeys.incoming import Incoming
    from tests.journeys.outgoing import Outgoing

__all__ = ["box", "post", "stage"]


@pytest.fixture
def stage(tmp_path: Path, request: pytest.FixtureRequest) -> Stage:
    """A room of this test's own that nobody has made yet."""

    def ground() -> Ground:
        started: Ground = request.getfixturevalue("ground")
        return started

    return Stage(tmp_path, ground)


@pytest.fixture
async def post(stage: Stage) -> AsyncIterator[Outgoing]:
    """A room on the stage that sends through Postfix."""
    from tests.faults.sending import posting

    async with posting(stage) as made:
        yield made


@pytest.fixture
async def box(stage: Stage) -> AsyncIterator[Incoming]:
    """A room on the stage that collects from Dovecot."""
    from tests.faults.collecting import mailbox

    async with mailbox(stage) as made:
        yield made


@pytest.fixture(autouse=True)
def _nobody_left() -> Iterator[None]:
    yield
    assert left_behind() == 0, "a child outlived its test"
