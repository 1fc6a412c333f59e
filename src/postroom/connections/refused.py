"""Refused sign-ins: how long nobody asks again, for every try counts towards a lock of the account."""

from __future__ import annotations

from typing import Final

from postroom.errors import PostroomError, SignInError

__all__ = ["REFUSED_SECONDS", "is_refused"]

REFUSED_SECONDS: Final = 900.0
"""After a refused sign-in: asking every minute is how accounts get locked.  An edit wakes it."""


def is_refused(error: PostroomError) -> bool:
    """Whether the other side will not let us in however often we ask."""
    return isinstance(error, SignInError) and not error.temporary
