"""One process that serves a room: the API, the page, health, and the worker beside them."""

from __future__ import annotations

__all__: list[str] = []
