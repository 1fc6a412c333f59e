"""A token came of a client's proof: how its proofs stand is written down, a next key pair moves up."""

from __future__ import annotations

from postroom.clock import timestamp
from postroom.credentials import proofs
from postroom.credentials.tokens.clients import Shown
from postroom.credentials.tokens.kept import Kept
from postroom.credentials.types.msgraph import MsGraph
from postroom.credentials.types.oauth_client import OAuthClient
from postroom.db import Tx
from postroom.log import about, logger
from postroom.oauth.client import CERTIFICATE, NEXT_CERTIFICATE
from postroom.oauth.tokens import TokenGrant

__all__ = ["accepted"]

_log = logger("tokens")


def accepted(
    tx: Tx, kept: Kept, record: Shown, new: TokenGrant, *, actor: str, anew: bool = False
) -> str:
    """Write down that the server took this client, by which proof, and which it refused; gives what
    somebody should know of it.

    ``anew``: this proof becomes current whatever was when the token was asked for.
    """
    now, proof = timestamp(), new.proof
    kept.store.presented(tx, record.name, record.version, now)
    fresh = proofs.refused(tx, record.id, new.refused, why=new.why, now=now)
    if proof == NEXT_CERTIFICATE:
        _move_up(tx, kept, record.name, actor)
        proof = CERTIFICATE
    current = proofs.standing(tx, record.id).current if anew else record.standing.current
    proofs.worked(tx, record.id, proof, was=current, now=now)
    if not fresh:
        return ""
    note = (
        f"Credential {record.name}: {' and '.join(map(proofs.named, fresh))} was refused, "
        f"{proofs.named(new.proof)} is used instead. {new.why}"
    )
    _log.warning("%s", note, extra=about(credential=record.name, code="sign_in_failed"))
    return note


def _move_up(tx: Tx, kept: Kept, credential: str, actor: str) -> None:
    """The next key pair has worked: it takes the place of the one before, which a kept version has."""
    purpose = "put the proven key pair in its place"
    opened = kept.store.open(tx, credential, line=None, actor=actor, purpose=purpose)
    fields = opened.fields
    if not isinstance(fields, MsGraph | OAuthClient) or fields.next_private_key is None:
        return  # somebody took it away while the server was asked
    pair = {"private_key": fields.next_private_key, "certificate": fields.next_certificate}
    kept.store.set_details(
        tx, credential, pair, actor=actor, clear=["next_private_key", "next_certificate"],
        used_lines=opened.credential.destinations,
    )  # fmt: skip
