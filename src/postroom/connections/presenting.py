"""What a side presents: a password, a token, a certificate, out of an opened credential."""

from __future__ import annotations

import dataclasses
from typing import Final

from postroom.connections.effective import EffectiveSide
from postroom.connections.references import SIGN_IN_TYPES
from postroom.credentials.record import Opened
from postroom.credentials.tokens import BEARER, Access, Use
from postroom.credentials.types.base import CredentialType
from postroom.credentials.types.oneline import check_one_line
from postroom.credentials.types.password import Password
from postroom.credentials.types.secret import SecretValue
from postroom.credentials.types.smtp import Smtp
from postroom.errors import InvalidValue, Refused
from postroom.net.tls import ClientCertificate, Tls
from postroom.protocols.base import SignIn
from postroom.secret import Secret

__all__ = ["by_secret", "by_token", "use_of", "with_certificate"]


def by_secret(side: EffectiveSide, opened: Opened) -> SignIn:
    """A sign-in with the password of a credential.  Raises Refused, InvalidValue."""
    found = _user_and_secret(opened.fields)
    if found is None:
        raise Refused(
            f"Credential {opened.credential.name} is of type {opened.credential.type} and holds "
            "nothing to sign in with here.",
            code="not_supported",
            hint=f"Use one of type {', '.join(SIGN_IN_TYPES)}.",
        )
    user = side.user or found[0]
    if not user:
        raise InvalidValue(
            f"{side.place}.user",
            f"is needed: credential {opened.credential.name} has no user name",
        )
    try:  # a secret may hold anything, and records were saved before this was checked
        check_one_line("", found[1])
    except InvalidValue as error:
        raise Refused(
            f"The password in credential {opened.credential.name} cannot be sent: {error.sentence}.",
            hint=f"Save it again: postroom credential set {opened.credential.name} "
            f"--{_FIELD[opened.credential.type]}-from-env NAME",
        ) from None
    return SignIn("password", user, found[1])


_FIELD: Final = {"secret": "value", "password": "password", "smtp": "password"}
"""Where each type has what signs in, as its flag is called."""


def _user_and_secret(fields: CredentialType) -> tuple[str, Secret] | None:
    if isinstance(fields, Password | Smtp) and fields.password is not None:
        return fields.user_name, fields.password
    if isinstance(fields, SecretValue) and fields.value is not None:
        return "", fields.value
    return None


def by_token(side: EffectiveSide, access: Access) -> SignIn:
    """A sign-in with an access token.  Raises InvalidValue when nobody says whose it is."""
    account = side.grant.account if side.grant is not None else ""
    user = side.user or account or access.identity
    if not user:
        raise InvalidValue(
            f"{side.place}.user",
            "is needed: the authorization server does not say who signed in",
        )
    return SignIn("token", user, access.token)


def use_of(noun: str, name: str, side: EffectiveSide, actor: str) -> Use:
    """What a token of this side is wanted for."""
    return Use(BEARER + side.line, actor, f"open the {side.place} side of {noun} {name}")


def with_certificate(tls: Tls, opened: Opened) -> Tls:
    """The same with the client certificate of a credential.  Raises Refused."""
    # few servers want one, and X.509 is slow to load
    from postroom.credentials.types.certificate import Certificate

    fields = opened.fields
    if not isinstance(fields, Certificate) or fields.private_key is None:
        raise Refused(
            f"Credential {opened.credential.name} is of type {opened.credential.type}, which is no "
            "client certificate.",
            code="not_supported",
            hint="Name one of type certificate.",
        )
    shown = ClientCertificate(fields.certificate, fields.private_key, fields.passphrase)
    return dataclasses.replace(tls, client_certificate=shown)
