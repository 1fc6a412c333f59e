"""The parts of ``postroom demo`` that are not Postroom: a mailbox, and two servers to meet it by."""

from __future__ import annotations

__all__: list[str] = []
