"""What a flow asks of its pump, and what it is sent: requests, waits, answers."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from postroom.secret import Secret

__all__ = ["Answer", "Ask", "Basic", "Flow", "Form", "Wait", "ask", "wait"]

T = TypeVar("T")
Form = tuple[tuple[str, str | Secret], ...]
"""Fields of a form in their order; whoever writes the body reveals the secret ones."""


@dataclass(frozen=True, slots=True)
class Basic:
    """HTTP Basic as OAuth has it: both are form-encoded before base64 (RFC 6749, 2.3.1)."""

    user: str
    password: Secret


@dataclass(frozen=True, slots=True)
class Ask:
    """One HTTP request.  Redirects are never followed; the status is not judged by the pump.

    ``form`` goes as ``application/x-www-form-urlencoded``; without one there is no body.
    """

    method: Literal["GET", "POST"]
    url: str
    headers: tuple[tuple[str, str], ...] = (("Accept", "application/json"),)
    form: Form = ()
    basic: Basic | None = None

    def secrets(self) -> list[Secret]:
        """What must not come back in an error: the secret fields, and the password of Basic."""
        found = [value for _, value in self.form if isinstance(value, Secret)]
        return [*found, self.basic.password] if self.basic else found


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; ``at`` is when, in seconds since 1970, on our own clock."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)
    at: float = 0.0

    def header(self, name: str) -> str:
        """The first header of that name, in any case of letters; empty when there is none."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), "")


Flow = Generator[Ask | Wait, Answer | None, T]
"""A flow: it is sent an Answer for an Ask and None for a Wait, and returns its result.

When a request cannot be made at all, the pump throws the WireError into it: most flows end with
that error, polling for a device slows down and goes on.  ``send`` and ``throw`` belong into the
function that catches StopIteration: a coroutine cannot let one pass.
"""


def ask(question: Ask) -> Flow[Answer]:
    """One request, as a step of a larger flow (``answer = yield from ask(...)``)."""
    answer = yield question
    if answer is None:
        raise TypeError("a request is answered with an Answer")
    return answer


def wait(seconds: float) -> Flow[None]:
    """A pause, as a step of a larger flow."""
    yield Wait(seconds)
