"""What the tests of Graph share: the ground's stand-in, mended, and the way to one mailbox on it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from postroom.protocols.base import SignIn, WireTarget
from postroom.protocols.gate import Gate
from postroom.protocols.graph import GraphTransport, open_transport
from postroom.secret import Secret
from tests.ground import GraphServer, Ground, User
from tests.wire.outgoing import target

__all__ = ["TAKEN", "graph", "graph_target", "opened", "user"]

TAKEN = [("accepted", 250, "end-of-data")]


@pytest.fixture
def graph(ground: Ground) -> GraphServer:
    """The stand-in, without a fault and with nothing counted."""
    ground.graph.mend()
    return ground.graph


@pytest.fixture
def user(ground: Ground) -> User:
    """A fresh one."""
    return ground.user()


def graph_target(ground: Ground, mailbox: str, **token: Any) -> tuple[WireTarget, SignIn]:
    """Where Graph is, with a gate of its own, and the sign-in of an app (or `user`) to a mailbox."""
    there = target(ground.graph.port, "tls", ground.pki, host="localhost")
    whole = dataclasses.replace(there, path="/v1.0", gate=Gate())
    return whole, SignIn("token", mailbox, Secret(ground.graph.token(**token)))


async def opened(ground: Ground, whose: User, **token: Any) -> GraphTransport:
    """The transport of a mailbox."""
    return await open_transport(*graph_target(ground, whose.address, **token))
