"""TLS settings as contexts, and failures as sentences."""

from __future__ import annotations

import datetime as dt
import os
import ssl
import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from postroom.errors import InvalidValue, TlsError
from postroom.net.certificates import CertificateFacts, certificate_facts, explain
from postroom.net.tls import Channel, ClientCertificate, Tls
from postroom.secret import Secret, open_secrets
from tests.ground.pki import Pki


def test_a_context_always_verifies(pki: Pki) -> None:
    for tls in (Tls(), Tls(trust=(pki.ca.read_text(),)), Tls(check_name=False)):
        context = tls.context()
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert context.check_hostname is tls.check_name
        assert not context.hostname_checks_common_name


def test_session_keys_are_written_nowhere(monkeypatch: pytest.MonkeyPatch, pki: Pki) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(pki.ca.parent / "keys.log"))
    assert Tls(trust=(pki.ca.read_text(),)).context().keylog_filename is None


def test_a_context_is_made_once_per_value_unless_it_holds_a_key(pki: Pki) -> None:
    ca = pki.ca.read_text()
    assert Tls(trust=(ca,)).context() is Tls(trust=(ca,)).context()
    assert Tls(trust=(ca,)).context() is not Tls(trust=(ca,), check_name=False).context()
    client = _client(pki)
    assert Tls(client_certificate=client).context() is not Tls(client_certificate=client).context()


def test_trust_that_is_no_certificate_is_a_wrong_value() -> None:
    for text in ("", "hello", "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"):
        with pytest.raises(InvalidValue) as caught:
            Tls(trust=(text,)).context()
        assert caught.value.field == "trust"


# --------------------------------------------------------------------------- client certificates


def _client(pki: Pki, passphrase: str | None = None, sealed_with: str | None = None):
    pair = pki.pairs["good"]
    key = pair.key.read_bytes()
    if sealed_with is not None:
        loaded = serialization.load_pem_private_key(key, None)
        key = loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(sealed_with.encode()),
        )
    return ClientCertificate(
        pair.cert.read_text(), Secret(key), Secret(passphrase) if passphrase else None
    )


def test_a_client_certificate_is_loaded_with_and_without_passphrase(pki: Pki) -> None:
    for client in (_client(pki), _client(pki, "open sesame", "open sesame")):
        assert isinstance(Tls(client_certificate=client).context(), ssl.SSLContext)


@pytest.mark.parametrize(
    ("passphrase", "sealed_with", "sentence"),
    [
        (None, "x1y2z3", "give its passphrase"),
        ("wrong one", "x1y2z3", "does not open the private key"),
    ],
)
def test_a_key_that_does_not_open_says_why(
    pki: Pki, passphrase: str | None, sealed_with: str, sentence: str
) -> None:
    with pytest.raises(InvalidValue, match=sentence) as caught:
        Tls(client_certificate=_client(pki, passphrase, sealed_with)).context()
    assert caught.value.__cause__ is None


