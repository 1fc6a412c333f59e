"""Settings of the process: where the room lies and where its key comes from."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from postroom.errors import RoomError

__all__ = ["Settings", "settings_of"]


class Settings(NamedTuple):
    """``room`` is the data directory; ``kek`` a KEK source or None for the room's own key file."""

    room: Path
    kek: str | None = None


def settings_of(
    *,
    room: str | Path | None = None,
    kek: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """What was said, else the environment (``POSTROOM_ROOM``, ``POSTROOM_KEK``), else the defaults.

    Raises RoomError on Windows and for settings of a later release.
    """
    env = os.environ if environ is None else environ
    if sys.platform == "win32":
        raise RoomError("Postroom runs on Linux and macOS; Windows is not supported.")
    if env.get("POSTROOM_DATABASE_URL"):
        raise RoomError(
            "POSTROOM_DATABASE_URL is set, but this release keeps its rooms in SQLite.",
            hint="Unset it, or install a release with PostgreSQL.",
        )
    chosen = room or env.get("POSTROOM_ROOM") or _default_room(env)
    return Settings(Path(chosen).expanduser().absolute(), kek or env.get("POSTROOM_KEK") or None)


def _default_room(env: Mapping[str, str]) -> Path:
    """The user's data directory (XDG base directories; macOS: Application Support)."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "postroom"
    return Path(env.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "postroom"
