"""The room fixture, which the tests of the vault have too."""

from __future__ import annotations

from tests.unit.vault.conftest import room

__all__ = ["room"]
