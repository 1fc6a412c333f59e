"""Fixtures for every test: the ground of real servers, lazily, once a session (or a worker); a new room."""

from __future__ import annotations

import collections
import itertools
import os
import unittest
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from tests.canaries import Canaries

if TYPE_CHECKING:
    from postroom.app import Room
    from postroom.settings import Settings
    from tests.ground import Ground, Pki, User

__all__ = ["configuration", "fresh_user", "ground", "pki", "room", "settings", "true_cost"]

# how long an example takes on a busy machine says nothing of what is tested
hypothesis.settings.register_profile(
    "postroom",
    hypothesis.settings(),  # on a build machine: that of such
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("postroom")

_TESTS = itertools.count(1)
_SLOW = 50  # others that are over in the time of a slow one


def pytest_configure(config: pytest.Config) -> None:
    """Every secret of every test is a canary."""
    config.pluginmanager.register(Canaries(), "canaries")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A worker begins with the files that take long, or it is alone with one of them at the end."""
    if hasattr(config, "workerinput"):
        weights: collections.Counter[str] = collections.Counter()
        for item in items:
            weights[item.location[0]] += _SLOW if item.get_closest_marker("slow") else 1
        items.sort(key=lambda item: -weights[item.location[0]])


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
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A configuration directory of the tests: nothing is written into that of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        base = tmp_path_factory.mktemp("configuration")
        patch.setenv("XDG_CONFIG_HOME", str(base))
        yield base


@pytest.fixture(autouse=True)
def _own_configuration(configuration: Path) -> None:
    """Another for every test: there is kept what belongs to a room, by its id, and copies share it."""
    os.environ["XDG_CONFIG_HOME"] = str(configuration / str(next(_TESTS)))


@pytest.fixture(scope="session", autouse=True)
def _quick_passwords() -> Iterator[tuple[Any, str]]:
    """A hash of a person's password costs the least that a room accepts; see `true_cost`."""
    from postroom.access import passwords

    true = passwords._COST, passwords._NOBODY
    dear, cheap = ("m={},t={},p={}".format(*cost) for cost in (true[0], passwords._FLOOR))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_COST", passwords._FLOOR)
        patch.setattr(passwords, "_NOBODY", true[1].replace(dear, cheap))
        yield true


@pytest.fixture
def true_cost(_quick_passwords: tuple[Any, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what a hash costs: as it is outside the tests."""
    from postroom.access import passwords

    monkeypatch.setattr(passwords, "_COST", _quick_passwords[0])
    monkeypatch.setattr(passwords, "_NOBODY", _quick_passwords[1])


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
    from tests.newroom import new_room

    new_room(settings)
    opened = await open_room(settings)
    yield opened
    await opened.close()
