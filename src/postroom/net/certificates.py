"""What stands in a certificate (RFC 5280), and what a failed verification means to a person."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from postroom import clock
from postroom.errors import TlsError

__all__ = [
    "CertificateFacts",
    "certificate_facts",
    "explain",
    "fingerprints",
    "handshake_timed_out",
    "only_looked",
]

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """A certificate as people compare it.  ``names`` are its DNS names and addresses (SAN) alone,
    since a common name names no host; instants are UTC; ``sha256`` is the fingerprint in lower-case
    hex; ``self_signed`` means that it signed itself, whoever it is.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: dt.datetime
    not_after: dt.datetime
    sha256: str
    self_signed: bool
    pem: str = field(default="", repr=False)

    def as_json(self) -> dict[str, Any]:
        """The facts for doors and logs: instants in RFC 3339, without the PEM text."""
        return {
            "subject": self.subject,
            "issuer": self.issuer,
            "names": list(self.names),
            "not_before": clock.rfc3339(self.not_before),
            "not_after": clock.rfc3339(self.not_after),
            "sha256": self.sha256,
            "self_signed": self.self_signed,
        }


def certificate_facts(der: bytes) -> CertificateFacts:
    """The facts of one DER certificate.  Raises TlsError when it cannot be read."""
    from cryptography import x509  # only the doctor and errors need it: opening a wire does not

    try:
        certificate = x509.load_der_x509_certificate(der)
        return CertificateFacts(
            subject=certificate.subject.rfc4514_string(),
            issuer=certificate.issuer.rfc4514_string(),
            names=_names(certificate),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            sha256=hashlib.sha256(der).hexdigest(),
            self_signed=_signed_itself(certificate),
            pem=ssl.DER_cert_to_PEM_cert(der),
        )
    except (ValueError, x509.InvalidVersion) as error:
        raise TlsError("The certificate cannot be read: its encoding is broken.") from error


def _names(certificate: Any) -> tuple[str, ...]:
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension):
        return ()
    addresses = [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    return (*found.get_values_for_type(x509.DNSName), *addresses)


def _signed_itself(certificate: Any) -> bool:
    from cryptography.exceptions import InvalidSignature

    if certificate.subject != certificate.issuer:
        return False
    try:
        certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def fingerprints(pems: Sequence[str]) -> list[str]:
    """SHA-256 (hex) of every certificate in these PEM texts, sorted, each once.

    Raises ValueError when a text holds no certificate.
    """
    found = set()
    for text in pems:
        blocks = _PEM.findall(text)
        if not blocks:
            raise ValueError("no certificate in the text")
        found |= {hashlib.sha256(ssl.PEM_cert_to_DER_cert(block)).hexdigest() for block in blocks}
    return sorted(found)


# --------------------------------------------------------------------------- failures

# X509_V_ERR_... of OpenSSL's x509_vfy.h, which ssl gives as verify_code
_EXPIRED, _NOT_YET = 10, 9
_NAME = {62, 64}
_SELF_SIGNED = {18, 19}
_UNKNOWN_ISSUER = {2, 20, 21, 24, 27}
_WEAK = {66, 67, 68}

# OpenSSL's reason, part of it -> what it means here, what to do
_REASONS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"),
        "did not answer in TLS",
        "The port probably begins in plain text: use security starttls, or the port for tls "
        "(IMAP 993, POP3 995, SMTP 465).",
    ),
    (
        ("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION", "VERSION_TOO_LOW", "INAPPROPRIATE_FALLBACK"),
        "speaks only versions of TLS older than 1.2",
        "Those are broken; the server has to be updated to TLS 1.2 or 1.3.",
    ),
    (
        ("CERTIFICATE_REQUIRED", "ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN",
         "ALERT_CERTIFICATE_EXPIRED", "ALERT_CERTIFICATE_REVOKED", "ALERT_ACCESS_DENIED"),
        "did not accept our client certificate, or wants one",
        "Give the connection a client_certificate that the server's administrator accepts.",
    ),
    (
        ("HANDSHAKE_FAILURE", "NO_SHARED_CIPHER", "NO_CIPHERS_AVAILABLE", "INSUFFICIENT_SECURITY",
         "DH_KEY_TOO_SMALL", "BAD_ECPOINT", "NO_SUITABLE", "UNSAFE_LEGACY_RENEGOTIATION"),
        "and this machine have no safe cipher in common",
        "The server's TLS settings have to be updated.",
    ),
)  # fmt: skip


