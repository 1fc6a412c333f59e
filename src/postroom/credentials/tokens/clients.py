"""The client as the flows take it, out of an opened credential."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import NamedTuple

from postroom.credentials import proofs
from postroom.credentials.proofs import Standing
from postroom.credentials.tokens.grant import Grant
from postroom.credentials.tokens.kept import Kept
from postroom.credentials.types.base import CredentialType
from postroom.credentials.types.msgraph import MsGraph
from postroom.credentials.types.oauth_client import OAuthClient
from postroom.credentials.types.pem import read_certificates, read_key
from postroom.db import Tx
from postroom.errors import InvalidValue
from postroom.oauth.assertion import SigningKey
from postroom.oauth.client import CERTIFICATE, NEXT_CERTIFICATE, Client, ClientSecret
from postroom.secret import Secret

__all__ = ["Shown", "client_of", "only", "opened", "shown"]


class Shown(NamedTuple):
    """The record of a client as it was opened, and how its proofs stood then."""

    id: str
    name: str
    version: int
    standing: Standing


def opened(
    tx: Tx, kept: Kept, grant: Grant, *, actor: str, purpose: str, line: str = ""
) -> tuple[Client, Shown | None]:
    """The client of a grant, its secrets opened for ``line`` (empty: the token endpoint) and that
    written down; None for a public one.  Raises as :meth:`CredentialStore.open`.
    """
    if not grant.credential:
        return client_of(grant, None), None
    found = kept.store.open(
        tx, grant.credential, line=line or grant.token_line, actor=actor, purpose=purpose
    )
    of = found.credential
    as_shown = Shown(of.id, of.name, found.version, proofs.standing(tx, of.id))
    return client_of(grant, found.fields, as_shown.standing), as_shown


def shown(tx: Tx, kept: Kept, grant: Grant) -> Shown | None:
    """The record of a client that was shown without being opened here; None for a public one."""
    if not grant.credential:
        return None
    of = kept.store.get(tx, grant.credential)
    return Shown(of.id, of.name, of.version, proofs.standing(tx, of.id))


def client_of(
    grant: Grant, fields: CredentialType | None, standing: Standing | None = None
) -> Client:
    """The client of a grant with the secrets of its record; None for a public one."""
    stands = standing or Standing()
    if fields is None:
        return Client(grant.client_id)
    if not isinstance(fields, MsGraph | OAuthClient):
        raise InvalidValue("credential", f"one of type {fields.type_name} holds no OAuth client")
    secrets = tuple(
        ClientSecret(label, each.value, _end_of(each.valid_until), _doubt(label, stands))
        for label, each in fields.client_secrets.items()
        if each.value is not None
    )
    return Client(
        grant.client_id,
        secrets,
        _pair(fields.private_key, fields.certificate),
        stands.current,
        next_key=_pair(fields.next_private_key, fields.next_certificate),
    )


def only(client: Client, label: str) -> Client:
    """The client with one of its proofs alone.  Raises InvalidValue when it has none of that label."""
    secrets = tuple(each for each in client.secrets if each.label == label)
    key = client.key if label == CERTIFICATE else None
    coming = client.next_key if label == NEXT_CERTIFICATE else None
    if not (secrets or key or coming):
        raise InvalidValue("label", f"there is no client secret {label!r}")
    return dataclasses.replace(client, secrets=secrets, key=key, next_key=coming, current="")


def _pair(key: Secret | None, certificate: str) -> SigningKey | None:
    if key is None:
        return None
    from cryptography.hazmat.primitives.serialization import Encoding

    leaf = read_certificates(certificate)[0].public_bytes(Encoding.DER)
    return SigningKey(read_key(key, None), leaf)


def _doubt(label: str, standing: Standing) -> int:
    return 2 if label in standing.refused else int(label in standing.next)


def _end_of(day: dt.date | None) -> float | None:
    """The end of that day in UTC: the dates that people write down are the last good ones."""
    if day is None:
        return None
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    return (midnight + dt.timedelta(days=1)).timestamp()
