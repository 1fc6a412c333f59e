"""Trusting a server's own certificate, or its authority's, by a fingerprint that a person compared."""

from __future__ import annotations

from postroom.connections.report import Report
from postroom.db import Tx
from postroom.errors import NotThere, Refused
from postroom.net.certificates import CertificateFacts
from postroom.operations.desk import Desk

__all__ = ["certificate_with", "save_certificate"]


def certificate_with(
    report: Report, place: str, fingerprint: str, *, look: str
) -> CertificateFacts:
    """The certificate that was seen while testing ``place`` and has this fingerprint.

    The fingerprint is compared, so that what was looked at and what is trusted are the same even if
    somebody stands between us and the server the second time.  Raises NotThere; ``look`` is the
    command that shows what there is.
    """
    wanted = fingerprint.replace(":", "").replace(" ", "").lower()
    seen = [facts for side in report.sides if side.place == place for facts in side.certificates]
    for facts in seen:
        if facts.sha256.replace(":", "").lower() == wanted:
            return facts
    raise NotThere(
        f"The server shows no certificate with that fingerprint on the {place} side.",
        hint=f"Look again with: {look}",
        seen=[facts.sha256 for facts in seen],
    )


def save_certificate(desk: Desk, tx: Tx, name: str, facts: CertificateFacts) -> str:
    """Save it as the trusted_certificate ``NAME-ca``, or use that record if it is the same one."""
    credential = f"{name[:60]}-ca"
    if desk.credentials.exists(tx, credential):
        known = desk.credentials.get(tx, credential)
        if str(known.plain.get("certificate", "")).strip() != facts.pem.strip():
            raise Refused(
                f"There is a credential {credential} already, and it is another certificate.",
                code="name_taken",
                hint=f"Change or delete it: postroom credential show {credential}",
            )
        return credential
    desk.credentials.create(
        tx,
        actor=desk.actor,
        name=credential,
        type="trusted_certificate",
        description=f"{facts.subject}, trusted for {name}",
    )
    desk.credentials.set_details(tx, credential, {"certificate": facts.pem}, actor=desk.actor)
    return credential
