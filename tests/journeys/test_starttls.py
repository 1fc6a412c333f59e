"""``security: starttls`` where somebody on the way removes the offer: nothing is sent in the clear."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.ground import Ground, User
from tests.ground.faults import Replace, Rule
from tests.ground.proxy import FaultProxy
from tests.journeys.conftest import Cli
from tests.journeys.outgoing import message_ids
from tests.journeys.test_security import Ended, leaks, run

PASSWORD = "pass-phrase-of-the-user-2525"
STRIPPED = {
    "imap": Rule("to_client", Replace(b"XTARTTLS"), before=b"STARTTLS", again=True),
    "pop3": Rule("to_client", Replace(b"XTLS"), before=b"STLS", again=True),
    "smtp": Rule("to_client", Replace(b"250-XTARTTLS"), before=b"250-STARTTLS", again=True),
}
"""How somebody between takes the offer away."""


def harmless(protocol: str, said: bytes) -> list[bytes]:
    """The commands that were sent in the clear, without IMAP's tags; TLS does not count."""
    lines = said.partition(b"\x16\x03")[0].upper().splitlines()
    words = [line.split(b" ")[1 if protocol == "imap" else 0] for line in lines if line]
    allowed = {b"CAPABILITY", b"LOGOUT", b"STARTTLS", b"STLS", b"CAPA", b"EHLO", b"QUIT"}
    assert set(words) <= allowed, lines
    return words


async def wire(cli: Cli, ground: Ground, protocol: str, port: int) -> User:
    """The connection ``acme`` with one side by way of that port, a source or a service over it."""
    user = ground.user(PASSWORD)
    side = "outgoing" if protocol == "smtp" else "incoming"
    ends = (
        ("service", "add", "orders-out", "--connection", "acme"),
        ("source", "add", "orders-in", "--connection", "acme", "--set", "sink.type=directory",
         "--set", f"sink.path={cli.settings.room.parent / 'orders'}"),
    )  # fmt: skip
    steps = (
        ("credential", "add", "ground-ca", "--type", "trusted_certificate",
         "--certificate-from-file", str(ground.pki.ca)),
        ("credential", "add", "acme-login", "--type", "password", "--user-name", user.address,
         "--password-from-env", "PW"),
        ("connection", "add", "acme", "--set", f"{side}.protocol={protocol}",
         "--set", f"{side}.host=127.0.0.1", "--set", f"{side}.port={port}",
         "--set", f"{side}.security=starttls", "--set", f"{side}.trust=ground-ca",
         "--set", f"{side}.auth={{type: secret, credential: acme-login}}"),
        ends[0] if protocol == "smtp" else ends[1],
    )  # fmt: skip
    for step in steps:
        ended = await run(cli, *step, PW=PASSWORD)
        assert ended.status == 0, ended.told
    return user


def says(ended: Ended, *parts: str) -> None:
    """The sentence names the cause, and shows no secret."""
    text = " ".join(ended.told.decode().split())
    for part in parts:
        assert part in text
    assert not leaks(ended.told, PASSWORD)
    assert "Traceback" not in text


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
async def test_nothing_is_read_without_tls(
    cli: Cli, ground: Ground, tmp_path: Path, protocol: str
) -> None:
    """IMAP and POP3: no sign-in, no user name; a clear sentence; it works once the offer is back."""
    async with FaultProxy(getattr(ground.dovecot, protocol), rules=[STRIPPED[protocol]]) as proxy:
        user = await wire(cli, ground, protocol, proxy.port)
        ground.dovecot.fill(user, [b"Subject: hello\r\n\r\nx\r\n"])
        for words in (("connection", "test", "acme"), ("mail", "list", "--via", "acme"),
                      ("source", "run", "orders-in", "--once")):  # fmt: skip
            ended = await run(cli, *words)
            assert ended.status == 1, ended
            says(ended, "STARTTLS")
        said = proxy.transcript.to_server
        assert b"STARTTLS" not in harmless(protocol, said)
        assert not leaks(said, PASSWORD)
        assert user.address.encode() not in said
        assert not (tmp_path / "orders").exists()

        proxy.rules.clear()
        ended = await run(cli, "source", "run", "orders-in", "--once")
        assert ended.status == 0, ended.told
        said = proxy.transcript.to_server
        assert harmless(protocol, said)[-1] in (b"STARTTLS", b"STLS")
        assert not leaks(said, PASSWORD)
        assert len(list((tmp_path / "orders" / "INBOX").glob("*.eml"))) == 1


async def test_nothing_is_sent_without_tls(cli: Cli, ground: Ground) -> None:
    """SMTP: stored, not sent (3), with the reason; sent once the offer is back, and only once."""
    other = ground.user()
    async with FaultProxy(ground.postfix.submission, rules=[STRIPPED["smtp"]]) as proxy:
        user = await wire(cli, ground, "smtp", proxy.port)
        ended = await run(cli, "connection", "test", "acme")
        assert ended.status == 1
        says(ended, "offers no STARTTLS", "outgoing.security=tls")
        ended = await run(cli, "send", "--via", "orders-out", "--to", other.address,
                          "--subject", "confidential-subject", "--text", "x")  # fmt: skip
        assert ended.status == 3, ended
        says(ended, "STARTTLS", "do not send it again")
        said = proxy.transcript.to_server
        assert b"STARTTLS" not in harmless("smtp", said)
        assert not leaks(said, PASSWORD)
        for part in (user.address, other.address, "confidential-subject"):
            assert part.encode() not in said

        proxy.rules.clear()
        [item] = (re.findall(rb"outbox show (\S+)", ended.told))[:1]
        assert (await run(cli, "outbox", "retry", item.decode())).status == 0
        ended = await run(cli, "outbox", "drain")
        assert ended.status == 0, ended.told
        said = proxy.transcript.to_server
        assert harmless("smtp", said)[-1] == b"STARTTLS"
        assert not leaks(said, PASSWORD)
    assert len(message_ids(other)) == 1
