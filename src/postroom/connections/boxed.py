"""A connection's name together with the mailbox that a command names: ``acme/orders@example.com``."""

from __future__ import annotations

from postroom.errors import InvalidValue, Refused
from postroom.mail import parse_address

__all__ = ["bare", "in_mailbox", "no_mailboxes", "parted"]


def in_mailbox(name: str, mailbox: str) -> str:
    """The name of a connection or credential, for that mailbox alone (empty: its own).

    Raises InvalidValue for what is no address.
    """
    if not mailbox:
        return name
    if "/" in (address := parse_address(mailbox, "mailbox").address):
        raise InvalidValue("mailbox", "give the address of a mailbox of Microsoft 365")
    return f"{name}/{address}"


def parted(name: str) -> tuple[str, str]:
    """The name, and the mailbox in it or nothing: no name of a noun has a slash."""
    bare, _, mailbox = name.partition("/")
    return bare, mailbox


def bare(name: str) -> str:
    """The name without a mailbox."""
    return parted(name)[0]


def no_mailboxes(what: str) -> Refused:
    """What to say of something whose mailbox no command can choose."""
    return Refused(
        f"{what} has one mailbox, whose sign-in is its own: no command can name another.",
        code="not_supported",
        hint="A connection of type microsoft365 or a credential of type msgraph reads several.",
    )
