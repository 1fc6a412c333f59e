"""Rights: the verbs there are, the roles as sets of them, and who asks.  All of it is here, and pure.

No verb reads a secret: nobody can.
"""

from __future__ import annotations

import dataclasses
from typing import Final

__all__ = ["LOCAL_ROLE", "MEANS", "ROLES", "ROLES_MEAN", "VERBS", "Person", "local"]

MEANS: Final[dict[str, str]] = {
    "view": "see definitions, states, the ledger, the outbox",  # never a secret, never a message's text
    "create": "make credentials, and type their secrets",
    "replace": "type another secret over a stored one, bring back an old version",
    "rebind": "let a stored secret go to a place it was not bound to, without typing it",
    "destroy": "delete credentials and versions of them, erase a person's mail",
    "use": "test, run, restart, sign in, move, flag and delete mail, hand a credential to a run",
    "edit": "make, change and delete connections, sources, services, jobs, variables",
    "read": "read messages",
    "send": "send, and decide about what waits in the outbox",
    "keys": "see to the key of the room: how it is, its rotation",
    "users": "see to people, their roles, tokens and grants",
    "audit": "read the audit record and verify it",
}
"""The verbs, and what whoever has one may do."""
VERBS: Final = tuple(MEANS)
ROLES: Final[dict[str, frozenset[str]]] = {
    "admin": frozenset(VERBS),
    "editor": frozenset({"view", "create", "replace", "destroy", "use", "edit", "read", "send"}),
    "operator": frozenset({"view", "use", "read", "send"}),
    "viewer": frozenset({"view"}),
    "auditor": frozenset({"view", "audit"}),
}
ROLES_MEAN: Final[dict[str, str]] = {
    "admin": "everything, people and keys included",
    "editor": "makes and changes definitions, types secrets, reads and sends",
    "operator": "runs, restarts, reads and sends",
    "viewer": "sees how everything stands, with subjects and addresses, and the text of no message",
    "auditor": "sees that too, and the audit record",
}
LOCAL_ROLE: Final = "admin"
"""Of whoever works on the room with its own key: they are as powerful as that key."""


@dataclasses.dataclass(frozen=True, slots=True)
class Person:
    """Who asks: ``actor`` is how the audit record calls them (``local:ann``, ``user:ann``,
    ``token:deploy of ann``), ``user`` the id of their record, empty for somebody local.

    ``verbs`` are the role's, or those of them that a token was given; ``token`` is the id of it.
    """

    actor: str
    role: str
    verbs: frozenset[str]
    user: str = ""
    token: str = ""

    @property
    def unrestricted(self) -> bool:
        """Whether restricted credentials are theirs without a grant: of people who give the grants."""
        return "users" in self.verbs or not self.user

    def may(self, verb: str) -> bool:
        """Whether they may do that.  Raises LookupError for a verb that there is not."""
        if verb not in VERBS:
            raise LookupError(f"there is no verb {verb!r}")
        return verb in self.verbs


def local(actor: str) -> Person:
    """Somebody who works on the room with its own key."""
    return Person(actor, LOCAL_ROLE, ROLES[LOCAL_ROLE])
