"""Sign-ins by OAuth as connections ask for them: what one serves, and where its tokens go."""

from __future__ import annotations

import dataclasses

from postroom.connections import store
from postroom.connections.resolver import Resolver
from postroom.credentials.tokens import Grant
from postroom.db import Tx

__all__ = ["SignInUse", "sign_ins"]


@dataclasses.dataclass(slots=True)
class SignInUse:
    """One sign-in: a grant of it, where its tokens go, every scope that is asked for (in order), and
    the sides it serves, by connection.
    """

    grant: Grant
    lines: set[str] = dataclasses.field(default_factory=set)
    scopes: dict[str, None] = dataclasses.field(default_factory=dict)
    connections: dict[str, list[str]] = dataclasses.field(default_factory=dict)


def sign_ins(tx: Tx, resolver: Resolver) -> dict[str, SignInUse]:
    """Every sign-in that connections ask for, by the id that grants share.

    Connections that cannot be resolved contribute nothing.
    """
    found: dict[str, SignInUse] = {}
    for connection in store.load_all(tx):
        for side in resolver.sides_of(connection):
            if side.grant is not None:
                use = found.setdefault(side.grant.sign_in, SignInUse(side.grant))
                use.lines |= side.token_lines
                use.scopes.update(dict.fromkeys(side.grant.scopes))
                use.connections.setdefault(connection.name, []).append(side.place)
    return found
