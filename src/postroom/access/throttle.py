"""How often somebody may try to come in: token buckets of the room, shared by all its processes."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import Final, NamedTuple

from postroom.clock import timestamp
from postroom.db import Tx, give_tokens, take_tokens, wait_for_token
from postroom.errors import Refused

__all__ = [
    "PAIR",
    "PEER",
    "PROVE",
    "TESTS",
    "TOKENS",
    "USER",
    "Limit",
    "give_back",
    "is_news",
    "look",
    "peer_key",
    "take",
    "tidy",
    "too_often",
]


class Limit(NamedTuple):
    """So many tries at once, which are had again in ``per`` seconds."""

    what: str
    most: int
    per: float


USER: Final = Limit("sign-in user", 20, 600.0)
"""Sign-ins under one name that failed.  The right password gives its try back."""
PEER: Final = Limit("sign-in peer", 30, 600.0)
"""Sign-ins from one address that failed: the many who share one have more."""
PAIR: Final = Limit("sign-in pair", 10, 600.0)
"""Sign-ins under one name from one address that failed.  They come again at half the speed of a name's:
one address alone locks nobody out."""
PROVE: Final = Limit("sign-in proof", 10, 600.0)
"""Passwords that somebody who is signed in gave anew, and wrong."""
TOKENS: Final = Limit("sign-in token", 30, 600.0)
"""Tokens from one address that were none."""
TESTS: Final = Limit("sign-in test", 10, 60.0)
"""Tests that somebody who is no administrator asks for: each tells whether something answers there."""
_NEWS: Final = 60.0
_OLD: Final = 600.0
"""After so many seconds every bucket is full, and one that is full is as good as none."""


def take(tx: Tx, limit: Limit, key: str) -> float:
    """Take one try; gives in how many seconds there is one, 0.0 if there was."""
    now = timestamp()
    taken, wait = take_tokens(
        tx, _name(limit, key), wanted=1, most=limit.most, per=limit.per, now=now
    )
    return 0.0 if taken else wait


def look(tx: Tx, limit: Limit, key: str) -> float:
    """In how many seconds there is a try, 0.0 if there is one; none is taken."""
    name = _name(limit, key)
    return wait_for_token(tx, name, most=limit.most, per=limit.per, now=timestamp())


def too_often(wait: float) -> Refused:
    """The refusal of a try that there is not for so many seconds."""
    seconds = max(1, round(wait))
    return Refused(
        "That was tried too often.",
        code="too_many",
        hint=f"Try again in {seconds} s.",
        temporary=True,
        retry_after=seconds,
    )


def give_back(tx: Tx, limit: Limit, key: str) -> None:
    """Give a try back that was no failure."""
    give_tokens(tx, _name(limit, key), 1)


def is_news(tx: Tx, limit: Limit, key: str) -> bool:
    """Whether it is worth a row of the audit record that tries were refused: once a minute."""
    name = _name(limit, f"news of {key}")
    taken, _ = take_tokens(tx, name, wanted=1, most=1, per=_NEWS, now=timestamp())
    return bool(taken)


def tidy(tx: Tx) -> None:
    """Remove what is old: names and addresses that strangers made up leave nothing."""
    tx.execute(
        "DELETE FROM limits WHERE name >= 'sign-in ' AND name < 'sign-in!' AND updated_at < :old",
        old=timestamp() - _OLD,
    )


def peer_key(peer: str) -> str:
    """What an address counts under: one network of IPv6 is one place (RFC 6177)."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _name(limit: Limit, key: str) -> str:
    """No name stands in the table: a stranger may have typed a password where the name belongs."""
    return f"{limit.what} {hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
