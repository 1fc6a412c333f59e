"""Fixtures for every test: the ground of real servers, lazily, once a session (or a worker); a new room."""

from __future__ import annotations

import unittest
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.canaries import Canaries

if TYPE_CHECKING:
    from postroom.app import Room
    from postroom.settings import Settings
    from tests.ground import Ground, Pki, User

__all__ = ["configuration", "fresh_user", "ground", "pki", "room", "settings"]

# how long an example takes on a busy machine says nothing of what is tested
hypothesis.settings.register_profile(
    "postroom",
    hypothesis.settings(),  # on a build machine: that of such
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("postroom")


def pytest_configure(config: pytest.Config) -> None:
    """Every secret of every test is a canary."""
    config.pluginmanager.register(Canaries(), "canaries")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None], item: pytest.Item
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A server that is missing is told with the file whose tests want it, and once for each file.

    Otherwise pytest names its own line that turns ``unittest.SkipTest`` into a skip.
    """
    wants = call.excinfo is not None and isinstance(call.excinfo.value, unittest.SkipTest)
    report = yield
    if wants and isinstance(report.longrepr, tuple):
        report.longrepr = (item.location[0], None, report.longrepr[2])  # type: ignore[assignment]
    return report


# The ground is imported inside the fixtures: tests of pure rooms need not pay for it.


@pytest.fixture(scope="session", autouse=True)
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A configuration directory of the tests: nothing is written into that of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("configuration")))
        yield


@pytest.fixture(scope="session")
def ground() -> Iterator[Ground]:
    """Dovecot and Postfix; `ground.dovecot` and `ground.postfix` start when first touched."""
    from tests.ground import Ground

    with Ground() as made:
        yield made


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """A test CA with its certificates, for the proxy and the scripted server alone."""
    from tests.ground.pki import make_pki

    folder: Path = tmp_path_factory.mktemp("pki")
    return make_pki(folder)


@pytest.fixture
def fresh_user(ground: Ground) -> User:
    """A user of this test's own."""
    return ground.user()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A room directory and a key file outside it."""
    from postroom.settings import Settings

    return Settings(tmp_path / "room", f"file:{tmp_path / 'keys' / 'room.key'}")


@pytest.fixture
async def room(settings: Settings) -> AsyncIterator[Room]:
    """A new room, open."""
    from postroom.app import open_room

    opened = await open_room(settings, make=True)
    yield opened
    await opened.close()
