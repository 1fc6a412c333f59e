"""Whom to tell of what now, and over which ways in which order (pure).

A notification is told of each cause once, again when that has come nearer or grown, and when it is over.
The ways are the notification's own and then those that stand in for it; one that shares something with
what is broken is never taken, and one that shares something with the cause only when no other is left.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from postroom.notices.notification import Notify
from postroom.notices.rows import Kept, Told
from postroom.notices.saying import Event
from postroom.notices.things import NOTHING, Things

__all__ = ["GIVE_UP_SECONDS", "Due", "due", "ways"]

FIRST_WAIT: Final = 30.0
LONGEST_WAIT: Final = 3600.0
GIVE_UP_SECONDS: Final = 86400.0
"""So long it is tried to say that something is over."""


@dataclasses.dataclass(frozen=True, slots=True)
class Due:
    """One notification is to be told one thing; ``before`` is how far it was told, or nothing."""

    kept: Kept
    name: str
    event: Event
    before: Told


def due(kept: Iterable[Kept], notifications: Iterable[Notify], *, now: float) -> list[Due]:
    """What is to be told now."""
    first = [one for one in notifications if not one.instead_of and one.every is None]
    return [
        Due(each, one.name, event, each.told.get(one.name, Told()))
        for each in kept
        for one in first
        if one.hears_of(each.text("kind"))
        and (event := _event(each, each.told.get(one.name), now)) is not None
    ]


def _event(kept: Kept, told: Told | None, now: float) -> Event | None:
    if kept.over_at is not None:
        if told is None or not told.heard or (told.event == "over" and told.ok):
            return None
        again = told.event == "over" and (
            not _may_try(told, now) or now > kept.over_at + GIVE_UP_SECONDS
        )
        return None if again else "over"
    if told is None:
        return "began"
    if not told.ok:
        return ("again" if told.heard else "began") if _may_try(told, now) else None
    return "again" if told.stage < kept.stage else None


def _may_try(told: Told, now: float) -> bool:
    wait: float = min(FIRST_WAIT * 2 ** min(told.tries, 12), LONGEST_WAIT)
    return now >= told.at + wait


def ways(
    name: str,
    notifications: Sequence[Notify],
    things: Mapping[str, Things],
    about: Things,
    broken: Iterable[Things],
    *,
    failed: Iterable[str] = (),
) -> list[Notify]:
    """The notifications over which ``name`` may be told, in the order to try them.

    ``things`` are those of each notification, ``about`` those of the cause, ``broken`` those of all
    that is known not to work.  ``failed`` took it before, in vain.
    """
    bad = [one.own for one in broken]
    out = {one.casefold() for one in failed}
    usable = [
        one
        for one in _chain(name, notifications)
        if one.name.casefold() not in out
        and not any(things.get(one.name, NOTHING).own & each for each in bad)
    ]
    return sorted(usable, key=lambda one: things.get(one.name, NOTHING).share(about))


def _chain(name: str, notifications: Sequence[Notify]) -> list[Notify]:
    """The notification, those that stand in for it, those that stand in for these."""
    found = [one for one in notifications if one.name.casefold() == name.casefold()]
    for each in found:  # grows while it is walked
        found += [
            one
            for one in notifications
            if one.instead_of.casefold() == each.name.casefold() and one not in found
        ]
    return found
