"""The pages: one file each, and one line each in ``PAGES``."""

from __future__ import annotations

from typing import Final, Protocol

from postroom.web.pages import credentials, details, entrance, guides, overview, versions, watching
from postroom.web.paths import Path

__all__ = ["PAGES", "Pages"]


class Pages(Protocol):
    """A file of pages: its routes, in the order in which they are tried."""

    @property
    def ROUTES(self) -> tuple[Path, ...]: ...  # noqa: N802  # a module's constant


PAGES: Final[tuple[Pages, ...]] = (
    entrance,
    watching,
    overview,
    credentials,
    details,
    versions,
    guides,
)
