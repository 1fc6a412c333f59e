"""Sinks: where collected messages go.  A new one is a file here and a place in AnySink."""

from __future__ import annotations

from typing import Annotated, Final, get_args

from pydantic import Field

from postroom.sinks.base import TWICE, Delivery, Item, Sink
from postroom.sinks.directory import DirectorySink
from postroom.sinks.files import cannot_write
from postroom.sinks.job import JobSink
from postroom.sinks.maildir import MaildirSink

__all__ = [
    "SINKS",
    "TWICE",
    "AnySink",
    "Delivery",
    "DirectorySink",
    "Item",
    "JobSink",
    "MaildirSink",
    "Sink",
    "cannot_write",
]

AnySink = Annotated[
    DirectorySink | MaildirSink | JobSink,
    Field(discriminator="type"),
]
"""The declared settings of any sink; ``type`` says which."""

SINKS: Final[tuple[type[Sink], ...]] = get_args(get_args(AnySink)[0])
"""The same, one by one."""
