"""Sign-ins by OAuth as connections ask for them: what one serves, and where its tokens go."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from postroom.connections.effective import EffectiveSide
from postroom.credentials.tokens import Grant

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

    def asked_by(self, grant: Grant) -> SignInUse:
        """The same as one of its sides asks for it: by its flow, its own scopes first."""
        scopes = dict.fromkeys(grant.scopes) | self.scopes
        return dataclasses.replace(self, grant=grant, scopes=scopes)


def sign_ins(sides: Mapping[str, Iterable[EffectiveSide]]) -> dict[str, SignInUse]:
    """Every sign-in that the sides of connections ask for, by the id that grants share (pure)."""
    found: dict[str, SignInUse] = {}
    for connection, each in sides.items():
        for side in each:
            if side.grant is not None:
                use = found.setdefault(side.grant.sign_in, SignInUse(side.grant))
                use.lines |= side.token_lines
                use.scopes.update(dict.fromkeys(side.grant.scopes))
                use.connections.setdefault(connection, []).append(side.place)
    return found
