"""The pages: one file each, and one line each in ``PAGES``."""

from __future__ import annotations

from typing import Final, Protocol

from postroom.web.pages import (
    account,
    answering,
    audit,
    census,
    connect,
    connecting,
    connections,
    credentials,
    details,
    entrance,
    granting,
    guides,
    jobs,
    keeping,
    keys,
    ledger,
    messages,
    notify,
    outbox,
    overview,
    runs,
    services,
    signing_in,
    sources,
    users,
    variables,
    versions,
    watching,
)
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
    connect,
    credentials,
    details,
    granting,
    versions,
    guides,
    connecting,
    connections,
    signing_in,
    sources,
    ledger,
    services,
    outbox,
    messages,
    answering,
    jobs,
    runs,
    variables,
    notify,
    census,
    keys,
    audit,
    users,
    account,
    keeping,
)
