"""The room: every noun is there when it is asked for, and nothing else is."""

from __future__ import annotations

import pytest

from postroom.app import NOUNS, Room


async def test_every_noun_of_a_room_can_be_asked_for(room: Room) -> None:
    """They are made when they are first used, where no type checker looks."""
    assert Room.__annotations__.keys() == {"settings", "desk", "warning", *NOUNS}
    for noun, (_, kind) in NOUNS.items():
        assert type(getattr(room, noun)).__name__ == kind
        assert getattr(room, noun) is getattr(room, noun)
    with pytest.raises(AttributeError, match="no attribute 'mistake'"):
        getattr(room, "mistake")  # noqa: B009  # what the type checker would refuse
