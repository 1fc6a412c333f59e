"""The stage of a scenario: a room of its own, chance from a seed, the servers if it wants them."""

from __future__ import annotations

import dataclasses
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from postroom.settings import Settings

if TYPE_CHECKING:
    from tests.ground import Ground

__all__ = ["SEED", "Stage"]

SEED = 20261129


@dataclasses.dataclass(slots=True)
class Stage:
    """What a scenario is given.  ``ground()`` starts Dovecot and Postfix when it is first called."""

    path: Path
    ground: Callable[[], Ground]
    chance: random.Random = dataclasses.field(default_factory=lambda: random.Random(SEED))

    @property
    def settings(self) -> Settings:
        """The room and its key, in this stage's directory."""
        return Settings(self.path / "room", f"file:{self.path / 'keys' / 'room.key'}")

    @property
    def where(self) -> tuple[str, str]:
        """The same as arguments for a client."""
        settings = self.settings
        return str(settings.room), str(settings.kek)

    def files(self) -> list[Path]:
        """The files of the room's database."""
        return sorted(self.settings.room.glob("room.db*"))

    def sql(self) -> sqlite3.Connection:
        """The room's database, past the room; the caller closes it."""
        found = sqlite3.connect(self.settings.room / "room.db", timeout=30)
        found.row_factory = sqlite3.Row
        return found
