"""What a message is called: its name for people, and its place below a sink's directory.  Pure."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from postroom.clock import rfc3339
from postroom.db import Row
from postroom.macros import Template
from postroom.mail.addresses import read_addresses
from postroom.mail.filenames import safe_name

__all__ = ["Naming", "Told", "display_name", "place_of"]


class Naming(NamedTuple):
    """The templates of one source."""

    name: Template = Template()
    below: Template = Template()


class Told(NamedTuple):
    """What is known of a message when it is named; ``sender`` is its From field."""

    folder: str
    sender: str
    subject: str
    received: float | None
    first_seen: float

    @classmethod
    def of(cls, row: Row, *, sender: str = "", subject: str = "") -> Told:
        """From a row of the ledger, and what reading the message has told since."""
        return cls(
            row["folder"],
            sender or row["sender"],
            subject or row["subject"],
            row["received_at"],
            row["first_seen_at"],
        )


def display_name(template: Template, told: Told) -> str:
    """The name for people.  ``${date:...}`` is when the message was first seen."""
    return template.fill(_facts(told), _instant(told))


def place_of(template: Template, told: Told) -> str:
    """The relative path that a template makes of a message; each level is a safe name.

    The same whenever it is asked for, so that taking a message twice writes the same file.
    """
    facts = {name: safe_name(text, fallback=f"no-{name}") for name, text in _facts(told).items()}
    filled = template.fill(facts, _instant(told))
    return "/".join(safe_name(level, fallback="folder") for level in filled.split("/") if level)


def _facts(told: Told) -> dict[str, str]:
    addresses = read_addresses(told.sender) if told.sender else []
    return {
        "folder": told.folder,
        "from": addresses[0].address if addresses else told.sender,
        "subject": told.subject,
        "received": "" if told.received is None else rfc3339(told.received),
    }


def _instant(told: Told) -> dt.datetime:
    return dt.datetime.fromtimestamp(told.first_seen, dt.UTC)
