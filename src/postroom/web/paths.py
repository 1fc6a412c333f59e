"""How a file of pages says its routes: one line each, with what is wanted before it is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

from starlette.responses import Response

from postroom.web.visit import Visit

__all__ = ["Handler", "Path", "get", "post"]

Handler = Callable[[Visit], Awaitable[Response]]


class Path(NamedTuple):
    """One route.  ``right`` is wanted of whoever comes; ``open`` ones are answered before anybody has
    signed in.  ``proved``: a person has to have proved lately who they are.  What they typed is not kept
    meanwhile: they come back to the page of the same path, where they confirm, or else to the nearest
    above it, where the form stands.
    """

    method: Literal["GET", "POST"]
    path: str
    handler: Handler
    right: str = "view"
    open: bool = False
    proved: bool = False


def get(
    path: str, handler: Handler, right: str = "view", *, open: bool = False, proved: bool = False
) -> Path:
    """A page."""
    return Path("GET", path, handler, right, open, proved)


def post(
    path: str, handler: Handler, right: str = "view", *, open: bool = False, proved: bool = False
) -> Path:
    """What a form is sent to; whoever answers it has checked where the form came from."""
    return Path("POST", path, handler, right, open, proved)
