"""The pages of work, one line each: mail that comes and goes, jobs, and what the room is run by."""

from __future__ import annotations

from typing import Final

from postroom.web.pages import (
    account,
    answering,
    audit,
    census,
    jobs,
    keeping,
    keys,
    ledger,
    messages,
    notify,
    outbox,
    runs,
    services,
    sources,
    users,
    variables,
)

__all__ = ["WORKING"]

WORKING: Final = (
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
