"""One test CA and its certificates, good and bad, as PEM files (RFC 5280)."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["GOOD_HOSTS", "VARIANTS", "WRONG_HOST", "Pair", "Pki", "make_pki"]

# 127.0.0.2 is where the instance listens that takes its clients for strangers.
GOOD_HOSTS = ("localhost", "127.0.0.1", "::1", "127.0.0.2")
WRONG_HOST = "elsewhere.ground.test"
VARIANTS = ("good", "wronghost", "expired", "selfsigned")

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, each a PEM file."""

    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Pki:
    """The CA file, one Pair for each name in VARIANTS, and one that a client shows."""

    ca: Path
    pairs: dict[str, Pair]
    client: Pair

    def server_context(self, variant: str = "good") -> ssl.SSLContext:
        """A context that presents the certificate of that variant."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pairs[variant].cert, self.pairs[variant].key)
        return context

    def client_context(self) -> ssl.SSLContext:
        """A context that trusts the test CA alone and checks host names."""
        return ssl.create_default_context(cafile=str(self.ca))


@dataclass(frozen=True, slots=True)
class _Signer:
    name: x509.Name
    key: ec.EllipticCurvePrivateKey


def make_pki(folder: Path) -> Pki:
    """Write CA and certificates into `folder` (made if missing); about 10 ms (EC P-256)."""
    folder.mkdir(parents=True, exist_ok=True)
    ca = _Signer(_name("Postroom test CA"), ec.generate_private_key(ec.SECP256R1()))
    ca_cert = _certificate(ca, ca, hosts=(), days=(-2, 30), is_ca=True)
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(ca_cert.public_bytes(serialization.Encoding.PEM))
    pairs = {
        "good": _pair(folder, "good", ca, GOOD_HOSTS, (-2, 30)),
        "wronghost": _pair(folder, "wronghost", ca, (WRONG_HOST,), (-2, 30)),
        "expired": _pair(folder, "expired", ca, GOOD_HOSTS, (-2, -1)),
        "selfsigned": _pair(folder, "selfsigned", None, GOOD_HOSTS, (-2, 30)),
    }
    return Pki(
        ca_file, pairs, _pair(folder, "client", ca, ("client.ground.test",), (-2, 30), client=True)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pair(
    folder: Path,
    variant: str,
    ca: _Signer | None,
    hosts: Sequence[str],
    days: tuple[int, int],
    *,
    client: bool = False,
) -> Pair:
    subject = _Signer(_name(hosts[0]), ec.generate_private_key(ec.SECP256R1()))
    usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
    cert = _certificate(subject, ca or subject, hosts=hosts, days=days, is_ca=False, usage=usage)
    pair = Pair(folder / f"{variant}.pem", folder / f"{variant}.key")
    pair.cert.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    pem = subject.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    pair.key.touch(mode=0o600)
    pair.key.write_bytes(pem)
    return pair


def _certificate(
    subject: _Signer,
    issuer: _Signer,
    *,
    hosts: Sequence[str],
    days: tuple[int, int],
    is_ca: bool,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    public = subject.key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject.name)
        .issuer_name(issuer.name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + days[0] * _DAY)
        .not_valid_after(now + days[1] * _DAY)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()),
            critical=False,
        )
        .add_extension(_key_usage(is_ca), critical=True)
    )
    if hosts:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False
        ).add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.sign(issuer.key, hashes.SHA256())


def _key_usage(is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
