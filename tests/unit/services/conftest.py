"""A database, and its outbox in the words of these tests."""

from __future__ import annotations

import pytest

from postroom.db import Database
from tests.unit.services.desk import Desk

__all__ = ["desk"]


@pytest.fixture
async def desk(db: Database) -> Desk:
    """The service ``orders-out`` and a seat ``me`` that lives."""
    made = Desk(db)
    await made.open()
    return made
