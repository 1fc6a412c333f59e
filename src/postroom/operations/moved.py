"""Moved: which secrets a change presents elsewhere from now on; told to whoever made the change."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Moved"]


class Moved(NamedTuple):
    """A credential whose secrets go elsewhere: the lines that were added and those that are gone."""

    credential: str
    added: tuple[str, ...]
    gone: tuple[str, ...]
