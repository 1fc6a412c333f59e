"""Drafts: a form that was left for a moment, to make what it lacks, is as it was when somebody comes back."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from typing import Final

from postroom.web.form import Form

__all__ = ["Drafts"]

SECONDS: Final = 2 * 3600.0
"""For so long somebody may be away."""
OF_ONE: Final = 20
BYTES: Final = 16 * 1024 * 1024
"""Of all forms together; whoever left theirs longest ago finds it empty."""


class Drafts:
    """Forms by a token, without their secrets; each is given back to whoever left it, alone."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[str, dict[str, str]]] = OrderedDict()

    def leave(self, owner: str, plain: dict[str, str]) -> str:
        """Keep a form; gives its token."""
        token = secrets.token_urlsafe(12)
        self._kept[token] = (owner, plain)
        own = [key for key, (whose, _) in self._kept.items() if whose == owner]
        for key in own[:-OF_ONE]:
            del self._kept[key]
        while sum(_size(kept) for _, kept in self._kept.values()) > BYTES:
            self._kept.popitem(last=False)
        asyncio.get_running_loop().call_later(SECONDS, self._kept.pop, token, None)
        return token

    def back(self, owner: str, token: str, *, field: str = "", chosen: str = "") -> Form | None:
        """The form as it was left, with ``chosen`` in the field that somebody left it for."""
        whose, plain = self._kept.get(token, ("", {}))
        if not token or whose != owner:
            return None
        filled = {**plain, field: chosen} if field and chosen else plain
        return Form.of(filled)


def _size(plain: dict[str, str]) -> int:
    return sum(len(name) + len(value) for name, value in plain.items())
