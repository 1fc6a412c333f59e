"""TLS as a value and as a machine without input or output (TLS 1.2 and 1.3, RFC 8446, RFC 9525).

Verification is never off: the one context that verifies nothing belongs to :class:`Channel` with
``look_only``, and a channel that only looks encrypts nothing.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field

from postroom.errors import InvalidValue, TlsError
from postroom.net.certificates import CertificateFacts, certificate_facts, explain, fingerprints
from postroom.net.names import address_of
from postroom.secret import Secret

__all__ = [
    "CertificateFacts",
    "Channel",
    "ClientCertificate",
    "Tls",
    "certificate_facts",
    "explain",
]

# A memory BIO keeps room for a third more than the most it ever held, as long as it lives.
FEED = 7 * 1024
"""Bytes that are fed at once; with this an idle connection takes less than 40 KB after bulk too."""
RECORD = 16 * 1024
"""The most plaintext in one TLS record, RFC 8446 section 5.1."""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """Who we are to the server: a PEM chain (leaf first) and its PEM key, perhaps encrypted."""

    certificate: str
    private_key: Secret = field(hash=False)
    passphrase: Secret | None = field(default=None, hash=False)


@dataclass(frozen=True, slots=True)
class Tls:
    """How to verify the other side.

    ``trust`` holds PEM texts; with any, they alone are trusted, and a server's own certificate
    among them is a pin (its dates and its name still count).  ``check_name=False`` skips the name,
    never the chain.  ``look_only`` is for the doctor: the handshake accepts any certificate, the
    connection ends there with TlsError, and nothing is ever written on it.
    """

    trust: tuple[str, ...] = ()
    check_name: bool = True
    client_certificate: ClientCertificate | None = None
    look_only: bool = False

    @property
    def trust_id(self) -> str:
        """``system``, or ``sha256:HEX``: the certificate's fingerprint, of several their digest.

        Raises InvalidValue when a text holds no certificate.
        """
        if not self.trust:
            return "system"
        try:
            found = fingerprints(self.trust)
        except ValueError as error:
            raise InvalidValue("trust", "this holds no certificate in PEM form.") from error
        if len(found) == 1:
            return f"sha256:{found[0]}"
        return "sha256:" + hashlib.sha256("\n".join(found).encode("ascii")).hexdigest()

    def context(self) -> ssl.SSLContext:
        """The context that verifies like this; made once per value (the system's CAs take 44 ms).

        One with a client certificate is made anew each time, so that no cache keeps the key.
        Raises InvalidValue for a certificate or key that cannot be read.
        """
        if self.look_only:
            raise TlsError("A connection that only looks at a certificate is not used for more.")
        if self.client_certificate is None:
            return _cached_context(self)
        context = _context(self)
        _present(context, self.client_certificate)
        return context


def _context(tls: Tls) -> ssl.SSLContext:
    # not ssl.create_default_context: it writes session keys to the file SSLKEYLOGFILE names
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.check_hostname = tls.check_name
    context.hostname_checks_common_name = False  # RFC 9525: only subjectAltName names a host
    if not tls.trust:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return context
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata="\n".join(tls.trust))
    except (ssl.SSLError, ValueError) as error:
        raise InvalidValue("trust", "this holds no certificate in PEM form.") from error
    return context


_cached_context = functools.lru_cache(maxsize=64)(_context)


def _looking_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


# --------------------------------------------------------------------------- client certificates


def _present(context: ssl.SSLContext, client: ClientCertificate) -> None:
    asked: list[bool] = []

    def passphrase() -> bytes:  # without it OpenSSL would ask on the terminal
        asked.append(True)
        return client.passphrase.reveal_bytes() if client.passphrase else b""

    pem = client.certificate.encode() + b"\n" + client.private_key.reveal_bytes() + b"\n"
    try:
        with _short_lived_file(pem) as path:
            context.load_cert_chain(path, password=passphrase)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidValue("client_certificate", _why_not(error, client, bool(asked))) from None


def _why_not(error: Exception, client: ClientCertificate, asked: bool) -> str:
    if "KEY_VALUES_MISMATCH" in str(getattr(error, "reason", "")):
        return "the private key does not belong to this certificate."
    if asked and not client.passphrase:
        return "the private key is encrypted; give its passphrase."
    if asked:
        return "the passphrase does not open the private key."
    return "give a certificate and its private key in PEM form."


@contextlib.contextmanager
def _short_lived_file(data: bytes) -> Iterator[str]:
    """A path that OpenSSL can read: memory without a name on Linux, else a file of our own (0600)
    that is gone when the context is left.
    """
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):  # noqa: PTH112
        number = os.memfd_create("certificate", os.MFD_CLOEXEC)
        try:
            _write_all(number, data)
            yield f"/proc/self/fd/{number}"
        finally:
            os.close(number)
        return
    number, path = tempfile.mkstemp()
    try:
        _write_all(number, data)
        os.close(number)
        yield path
    finally:
        os.unlink(path)


def _write_all(number: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(number, view) :]


# --------------------------------------------------------------------------- the machine


class Channel:
    """One TLS connection over memory: what arrived goes in by :meth:`feed`, what is to be sent
    comes out of :meth:`outgoing`.  About 25 KB while idle, where asyncio's own TLS takes 285.

    A channel that only looks shows no client certificate: that would be signing in.
    All methods raise ssl.SSLError, which the owner translates by :func:`explain`.
    """

    __slots__ = ("_in", "_look_only", "_out", "_tls", "closed", "ready")

    def __init__(self, tls: Tls, host: str) -> None:
        self._look_only = tls.look_only
        context = _looking_context() if tls.look_only else tls.context()
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        # an address is never sent as server name (RFC 6066), but it is checked against the names
        wanted = host if tls.check_name and not tls.look_only else None
        if wanted is None and address_of(host) is None:
            wanted = host
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=wanted)
        self.ready = False  # the handshake is over and the certificate verified
        self.closed = False  # the other side said close-notify

    def handshake(self) -> bool:
        """Go on with the handshake; True once it is over."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
            self.ready = True
        return self.ready

    def feed(self, data: memoryview) -> None:
        """Take at most :data:`FEED` bytes of what arrived."""
        self._in.write(data)

    def read_into(self, buffer: memoryview) -> int:
        """Decrypt into the buffer; gives how many bytes, 0 when more has to arrive first."""
        try:
            count: int = self._tls.read(len(buffer), buffer)  # type: ignore[assignment]
        except ssl.SSLWantReadError:
            return 0
        except ssl.SSLZeroReturnError:
            count = 0
        if count == 0:
            self.closed = True
        return count

    def encrypt(self, data: bytes | bytearray | memoryview) -> bytes:
        """The ciphertext of these bytes, with whatever else waits to be sent.

        Refused before the certificate was verified, and on a channel that only looks.
        """
        if self._look_only or not self.ready:
            raise TlsError("Nothing is written on a connection whose certificate is not verified.")
        view = memoryview(data)
        parts = []
        for start in range(0, len(view), RECORD):
            self._tls.write(view[start : start + RECORD])
            parts.append(self._out.read())
        return b"".join(parts)

    def outgoing(self) -> bytes:
        """What has to be sent now: handshake, alerts, close-notify."""
        return self._out.read() if self._out.pending else b""

    def close(self) -> bytes:
        """Say close-notify, without waiting for theirs; gives what has to be sent."""
        if self.ready:
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
        return self.outgoing()

    @property
    def version(self) -> str:
        """Such as ``TLSv1.3``."""
        return self._tls.version() or ""

    @property
    def cipher(self) -> str:
        """Such as ``TLS_AES_256_GCM_SHA384``."""
        cipher = self._tls.cipher()
        return cipher[0] if cipher else ""

    def certificate(self) -> bytes | None:
        """The other side's own certificate, in DER."""
        return self._tls.getpeercert(binary_form=True)

    def chain(self) -> list[bytes]:
        """The DER certificates the other side sent, its own first (only that one where Python
        cannot give the rest).
        """
        own = self.certificate()
        # public from Python 3.13 on; before that the inner object has it
        read = getattr(self._tls, "get_unverified_chain", None)
        if read is None:
            inner = getattr(getattr(self._tls, "_sslobj", None), "get_unverified_chain", None)
            if inner is not None:
                return [ssl.PEM_cert_to_DER_cert(c.public_bytes()) for c in inner() or ()]
        elif found := read():
            return [bytes(der) for der in found]
        return [own] if own else []
