"""Operations on the room's keys."""

from postroom.operations.keys.verbs import Keys

__all__ = ["Keys"]
