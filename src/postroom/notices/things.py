"""What a cause is about and what a way goes over: the connection, its credentials, its hosts.

A way that shares one of these with what is broken may be broken too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from postroom.connections.boxed import bare
from postroom.connections.effective import EffectiveSide
from postroom.connections.resolver import Resolver
from postroom.db import Tx
from postroom.errors import PostroomError
from postroom.net.origin import split_url
from postroom.notices.notification import Notify
from postroom.services import service as services

__all__ = ["NOTHING", "Things", "of_connection", "of_notification", "of_service"]


class Things(NamedTuple):
    """``own`` are connection, credentials and sign-ins, as ``noun:name`` in lower case; ``hosts`` are
    servers, which others may use as well.
    """

    own: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()

    def with_more(self, *own: str) -> Things:
        """The same with more of its own."""
        return Things(self.own | {one.casefold() for one in own}, self.hosts)

    def share(self, other: Things) -> bool:
        """Whether anything is the same."""
        return bool(self.own & other.own or self.hosts & other.hosts)


NOTHING: Final = Things()


def of_connection(resolver: Resolver, name: str, *, sides: Iterable[str] = ()) -> Things:
    """Of the sides (none given: both) of a connection, or of a ``credential:NAME`` used by itself.

    Of one that cannot be resolved right now it is the name alone.
    """
    own = {name.casefold() if ":" in name else f"connection:{name.casefold()}"}
    hosts: set[str] = set()
    wanted = tuple(sides)
    try:
        found = resolver.effective(name).sides
    except PostroomError:
        found = ()
    for side in found:
        if not wanted or side.place in wanted:
            own |= _credentials_of(side)
            hosts.add(side.host)
    return Things(frozenset(own), frozenset(hosts))


def of_service(tx: Tx, resolver: Resolver, name: str) -> Things:
    """Of a service, by the name that rows of the outbox carry."""
    if ":" in name:
        noun, _, rest = bare(name).partition(":")
        over = rest if noun == "connection" else f"{noun}:{rest}"
    else:
        try:
            service = services.find(tx, name)
        except PostroomError:
            service = None
        if service is None:
            return Things(frozenset({f"service:{name.casefold()}"}))
        over = service.connection
    return of_connection(resolver, over, sides=("outgoing",)).with_more(f"service:{name}")


def of_notification(tx: Tx, resolver: Resolver, one: Notify) -> Things:
    """What a notification goes over."""
    if one.service:
        return of_service(tx, resolver, one.service)
    if not one.url:
        return NOTHING
    named = [f"credential:{name.casefold()}" for name in (one.credential, one.signing) if name]
    return Things(frozenset(named), frozenset({split_url(one.bare_url).host}))


def _credentials_of(side: EffectiveSide) -> set[str]:
    found = {f"credential:{name}" for name in side.presents}
    if side.grant is not None:
        found.add(f"sign-in:{side.grant.sign_in}")
    return found
