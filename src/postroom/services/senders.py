"""Who a message may be from: the rule of DESIGN 4.4, pure."""

from __future__ import annotations

import contextlib
import shlex
import string
from collections.abc import Sequence
from typing import Final, NamedTuple

from postroom.errors import InvalidValue, Refused
from postroom.net.names import canonical_host

__all__ = ["Sender", "choose_sender"]

_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class Sender(NamedTuple):
    """From as it is written, and the account's own address when that stays the envelope sender."""

    from_: str
    sender: str = ""


def choose_sender(
    wanted: str, bare: str, *, own: str, allowed: Sequence[str], signs_in: bool, via: str
) -> Sender:
    """The sender of a message.

    ``wanted`` is From as given (empty: the account's own address), ``bare`` its bare address,
    ``own`` the account's address or empty, ``allowed`` addresses and ``*@DOMAIN`` patterns;
    ``via`` is the service, ``connection:NAME`` or ``credential:NAME`` it is sent through.  An
    account that signs in may send as itself and as what is allowed; a relay without sign-in knows
    no account, so anything goes unless a list is given.  Raises Refused(``sender_not_allowed``).
    """
    if not wanted:
        if not own:
            raise InvalidValue(
                "from",
                "is needed: neither the service nor the account has an address of its own",
                hint=f"Say whom it is from (--from ADDRESS; in a step, from: ADDRESS){_once(via)}.",
            )
        return Sender(own)
    same = _canonical(bare) == _canonical(own)
    if same or _matches(bare, allowed) or not (signs_in or allowed):
        return Sender(wanted, "" if same or not own else own)
    may = [address for address in (own, *allowed) if address]
    told = f"Allowed: {', '.join(may)}. " if may else ""
    noun, colon, name = via.partition(":")
    record = f"{noun} set {name}" if colon else f"service set {via}"
    senders = shlex.quote(",".join([*allowed, bare]))  # the list is replaced: what it has stays
    raise Refused(
        f"From {bare} is not allowed here.",
        code="sender_not_allowed",
        hint=f"{told}Allow it with: postroom {record} --allowed-senders {senders}",
    )


def _once(via: str) -> str:
    """How to say it once for all of what is sent that way, where there is a place for it."""
    noun, colon, name = via.partition(":")
    if not colon:
        return f", or once for all: postroom service set {via} --from ADDRESS"
    if noun != "credential":
        return ""
    return (
        f", or once for all: postroom credential set {name.partition('/')[0]} --email-address ADDRESS "
        "(of type msgraph: --mailbox ADDRESS)"
    )


def _matches(address: str, allowed: Sequence[str]) -> bool:
    domain = "*@" + address.rpartition("@")[2]
    mine = (_canonical(address), _canonical(domain))
    return any(_canonical(rule) in mine for rule in allowed)


def _canonical(address: str) -> tuple[str, str]:
    """The address as it is compared: its domain as we would dial it, no letter taken for another.

    Of the local part only A to Z are equal to a to z: to a server anything else is another mailbox.
    """
    local, _, domain = address.rpartition("@")
    with contextlib.suppress(InvalidValue):
        domain = canonical_host(domain)
    return local.translate(_LOWER), domain.translate(_LOWER)