def test_a_key_of_another_certificate_is_refused(pki: Pki) -> None:
    other = ClientCertificate(
        pki.pairs["good"].cert.read_text(), Secret(pki.pairs["expired"].key.read_bytes())
    )
    with pytest.raises(InvalidValue, match="does not belong"):
        Tls(client_certificate=other).context()
    for broken in (ClientCertificate("x", Secret("y")), ClientCertificate("", Secret(""))):
        with pytest.raises(InvalidValue, match="PEM form"):
            Tls(client_certificate=broken).context()


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_private_key_leaves_no_file_behind(
    pki: Pki, tmp_path, monkeypatch: pytest.MonkeyPatch, in_memory: bool
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create")
    before = set(Path("/dev/fd").iterdir())
    Tls(client_certificate=_client(pki)).context()
    with pytest.raises(InvalidValue):
        Tls(client_certificate=_client(pki, None, "secret")).context()
    assert list(tmp_path.iterdir()) == []
    assert set(Path("/dev/fd").iterdir()) == before


def test_the_context_cache_keeps_no_secret_alive(pki: Pki) -> None:
    marker = "a passphrase for this test alone"
    Tls(client_certificate=_client(pki, marker, marker)).context()
    assert not any(secret == Secret(marker) for secret in open_secrets())


# --------------------------------------------------------------------------- the machine


def test_nothing_is_encrypted_before_the_handshake_is_over(pki: Pki) -> None:
    channel = Channel(Tls(trust=(pki.ca.read_text(),)), "localhost")
    with pytest.raises(TlsError):
        channel.encrypt(b"A1 LOGIN user secret\r\n")
    channel.handshake()
    with pytest.raises(TlsError):
        channel.encrypt(b"A1 LOGIN user secret\r\n")
    assert b"LOGIN" not in channel.outgoing()


def test_a_look_cannot_be_used_as_a_context() -> None:
    with pytest.raises(TlsError):
        Tls(look_only=True).context()


# --------------------------------------------------------------------------- facts and sentences


def test_facts_are_read_from_a_certificate(pki: Pki) -> None:
    der = ssl.PEM_cert_to_DER_cert(pki.pairs["good"].cert.read_text())
    facts = certificate_facts(der)
    assert "localhost" in facts.names
    assert "127.0.0.1" in facts.names
    assert facts.issuer == "CN=Postroom test CA"
    assert not facts.self_signed
    assert facts.not_before < dt.datetime.now(dt.UTC) < facts.not_after
    assert facts.as_json()["not_after"].endswith("Z")
    own = ssl.PEM_cert_to_DER_cert(pki.pairs["selfsigned"].cert.read_text())
    assert certificate_facts(own).self_signed
    with pytest.raises(TlsError, match="cannot be read"):
        certificate_facts(b"\x30\x03\x02\x01\x01")


FACTS = CertificateFacts(
    subject="CN=mail.example.org", issuer="CN=X", names=("mail.example.org",),
    not_before=dt.datetime(2025, 1, 1, tzinfo=dt.UTC),
    not_after=dt.datetime(2026, 1, 1, tzinfo=dt.UTC), sha256="00", self_signed=False,
)  # fmt: skip


def _verification(code: int, message: str = "") -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, message
    return error


def _tls_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (_verification(10), "certificate_expired", "expired on 2026-01-01T00:00:00Z"),
        (_verification(9), "certificate_expired", "not valid before 2025-01-01"),
        (_verification(62, "Hostname mismatch"), "certificate_name", "is for mail.example.org"),
        (_verification(64), "certificate_name", "is for mail.example.org"),
        (_verification(18), "certificate_untrusted", "signed by itself"),
        (_verification(19), "certificate_untrusted", "authority unknown"),
        (_verification(20), "certificate_untrusted", "authority unknown"),
        (_verification(21), "certificate_untrusted", "authority unknown"),
        (_verification(66), "certificate_untrusted", "too weak"),
        (_verification(23, "revoked"), "certificate_untrusted", "revoked"),
        (_tls_error("WRONG_VERSION_NUMBER"), "tls_failed", "did not answer in TLS"),
        (_tls_error("UNSUPPORTED_PROTOCOL"), "tls_failed", "older than 1.2"),
        (_tls_error("TLSV1_ALERT_PROTOCOL_VERSION"), "tls_failed", "older than 1.2"),
        (_tls_error("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "tls_failed", "client certificate"),
        (_tls_error("SSLV3_ALERT_HANDSHAKE_FAILURE"), "tls_failed", "no safe cipher"),
        (_tls_error("SOMETHING_ELSE"), "tls_failed", "SOMETHING_ELSE"),
        (ConnectionResetError(), "tls_failed", "closed the connection"),
    ],
)
def test_each_failure_has_its_code_and_sentence(error: Exception, code: str, words: str) -> None:
    told = explain(error, "imap.example.com", FACTS)
    assert told.code == code
    assert told.step == "tls"
    assert "imap.example.com" in told.sentence
    assert words in told.sentence
    assert told.hint
    assert told.temporary is isinstance(error, ConnectionError)
    assert told.facts["certificate"]["names"] == ["mail.example.org"]


def test_without_facts_the_sentence_still_stands() -> None:
    for code in (9, 10, 18, 62):
        assert "certificate" in explain(_verification(code), "imap.example.com", None).sentence
    unnamed = CertificateFacts("CN=imap.example.com", "CN=X", (), FACTS.not_before,
                               FACTS.not_after, "00", False)  # fmt: skip
    told = explain(_verification(62), "imap.example.com", unnamed)
    assert "common name" in told.sentence
