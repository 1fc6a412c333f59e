"""Who asks: the bearer token of a request (RFC 6750), in its header and nowhere else."""

from __future__ import annotations

from typing import Final

from starlette.requests import HTTPConnection

from postroom.app import Room
from postroom.errors import Refused
from postroom.log import known
from postroom.secret import Secret

__all__ = ["NO_TOKEN", "signed_in", "token_of"]

_IN_ADDRESSES: Final = frozenset({"token", "access_token", "api_token", "bearer"})
NO_TOKEN: Final = "Say who asks: Authorization: Bearer, and a token of the room."


async def signed_in(room: Room, request: HTTPConnection) -> Room:
    """The room as they see it who ask.  Raises Refused (``not_signed_in``)."""
    peer = request.client.host if request.client is not None else ""
    person = await room.people.by_token(token_of(request), peer=peer)
    known(actor=person.actor)
    return room.acting(person)


def token_of(request: HTTPConnection) -> Secret:
    """The token of a request.

    One in an address is refused whatever else is there: addresses are kept in logs and histories (T45).
    """
    if _IN_ADDRESSES & {key.lower() for key in request.query_params}:
        raise Refused(
            "A token has no place in an address: it is refused, and should be revoked.",
            code="not_signed_in",
            hint=NO_TOKEN,
        )
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise Refused("Nobody is signed in.", code="not_signed_in", hint=NO_TOKEN)
    return Secret(token.strip())
