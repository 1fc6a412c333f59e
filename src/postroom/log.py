"""Logging: one logger tree, text for a terminal and JSON lines otherwise, secrets removed."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final, TextIO

from postroom.clock import rfc3339
from postroom.secret import Scrubber, open_secrets

__all__ = ["JsonFormatter", "TextFormatter", "about", "known", "log_to", "logger", "within"]

_WITHIN: Final[ContextVar[Mapping[str, str]]] = ContextVar("within", default=MappingProxyType({}))
"""What every line says that is logged in this task, and in those that it begins."""
_OTHERS: Final = ("asyncio", "uvicorn")


def logger(name: str) -> logging.Logger:
    """The logger of a room of the house: ``postroom.NAME``."""
    return logging.getLogger(f"postroom.{name}")


def about(**facts: object) -> dict[str, dict[str, str]]:
    """``extra`` for a record: what it is about, a field each where logs are JSON."""
    return {"about": {key: str(value) for key, value in facts.items() if value}}


@contextlib.contextmanager
def within(**facts: object) -> Iterator[None]:
    """Every line that is logged inside says these too, where logs are JSON: of which request, run, job or
    source it is.  Tasks and threads that begin inside know them as well.
    """
    token = _WITHIN.set({**_WITHIN.get(), **about(**facts)["about"]})
    try:
        yield
    finally:
        _WITHIN.reset(token)


def known(**facts: object) -> None:
    """As :func:`within`, from here to the end of the innermost block or task: who asks is known late."""
    _WITHIN.set({**_WITHIN.get(), **about(**facts)["about"]})


def log_to(stream: TextIO | None = None, *, level: str = "WARNING") -> None:
    """Send what Postroom logs to a stream (default: standard error), and what others warn of in the
    same process: by themselves they would write it as it is, between the lines of programs.

    Only what stands under the roof calls this: a library must not set up its host's logging.
    """
    target = stream or sys.stderr
    handler = logging.StreamHandler(target)
    handler.setFormatter(TextFormatter() if target.isatty() else JsonFormatter())
    root = logging.getLogger("postroom")
    root.handlers[:] = [handler]
    root.setLevel(level)
    root.propagate = False
    for name in _OTHERS:
        logging.getLogger(name).handlers[:] = [handler]


class _Scrubbed(logging.Formatter):
    """The second net: whatever secret is open in this process is removed from every line."""

    def clean(self, text: str) -> str:
        """Without secrets, and on one line: control characters are written as escapes."""
        scrubbed = Scrubber(open_secrets()).text(text)
        return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in scrubbed)


class TextFormatter(_Scrubbed):
    """``09:05:00 WARNING sources: text`` for people."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        when = rfc3339(record.created)[11:19]
        part = record.name.removeprefix("postroom.")
        return f"{when} {record.levelname} {part}: {self.clean(_message(record))}"


class JsonFormatter(_Scrubbed):
    """One JSON object a line for machines."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        return json.dumps(
            {
                "at": rfc3339(record.created),
                "level": record.levelname.lower(),
                "part": record.name.removeprefix("postroom."),
                "event": self.clean(_message(record)),
                **{
                    key: self.clean(told)
                    for key, told in (
                        {**_WITHIN.get(), **getattr(record, "about", {}), **_trace(record)}
                    ).items()
                },
            },
            ensure_ascii=False,
        )


def _trace(record: logging.LogRecord) -> dict[str, str]:
    """Where an exception was raised that nobody expected."""
    if not record.exc_info or record.exc_info[1] is None:
        return {}
    return {"trace": "".join(traceback.format_exception(record.exc_info[1]))}


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info and record.exc_info[1] is not None:
        text = f"{text} ({type(record.exc_info[1]).__name__}: {record.exc_info[1]})"
    return text
