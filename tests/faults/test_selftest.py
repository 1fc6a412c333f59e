"""The harness tests itself: every seeded bug is seen by the scenario that is there to see it."""

from __future__ import annotations

import importlib

import pytest

from tests.faults.dose import minutes
from tests.faults.mutants import MUTANTS
from tests.faults.stage import Stage

pytestmark = pytest.mark.timeout(minutes(3, 30, 90))


@pytest.mark.parametrize("name", MUTANTS)
async def test_a_seeded_bug_is_caught(stage: Stage, name: str) -> None:
    """F24: the scenario complains of the mutant; without it, its own test says that all is well."""
    mutant = MUTANTS[name]
    module, _, function = mutant.caught_by.partition(":")
    scenario = getattr(importlib.import_module(module), function)
    told = await scenario(stage, name)
    assert any(mutant.says in one for one in told), f"nobody noticed that {mutant.bug}: {told}"
