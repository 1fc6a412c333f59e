"""Sources for tests, from the fields that matter to them."""

from __future__ import annotations

from typing import Any

from postroom.fields import parse
from postroom.sources.source import Source

__all__ = ["source_of"]


def source_of(**fields: Any) -> Source:
    """A source with these fields; the rest is its defaults."""
    whole = {"name": "orders-in", "connection": "acme", "sink": {"type": "directory", "path": "/x"}}
    return parse(Source, {**whole, **fields}, where="source orders-in")
