"""Waking what waits: sources after a failure, deferred messages, once what they rest on has changed."""

from __future__ import annotations

from collections.abc import Iterable

from postroom.clock import timestamp
from postroom.credentials.tokens import rows as sign_ins
from postroom.db import Tx
from postroom.operations.usage import Use
from postroom.services.held import hurry
from postroom.sources import store as sources
from postroom.sources.standing import FAILING

__all__ = ["wake"]


def wake(tx: Tx, uses: Iterable[Use], *, failing: bool = False) -> None:
    """Let the sources among these begin anew and the services try at once what they deferred.

    Authorization servers that failed are asked again too: whose client was mended is not asked.
    ``failing``: what works keeps its connections, since it rests on nothing that has changed.
    """
    sign_ins.hurry(tx, now=timestamp())
    names = set()
    for use in uses:
        if use.noun == "source" and not (failing and _works(tx, use.name)):
            sources.touch(tx, use.name)
        elif use.noun in ("service", "outbox"):
            names.add(use.name)
    for name in names:
        hurry(tx, name)


def _works(tx: Tx, source: str) -> bool:
    return sources.status(tx, source).state not in FAILING
