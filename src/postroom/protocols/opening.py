"""The beginning that the three wires share: nothing in the clear, dial, TLS, and each step told."""

from __future__ import annotations

from collections.abc import Callable

from postroom.errors import SignInError, WireError
from postroom.net.dial import Step, steps_before
from postroom.protocols.base import SignIn, WireTarget
from postroom.protocols.inbox import Core
from postroom.protocols.pump import Pump, open_pump

__all__ = ["OnStep", "open_wire"]

OnStep = Callable[[Step], None]
"""Hears of each step as it ends, also of those before a failure."""


async def open_wire(core: Core, target: WireTarget, sign_in: SignIn, tell: OnStep) -> Pump:
    """A connected pump, inside TLS where the target's security is ``tls``.

    Raises SignInError (``cleartext_sign_in``) before anything is dialled, DialError, TlsError.
    """
    if sign_in.method != "none" and target.security == "none" and not target.sign_in_without_tls:
        raise SignInError(
            "The connection has no TLS, so no sign-in is sent over it.",
            code="cleartext_sign_in",
            hint="Set security to tls or starttls, or permit cleartext_sign_in.",
        )
    try:
        pump = await open_pump(core, target)
    except WireError as error:
        for step in steps_before(error):
            tell(step)
        raise
    for step in pump.steps:
        tell(step)
    if sign_in.secret is not None:
        pump.scrubber.add(sign_in.secret)
    return pump