def explain(exc: BaseException, host: str, facts: CertificateFacts | None) -> TlsError:
    """A failed handshake as our error, with its sentence and what to do.

    ``facts`` are those of the certificate that was refused, if somebody looked;
    they make the sentence exact and go into ``error.facts["certificate"]``.
    """
    if isinstance(exc, TlsError):
        return exc
    if isinstance(exc, ssl.SSLCertVerificationError):
        error = _refused(exc.verify_code, exc.verify_message, host, facts)
    else:
        error = _failed(exc, host)
    error.facts["host"] = host
    if facts is not None:
        error.facts["certificate"] = facts.as_json()
    return error


def handshake_timed_out(host: str, seconds: float) -> TlsError:
    """The other side did not finish the handshake in time."""
    return TlsError(
        f"{host} did not finish the TLS handshake within {seconds:g} s.",
        code="timed_out",
        hint="The port probably begins in plain text: use security starttls, or the port for tls.",
        temporary=True,
    )


def only_looked(host: str, chain: Sequence[bytes]) -> TlsError:
    """The end of a connection that was opened only to see the certificates (DER, own first).

    ``facts["chain"]`` holds them as PEM texts, ``facts["certificate"]`` what the first one says.
    """
    return TlsError(
        f"Only the certificate of {host} was looked at; the connection ended with that.",
        chain=[ssl.DER_cert_to_PEM_cert(der) for der in chain],
        certificate=certificate_facts(chain[0]).as_json() if chain else {},
    )


def _refused(code: int, message: str, host: str, facts: CertificateFacts | None) -> TlsError:
    if code in (_EXPIRED, _NOT_YET):
        return _out_of_time(code, host, facts)
    if code in _NAME or "mismatch" in message.lower():
        return _other_name(host, facts)
    if code in _WEAK:
        what, hint = "is too weak", "The server needs one with a longer key or a newer signature."
    elif code in _SELF_SIGNED:
        what = "is signed by itself or by an authority unknown here"
        hint = "If it is yours, compare its fingerprint with the server's and trust it by name."
    elif code in _UNKNOWN_ISSUER:
        what = "is signed by an authority unknown here"
        hint = (
            "If it is your own authority, trust its certificate; if it is a public one, the server "
            "probably sends no intermediate certificate."
        )
    else:
        what, hint = f"was not accepted ({message})", "The server needs another certificate."
    return TlsError(
        f"The certificate of {host} {what}; nothing was sent.",
        code="certificate_untrusted",
        hint=hint,
        reason=message,
    )


def _out_of_time(code: int, host: str, facts: CertificateFacts | None) -> TlsError:
    if code == _EXPIRED:
        when = f" on {clock.rfc3339(facts.not_after)}" if facts else ""
        what, hint = f"expired{when}", "Whoever runs the server has to renew it."
    else:
        when = f" before {clock.rfc3339(facts.not_before)}" if facts else " yet"
        what, hint = f"is not valid{when}", "Check the clock of this machine and of the server."
    return TlsError(
        f"The certificate of {host} {what}; nothing was sent.",
        code="certificate_expired",
        hint=hint,
    )


def _other_name(host: str, facts: CertificateFacts | None) -> TlsError:
    if facts is None:
        names = "for another name"
    elif facts.names:
        names = "for " + ", ".join(facts.names[:5]) + (", ..." if len(facts.names) > 5 else "")
    else:
        names = "without any host name (a common name alone does not count)"
    return TlsError(
        f"The certificate that {host} shows is {names}; nothing was sent.",
        code="certificate_name",
        hint="Use a host the certificate names. Only if you are sure who answers there, "
        "check_server_identity: false skips the name (never the chain).",
    )


def _failed(exc: BaseException, host: str) -> TlsError:
    reason = str(getattr(exc, "reason", None) or "").upper()
    for known, what, hint in _REASONS:
        if any(part in reason for part in known):
            return TlsError(f"{host} {what}; nothing was sent.", hint=hint, reason=reason)
    if isinstance(exc, (ConnectionError, EOFError, ssl.SSLEOFError)) or "EOF" in reason:
        return TlsError(
            f"{host} closed the connection during the TLS handshake.",
            hint="Check that this port speaks TLS; a load balancer without a server does this too, "
            "and a server that wants no more connections from one address.",
            temporary=True,
        )
    return TlsError(
        f"TLS with {host} failed{f' ({reason})' if reason else ''}.",
        hint="Check host, port and security; the server's log may say more.",
        reason=reason,
    )
