"""Drafts: a form that was left for a moment, to make what it lacks, is as it was when somebody comes back."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import Final

from postroom.web.form import Form

__all__ = ["Drafts"]

_KEPT: Final = 500


class Drafts:
    """Forms by a token, without their secrets; each is given back to whoever left it, alone."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[str, dict[str, str]]] = OrderedDict()

    def leave(self, owner: str, plain: dict[str, str]) -> str:
        """Keep a form; gives its token."""
        token = secrets.token_urlsafe(12)
        self._kept[token] = (owner, plain)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return token

    def back(self, owner: str, token: str, *, field: str = "", chosen: str = "") -> Form | None:
        """The form as it was left, with ``chosen`` in the field that somebody left it for."""
        whose, plain = self._kept.get(token, ("", {}))
        if not token or whose != owner:
            return None
        filled = {**plain, field: chosen} if field and chosen else plain
        return Form.of(filled)
