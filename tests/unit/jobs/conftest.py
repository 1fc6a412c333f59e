"""A database with a seat that lives, and jobs in few words."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from postroom.db import Database
from tests.unit.jobs.desk import Desk

__all__ = ["desk"]


@pytest.fixture
async def desk(db: Database) -> AsyncIterator[Desk]:
    """Seats, jobs and runs of that database."""
    made = Desk(db)
    yield made
    await made.close()
