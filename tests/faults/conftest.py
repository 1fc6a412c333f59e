"""Fixtures for faults: a room of its own, as journeys have it."""

from __future__ import annotations

from tests.journeys.conftest import room, settings

__all__ = ["room", "settings"]
