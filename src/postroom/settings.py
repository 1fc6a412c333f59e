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
    """``room`` is the data directory; ``kek`` a KEK source or None for the room's own key file.

    ``public_only`` refuses to dial loopback and private addresses too.
    """

    room: Path
    kek: str | None = None
    public_only: bool = False


def settings_of(
    *,
    room: str | Path | None = None,
    kek: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """What was said, else the environment (``POSTROOM_ROOM``, ``POSTROOM_KEK``,
    ``POSTROOM_PUBLIC_ONLY``), else the defaults.

    Raises RoomError on Windows, for settings of a later release and for a POSTROOM_KEK without a
    kind of source.
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
    if str(chosen).startswith(("http://", "https://")) or env.get("POSTROOM_URL"):
        raise RoomError(
            "Rooms that are served elsewhere are not part of this release.",
            hint="Give the directory of a room on this machine, and unset POSTROOM_URL.",
        )
    if not kek and env.get("POSTROOM_KEK"):
        _check_kek(env["POSTROOM_KEK"])
    public_only = env.get("POSTROOM_PUBLIC_ONLY", "").lower() in ("1", "true", "yes")
    return Settings(
        Path(chosen).expanduser().absolute(), kek or env.get("POSTROOM_KEK") or None, public_only
    )


def _check_kek(value: str) -> None:
    """Raises RoomError for a path alone.  Other words are not shown: they may be the key itself."""
    if ":" in value:
        return
    if value.startswith(("/", "~", ".")):
        raise RoomError(f"POSTROOM_KEK is {value!r}: write file:{value}")
    raise RoomError(
        "POSTROOM_KEK does not say where the key is.",
        hint="Write file:PATH, mounted:PATH, env:NAME or passphrase:",
    )


def _default_room(env: Mapping[str, str]) -> Path:
    """The user's data directory (XDG base directories; macOS: Application Support)."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "postroom"
    return Path(env.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "postroom"
