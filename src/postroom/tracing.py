"""Spans for OpenTelemetry where its API is installed (extra ``otel``); else nothing, and nothing is loaded.

Only what names a thing of the room goes into a span: no address, no text of a message or an error.
Whoever runs the process says where spans go, by OpenTelemetry's own means: a library sets up nothing.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING

from postroom.errors import PostroomError

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

__all__ = ["span"]


@contextlib.contextmanager
def span(name: str, **facts: str) -> Iterator[None]:
    """A span ``postroom.NAME`` around what is done inside, with these facts as attributes.

    A fact with an ``@`` is left out.  An error makes the span one of an error, with its code alone.
    """
    tracer = _tracer()
    if tracer is None:
        yield
        return
    told = {f"postroom.{key}": value for key, value in facts.items() if value and "@" not in value}
    with tracer.start_as_current_span(
        f"postroom.{name}", attributes=told, record_exception=False, set_status_on_exception=False
    ) as made:
        try:
            yield
        except Exception as error:
            from opentelemetry.trace import StatusCode

            code = error.code if isinstance(error, PostroomError) else type(error).__name__
            made.set_status(StatusCode.ERROR, code)
            raise


@functools.cache
def _tracer() -> Tracer | None:
    if importlib.util.find_spec("opentelemetry") is None:
        return None
    try:
        from opentelemetry import trace
    except ImportError:  # a part of it is there, such as a plug-in's
        return None
    return trace.get_tracer("postroom")
