"""Certificates and private keys in PEM (RFC 7468): read when saved, so that errors come early.

What reads them is loaded inside the functions that do: it takes longer than all else that a command
loads, every credential type is loaded with its neighbours, and few records hold a certificate.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING

from postroom.clock import now
from postroom.errors import InvalidValue
from postroom.secret import Secret

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

__all__ = ["check_pair", "describe_certificate", "generate_pair", "read_certificates", "read_key"]

PAIR_DAYS = 730
"""How long a generated certificate lasts: as long as the longest client secret of Entra."""


def read_certificates(text: str, field: str = "certificate") -> list[x509.Certificate]:
    """The certificates of a PEM text, in their order; raises InvalidValue."""
    if "-----BEGIN" in text and "PRIVATE KEY-----" in text:
        raise InvalidValue(field, "this holds a private key; give the certificate alone")
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise InvalidValue(
            field,
            "this is no certificate in PEM form, which begins with "
            "-----BEGIN CERTIFICATE-----; a .cer or .der file can be converted with: "
            "openssl x509 -inform der -in FILE",
        ) from None


def read_key(key: Secret, passphrase: Secret | None, field: str = "private_key") -> PrivateKeyTypes:
    """The private key of a PEM text; raises InvalidValue, without a word of the key."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    phrase = passphrase.reveal_bytes() if passphrase else None
    try:
        return serialization.load_pem_private_key(key.reveal_bytes(), phrase)
    except TypeError:
        what = (
            "it is encrypted and no passphrase is given"
            if phrase is None
            else ("it is not encrypted, but a passphrase is given")
        )
        raise InvalidValue(field, what) from None
    except (ValueError, UnsupportedAlgorithm):
        what = (
            "this is no private key in PEM form"
            if phrase is None
            else ("this is no private key in PEM form, or the passphrase is wrong")
        )
        raise InvalidValue(field, what) from None


def check_pair(
    certificate: str, key: Secret, passphrase: Secret | None = None, field: str = "private_key"
) -> None:
    """Raise InvalidValue unless the private key belongs to the first certificate of the text."""
    leaf = read_certificates(certificate)[0]
    if _spki(read_key(key, passphrase).public_key()) != _spki(leaf.public_key()):
        raise InvalidValue(field, "it does not belong to this certificate")


def describe_certificate(text: str) -> str:
    """One line for people: name, expiry and SHA-256 fingerprint of the first certificate."""
    try:
        leaf = read_certificates(text)[0]
    except InvalidValue:
        return "unreadable certificate"
    until = leaf.not_valid_after_utc
    state = "expired" if until < now() else "valid until"
    print_ = hashlib.sha256(_der(leaf)).hexdigest()
    return f"{leaf.subject.rfc4514_string()}, {state} {until:%Y-%m-%d}, sha256:{print_}"


def generate_pair(subject: str, *, days: int = PAIR_DAYS) -> tuple[Secret, str]:
    """A new private key and its self-signed certificate, PEM both; only the certificate leaves.

    RSA of 3072 bits (NIST SP 800-57 part 1: 128 bits of strength is the rule after 2030), because
    private_key_jwt of Entra wants RS256 or PS256.  ``subject`` is the common name.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import NameOID

    key = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    try:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    except ValueError:
        raise InvalidValue("name", "a certificate's name has 1 to 64 characters") from None
    start = now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - dt.timedelta(minutes=5))
        .not_valid_after(start + dt.timedelta(days=days))
        .sign(key, SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),  # sealed by the vault, like every secret
    )
    return Secret(pem), certificate.public_bytes(serialization.Encoding.PEM).decode()


def _der(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)


def _spki(key: object) -> bytes:
    from cryptography.hazmat.primitives import serialization

    found: bytes = key.public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return found
