"""What a worker says where its standard error is a log for programs: JSON lines, its end too."""

from __future__ import annotations

from typing import Final

from postroom.errors import PostroomError
from postroom.log import about, log_to, logger

__all__ = ["begin", "failed", "line", "mistake"]

_LOG: Final = logger("worker")


def begin() -> None:
    """Log to standard error, before there are settings or a room."""
    log_to(level="INFO")


def line(text: str) -> None:
    """What people are told."""
    _LOG.info("%s", text)


def failed(error: PostroomError) -> None:
    """Why nothing works: the sentence, the code, what to do next, what the other side said."""
    said = getattr(error, "said", "")
    _LOG.error("%s", error.sentence, extra=about(code=error.code, next=error.hint, said=said))


def mistake(error: PostroomError, trace: str) -> None:
    """A mistake of ours, and where it happened."""
    _LOG.error("%s", error.sentence, extra=about(code=error.code, trace=trace))
