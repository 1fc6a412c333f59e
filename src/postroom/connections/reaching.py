"""Whether a server is there: everything up to where somebody would sign in, and not a step further."""

from __future__ import annotations

import dataclasses
from typing import Final

from postroom.connections.dialling import OnStep, Prepared, dial_store, dial_transport
from postroom.errors import SignInError
from postroom.net.dial import Step
from postroom.protocols.base import SignIn
from postroom.secret import Secret

__all__ = ["NOBODY", "reach"]

NOBODY: Final = SignIn("password", "nobody", Secret("never sent"))
"""Who only looks: the connection ends before anybody could sign in."""


class _Reached(Exception):
    """Ends the opening of a wire before its sign-in."""


async def reach(prepared: Prepared, on_step: OnStep) -> None:
    """Open a side that nobody signs in to, and let it go.  Raises WireError for what is in the way."""
    if prepared.side.protocol == "pop3":  # which opens nothing for nobody
        prepared = dataclasses.replace(prepared, sign_in=NOBODY)
        on_step = _until_sign_in(prepared, on_step)
    dialling = dial_store if prepared.side.place == "incoming" else dial_transport
    try:
        (await dialling(prepared, on_step)).abandon()
    except (_Reached, SignInError) as error:
        if isinstance(error, SignInError) and error.code == "cleartext_sign_in":
            raise


def _until_sign_in(prepared: Prepared, on_step: OnStep) -> OnStep:
    seen: set[str] = set()

    def told(step: Step) -> None:
        on_step(step)
        seen.add(step.name)
        secured = prepared.side.security != "starttls" or "tls" in seen
        if step.name == "capabilities" and secured:  # the last one before the sign-in
            raise _Reached

    return told
