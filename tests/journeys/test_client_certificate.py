"""``client_certificate`` of a connection, before a real Dovecot that wants to see one."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization

from tests.ground import Ground, User
from tests.journeys.conftest import Cli

PASSPHRASE = "open-sesame-client-key"


def certificate(cli: Cli, ground: Ground, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The credential ``client``: ``pki.client``, or the pair of a server; its key is encrypted."""
    pair = ground.pki.client if name == "client" else ground.pki.pairs[name]
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(PASSPHRASE.encode()),
    )
    monkeypatch.setenv("CLIENT_KEY", key.decode())
    monkeypatch.setenv("CLIENT_PHRASE", PASSPHRASE)
    answer = cli("credential", "add", "client", "--type", "certificate",
                 "--certificate-from-file", str(pair.cert), "--private-key-from-env", "CLIENT_KEY",
                 "--passphrase-from-env", "CLIENT_PHRASE")  # fmt: skip
    assert answer.status == 0, answer.err


def point(cli: Cli, *fields: str) -> None:
    """Change the incoming side of ``acme``."""
    words = [word for one in fields for word in ("--set", f"incoming.{one}")]
    answer = cli("connection", "set", "acme", *words, "--yes")
    assert answer.status == 0, answer.err


@pytest.mark.parametrize(
    ("protocol", "security"), [("imap", "tls"), ("imap", "starttls"), ("pop3", "tls")]
)
def test_a_server_that_wants_a_certificate_is_shown_it(
    cli: Cli,
    wired: User,
    ground: Ground,
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
    security: str,
) -> None:
    """Without one nothing is read, and it is said what is missing; with it the source collects."""
    mutual = ground.dovecot.mutual
    ports = {"imap": (mutual.imaps, mutual.imap), "pop3": (mutual.pop3s, mutual.pop3)}
    port = ports[protocol][security == "starttls"]
    ground.dovecot.fill(wired, [b"Subject: hello\r\n\r\nx\r\n"])
    point(cli, f"protocol={protocol}", f"port={port}", f"security={security}")
    answer = cli("connection", "test", "acme")
    assert answer.status == 1
    assert "incoming.client_certificate=NAME" in answer.out, answer
    answer = cli("mail", "list", "--via", "acme")
    assert answer.status == 1
    assert "didn't present valid SSL certificate" in answer.err, answer

    certificate(cli, ground, "client", monkeypatch)
    point(cli, "client_certificate=client")
    answer = cli("connection", "test", "acme")
    assert answer.status == 0, answer.out + answer.err
    assert "hello" in cli("mail", "list", "--via", "acme").out
    answer = cli("source", "run", "orders-in")
    assert answer.status == 0, answer.err
    opened = cli("audit", "list", "--json").json["items"]
    assert any("client" in str(row) and row["action"] == "open" for row in opened)
    assert PASSPHRASE not in cli("credential", "show", "client").out


def test_a_certificate_of_somebody_else_is_refused(
    cli: Cli, wired: User, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that the server does not trust: no sign-in, and the step is named."""
    certificate(cli, ground, "selfsigned", monkeypatch)
    point(cli, f"port={ground.dovecot.mutual.imaps}", "client_certificate=client")
    answer = cli("mail", "list", "--via", "acme", "--json")
    assert answer.status == 1, answer
    assert answer.json["code"] in ("tls_failed", "sign_in_failed")
    assert "client_certificate" in cli("connection", "test", "acme").out
