"""Sinks: where collected messages go.  A new one is a file here and a line in SINKS."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from postroom.sinks.base import Delivery, Item, Sink
from postroom.sinks.directory import DirectorySink
from postroom.sinks.files import cannot_write
from postroom.sinks.maildir import MaildirSink

__all__ = [
    "SINKS",
    "AnySink",
    "Delivery",
    "DirectorySink",
    "Item",
    "MaildirSink",
    "Sink",
    "cannot_write",
]

SINKS: tuple[type[Sink], ...] = (DirectorySink, MaildirSink)

AnySink = Annotated[DirectorySink | MaildirSink, Field(discriminator="type")]
"""The declared settings of any sink; ``type`` says which."""
