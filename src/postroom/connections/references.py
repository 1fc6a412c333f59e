"""What a connection refers to in credentials: whether it is there, fits, and is trusted."""

from __future__ import annotations

from typing import Final

from postroom.connections.effective import Effective, EffectiveSide
from postroom.credentials.store import CredentialStore
from postroom.db import Tx
from postroom.errors import InvalidValue, NotThere

__all__ = ["SIGN_IN_TYPES", "check_references"]

SIGN_IN_TYPES: Final = ("password", "secret", "smtp")
"""The types of credential that ``auth: {type: secret}`` may name."""


def check_references(tx: Tx, credentials: CredentialStore, effective: Effective) -> None:
    """Whether the credentials a connection names are there, fit, and say who signs in.

    Raises InvalidValue with the place in the sentence.
    """
    for side in effective.sides:
        where = f"connection {effective.name}: {side.place}"
        if side.auth.type == "secret":
            place = f"{where}.auth.credential"
            type_ = _type_of(tx, credentials, place, side.auth.credential, SIGN_IN_TYPES)
            if type_ == "secret" and not side.user:
                raise InvalidValue(
                    f"{where}.user", "is needed: a credential of type secret has no user name"
                )
        if side.client_certificate:
            place = f"{where}.client_certificate"
            _type_of(tx, credentials, place, side.client_certificate, ("certificate",))
        _check_sign_in(where, side)


def _check_sign_in(where: str, side: EffectiveSide) -> None:
    if side.grant is not None:
        from postroom.connections.granting import check_grant  # slow to load, and few need it

        check_grant(where, side.auth, side.grant)
    if side.grant is not None and not side.grant.personal and not side.user:
        raise InvalidValue(
            f"{where}.user", "is needed: the address of the mailbox that the application opens"
        )
    if side.protocol == "pop3" and side.auth.type == "none":
        raise InvalidValue(f"{where}.auth", "is needed: POP3 always asks for a sign-in")


def _type_of(
    tx: Tx, credentials: CredentialStore, place: str, name: str, fitting: tuple[str, ...]
) -> str:
    try:
        found = credentials.get(tx, name)
    except NotThere as error:
        raise InvalidValue(place, str(error)) from None
    if found.type not in fitting:
        wanted = " or ".join(fitting)
        raise InvalidValue(place, f"{found.name} is of type {found.type}; give one of {wanted}")
    return found.type
