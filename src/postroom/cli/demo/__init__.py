"""What ``postroom demo`` needs besides Postroom: a mailbox, and two servers to reach it by."""

from __future__ import annotations

__all__: list[str] = []
