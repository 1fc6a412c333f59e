"""Who comes in and what they may: people, roles, sessions, tokens, grants."""

from postroom.access.grants import hidden_from
from postroom.access.rights import LOCAL_ROLE, ROLES, VERBS, Person, local

__all__ = ["LOCAL_ROLE", "ROLES", "VERBS", "Person", "hidden_from", "local"]
