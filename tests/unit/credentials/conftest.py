"""The room fixture, which the tests of the vault have too, and certificates."""

from __future__ import annotations

import pytest

from postroom.credentials.types.pem import generate_pair
from postroom.secret import Secret
from tests.unit.vault.conftest import room

__all__ = ["certificates", "pair", "room"]


@pytest.fixture(scope="session")
def pair() -> tuple[Secret, str]:
    """A private key and its certificate, PEM both."""
    return generate_pair("test.example.com")


@pytest.fixture(scope="session")
def certificates(pair: tuple[Secret, str]) -> tuple[str, str]:
    """Two certificates."""
    return pair[1], generate_pair("other.example.com")[1]
