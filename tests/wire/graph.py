"""What the tests of Graph share: a target on the ground's stand-in and a token for one mailbox."""

from __future__ import annotations

import dataclasses
from typing import Any

from postroom.protocols.base import SignIn, WireTarget
from postroom.protocols.gate import Gate
from postroom.secret import Secret
from tests.ground import Ground
from tests.wire.outgoing import target

__all__ = ["graph_target"]


def graph_target(ground: Ground, mailbox: str, **token: Any) -> tuple[WireTarget, SignIn]:
    """Where Graph is, with a gate of its own, and the sign-in of an app (or `user`) to a mailbox."""
    there = target(ground.graph.port, "tls", ground.pki, host="localhost")
    opened = dataclasses.replace(there, path="/v1.0", gate=Gate())
    return opened, SignIn("token", mailbox, Secret(ground.graph.token(**token)))
