"""A little certificate authority for the demo's servers, made on the spot (RFC 5280)."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from postroom.clock import now

__all__ = ["Identity", "identity"]

_VALID = dt.timedelta(days=90)
_RENEW = dt.timedelta(days=7)
"""With less than this left an identity is made anew."""


@dataclass(frozen=True)
class Identity:
    """Files in PEM: the authority's certificate, the servers' certificate and their key (0600)."""

    authority: Path
    certificate: Path
    key: Path

    def lasts(self) -> bool:
        """Whether all three are there and good for another week."""
        try:
            pems = [path.read_bytes() for path in (self.authority, self.certificate)]
            ends = [x509.load_pem_x509_certificate(pem).not_valid_after_utc for pem in pems]
        except (OSError, ValueError):
            return False
        return self.key.is_file() and min(ends) > now() + _RENEW


def identity(directory: Path) -> Identity:
    """The identity for ``localhost``, 127.0.0.1 and ::1 in that directory; kept while it lasts.

    It is kept so that a room that trusts the authority still does so in the next demo.  The
    authority's key is never written: nothing else can be signed with it.
    """
    files = Identity(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    if not files.lasts():
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make(files)
    return files


def _make(files: Identity) -> None:
    authority_key = ec.generate_private_key(ec.SECP256R1())
    server_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("Postroom demo authority")
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key(), authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    addresses = [ipaddress.ip_address(address) for address in ("127.0.0.1", "::1")]
    names = [x509.DNSName("localhost"), *(x509.IPAddress(address) for address in addresses)]
    server = (
        _builder(_name("localhost"), authority_name, server_key.public_key(), authority_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = server_key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(files.key, secret, 0o600)
    _write(files.certificate, server.public_bytes(pem), 0o644)
    _write(files.authority, authority.public_bytes(pem), 0o644)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    signer: ec.EllipticCurvePrivateKey,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - dt.timedelta(hours=1))
        .not_valid_after(now() + _VALID)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, data: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
