"""A side with its secrets open, and how it is dialled when it has its turn."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Literal, TypeVar

from postroom.connections.effective import EffectiveSide
from postroom.connections.turns import Door, Waiting, patiently
from postroom.credentials.tokens import Access
from postroom.net import veil
from postroom.net.dial import Step
from postroom.net.names import host_and_port
from postroom.protocols.base import SignIn, WireTarget

if TYPE_CHECKING:
    from postroom.protocols.graph import GraphStore, GraphTransport
    from postroom.protocols.imap import ImapStore
    from postroom.protocols.pop3 import Pop3Store
    from postroom.protocols.smtp import SmtpTransport

__all__ = ["OnStep", "Place", "Prepared", "dial_store", "dial_transport"]

OnStep = Callable[[Step], None]
Place = Literal["incoming", "outgoing"]
T = TypeVar("T")


def _wire(prepared: Prepared) -> ModuleType:
    """The wire of a side, loaded when one is dialled: what only stores a message needs none."""
    return import_module(f"postroom.protocols.{prepared.side.protocol}")


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """A side with its secrets open, ready to be dialled.

    ``noun`` and ``name`` say what was asked for; ``opened`` lists the credentials and versions that
    will have been presented; ``last_worked`` is when the secret was accepted last (None: never).
    ``access`` is the token of a sign-in by OAuth; ``kept`` says that it was not fetched just now.
    It is dialled when it has a turn at its ``door``, and is in ``waiting`` until then; ``veiled``: for
    somebody who is not told why no server answers.
    """

    noun: str
    name: str
    side: EffectiveSide
    target: WireTarget
    sign_in: SignIn
    door: Door
    opened: tuple[tuple[str, int], ...] = ()
    last_worked: float | None = None
    access: Access | None = None
    kept: bool = False
    waiting: Waiting = patiently
    veiled: veil.Veiled = ""


async def dial_store(
    prepared: Prepared, on_step: OnStep | None = None
) -> ImapStore | Pop3Store | GraphStore:
    """Open the message store of a prepared incoming side.  Raises WireError."""
    opened: ImapStore | Pop3Store | GraphStore = await _dial(
        prepared, _wire(prepared).open_store, on_step
    )
    return opened


async def dial_transport(
    prepared: Prepared, on_step: OnStep | None = None
) -> SmtpTransport | GraphTransport:
    """Open the transport of a prepared outgoing side.  Raises WireError."""
    opened: SmtpTransport | GraphTransport = await _dial(
        prepared, _wire(prepared).open_transport, on_step
    )
    return opened


async def _dial(
    prepared: Prepared, opening: Callable[..., Awaitable[T]], on_step: OnStep | None
) -> T:
    def walk(told: OnStep) -> Awaitable[T]:
        return opening(prepared.target, prepared.sign_in, on_step=told)

    where = host_and_port(prepared.side.host, prepared.side.port)
    async with prepared.door.opening(prepared.waiting):
        return await veil.opened(walk, where, on_step, prepared.veiled)
