"""Client secrets of an OAuth application (RFC 6749 section 2.3.1): several at once, by label."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from postroom.credentials.types.oneline import check_one_line
from postroom.credentials.types.pem import check_pair, read_certificates, read_key
from postroom.errors import InvalidValue
from postroom.fields import Date, Fields, field
from postroom.secret import Secret

__all__ = ["ClientSecret", "check_keys", "check_secrets", "lacking_proof"]

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class ClientSecret(Fields):
    """One of them.  While an old and a new one are both valid, tokens never fail."""

    value: Secret | None = field(None, label="Value")
    description: str = field("", label="Description")
    valid_until: Date | None = field(None, label="Valid until")


def check_secrets(secrets: Mapping[str, ClientSecret]) -> None:
    """Raise InvalidValue for what is no value of a secret."""
    for label, secret in secrets.items():
        if secret.value is not None and _GUID.fullmatch(secret.value.reveal()):
            raise InvalidValue(
                f"client_secrets.{label}.value", "this is the Secret ID; copy the Value"
            )
        check_one_line(f"client_secrets.{label}.value", secret.value)


def check_keys(certificate: str, private_key: Secret | None, *, before: str = "") -> None:
    """Raise InvalidValue for a key pair that is none; ``before`` stands before the fields' names."""
    if certificate:
        read_certificates(certificate, f"{before}certificate")
    if private_key is not None:
        field = f"{before}private_key"
        read_key(private_key, None, field)
        if certificate:
            check_pair(certificate, private_key, field=field)


def lacking_proof(plain: Mapping[str, Any], sealed: Collection[str]) -> list[str]:
    """What is missing of secrets that were begun, and of a key pair that is half there."""
    found = [
        f"client_secrets.{label}.value"
        for label in plain.get("client_secrets", {})
        if f"client_secrets/{label}/value" not in sealed
    ]
    for key, certificate in (
        ("private_key", "certificate"),
        ("next_private_key", "next_certificate"),
    ):
        if key in sealed and certificate not in plain:
            found.append(certificate)
        if certificate in plain and key not in sealed:
            found.append(key)
    return found
