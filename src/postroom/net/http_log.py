"""What the log hears of HTTP: one line an exchange, and nothing of what httpcore2 would write.

At level DEBUG httpcore2 writes header fields of answers, and those hold cookies, codes and tokens.
Its loggers belong to the host, who may use it too: only what it says of our exchanges is dropped.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from contextvars import ContextVar

from postroom import log
from postroom.net.http_message import Exchange

__all__ = ["tell", "unheard"]

_OURS: ContextVar[bool] = ContextVar("postroom_http", default=False)
_LOG = log.logger("http")


def _not_ours(record: logging.LogRecord) -> bool:
    return not _OURS.get()


for _name in ("connection", "http11", "http2", "proxy", "socks"):
    logging.getLogger(f"httpcore2.{_name}").addFilter(_not_ours)


@contextlib.contextmanager
def unheard() -> Iterator[None]:
    """Whatever httpcore2 says inside the block is not logged."""
    token = _OURS.set(True)
    try:
        yield
    finally:
        _OURS.reset(token)


def tell(exchange: Exchange) -> None:
    """Our own line: method, server, path, status, time."""
    _LOG.debug("%s", exchange)
