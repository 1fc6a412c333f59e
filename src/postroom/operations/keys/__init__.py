"""Operations on the room's keys."""

from postroom.operations.keys.keks import Keks
from postroom.operations.keys.verbs import Keys

__all__ = ["Keks", "Keys"]
