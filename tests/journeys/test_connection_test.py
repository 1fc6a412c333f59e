"""The doctor over Dovecot and Postfix: every step with its time, every failure with what to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postroom.clock import now
from postroom.connections import doctor
from postroom.connections.open import Opener
from postroom.connections.report import Report, StepResult
from postroom.connections.store import last_use
from postroom.net.names import host_and_port
from postroom.protocols.base import Limits
from postroom.variables.store import allow_environment
from tests.ground import Ground, User
from tests.unit.connections.rooms import ACTOR, SmallRoom, open_small_room

LOGIN = {"type": "secret", "credential": "login"}


@pytest.fixture
async def room(tmp_path: Path, ground: Ground, fresh_user: User) -> AsyncIterator[SmallRoom]:
    async with open_small_room(tmp_path) as opened:
        await opened.credential("ca", "trusted_certificate", {"certificate": _ca(ground)})
        await opened.password("login", fresh_user.address, fresh_user.password)
        yield opened


def _ca(ground: Ground) -> str:
    return ground.pki.ca.read_text()


def _side(protocol: str, port: int, security: str, **fields: Any) -> dict[str, Any]:
    side = {"protocol": protocol, "host": "127.0.0.1", "port": port, "security": security,
            "auth": LOGIN, "trust": "ca"} | fields  # fmt: skip
    return {"outgoing" if protocol == "smtp" else "incoming": side}


async def _test(room: SmallRoom, **body: Any) -> Report:
    await room.connect("acme", **body)
    return await doctor.test_connection(room.opener, "acme")


def _failed(report: Report) -> tuple[str, str]:
    """The step that failed and the code; everything before it went well."""
    (side,) = report.sides
    assert not report.ok
    assert report.error is not None
    assert [step.ok for step in side.steps] == [True] * (len(side.steps) - 1) + [False]
    return side.steps[-1].name, report.error.code


def _advice(report: Report) -> str:
    advice = report.sides[0].advice
    assert advice is not None
    return "\n".join((advice.text, *advice.commands))


INCOMING = ["greeting", "capabilities", "sign-in", "folder"]
OUTGOING = ["greeting", "ehlo", "sign-in", "send"]
WORKING = [
    ("imap", "imaps", "tls", ["tls", *INCOMING]),
    ("imap", "imap", "starttls", ["greeting", "tls", *INCOMING[1:]]),
    ("imap", "imap", "none", INCOMING),
    ("pop3", "pop3s", "tls", ["tls", *INCOMING]),
    ("pop3", "pop3", "starttls", ["greeting", "capabilities", "tls", *INCOMING[1:]]),
    ("smtp", "smtps", "tls", ["tls", *OUTGOING]),
    ("smtp", "submission", "starttls", ["greeting", "ehlo", "tls", *OUTGOING[1:]]),
]


@pytest.mark.parametrize(("protocol", "port", "security", "steps"), WORKING)
async def test_a_working_connection(
    room: SmallRoom, ground: Ground, protocol: str, port: str, security: str, steps: list[str]
) -> None:
    server: Any = ground.postfix if protocol == "smtp" else ground.dovecot
    heard: list[StepResult] = []
    await room.connect("acme", **_side(protocol, getattr(server, port), security))
    report = await doctor.test_connection(
        room.opener, "acme", on_step=lambda side, step: heard.append(step)
    )
    assert report.error is None
    assert [step.name for step in report.steps] == ["resolve", "connect", *steps]
    # whoever watches is told of the certificate in a line of its own, right behind TLS
    told = [step.name for step in heard]
    assert [name for name in told if name != "certificate"] == [step.name for step in report.steps]
    assert ("certificate" in told) == (security != "none")
    assert all(step.ok and 0 <= step.ms < 10_000 for step in report.steps)
    details = {step.name: step.detail for step in report.steps}
    assert details["connect"] == "127.0.0.1"
    if security != "none":
        assert "TLSv1.3" in details["tls"]
        assert "certificate of localhost" in details["tls"], "whom one talks to"
        at = told.index("certificate")
        assert told[at - 1] == "tls"
        [facts] = report.sides[0].certificates
        days = (facts.not_after - now()).days
        for part in (
            ", ".join(facts.names[:3]), f"issued by {facts.issuer}",
            f"until {facts.not_after:%Y-%m-%d} ({days} day", f"SHA-256 {facts.sha256}",
        ):  # fmt: skip
            assert part in heard[at].detail
    credential = await room.db.read(lambda tx: room.credentials.get(tx, "login"))
    assert credential.presented_at is not None, "the secret worked, and that is known"
    used = await room.db.read(lambda tx: last_use(tx, "acme"))
    assert used.by == ACTOR
    assert report.as_json()["ok"] is True


async def test_both_sides_are_walked(room: SmallRoom, ground: Ground, fresh_user: User) -> None:
    report = await _test(
        room,
        **_side("imap", ground.dovecot.imaps, "tls"),
        **_side("smtp", ground.postfix.smtps, "tls"),
    )
    assert report.ok
    assert [side.place for side in report.sides] == ["incoming", "outgoing"]
    assert report.sides[0].where == host_and_port("127.0.0.1", ground.dovecot.imaps)
    last = report.sides[1].steps[-1]
    assert f"MAIL FROM:<{fresh_user.address}> is accepted; nothing was sent" in last.detail
    assert report.sides[0].steps[-1].detail == "INBOX: 0 messages"


async def test_one_side_fails_and_the_other_is_still_walked(
    room: SmallRoom, ground: Ground
) -> None:
    report = await _test(
        room,
        **_side("imap", ground.dovecot.imaps, "tls", trust=""),
        **_side("smtp", ground.postfix.smtps, "tls"),
    )
    assert [side.ok for side in report.sides] == [False, True]
    assert not report.ok


@pytest.mark.parametrize(
    ("protocol", "port", "security"),
    [("imap", "imaps", "tls"), ("imap", "imap", "starttls"), ("pop3", "pop3", "starttls"),
     ("smtp", "submission", "starttls"), ("smtp", "smtps", "tls")],
)  # fmt: skip
async def test_a_private_authority_is_shown_with_what_to_do(
    room: SmallRoom, ground: Ground, protocol: str, port: str, security: str
) -> None:
    server: Any = ground.postfix if protocol == "smtp" else ground.dovecot
    report = await _test(room, **_side(protocol, getattr(server, port), security, trust=""))
    assert _failed(report) == ("tls", "certificate_untrusted")
    assert report.error is not None
    assert not report.error.temporary
    leaf = report.sides[0].certificates[0]
    pin = leaf.pem
    assert "Postroom test CA" in _advice(report)
    assert leaf.sha256.upper()[:2] + ":" + leaf.sha256.upper()[2:4] in _advice(report)
    side = "outgoing" if protocol == "smtp" else "incoming"
    assert f"postroom connection trust acme {side} {leaf.sha256}" in _advice(report)
    # and it is enough to trust that one
    await room.credential("acme-ca", "trusted_certificate", {"certificate": pin})
    again = await _test(room, **_side(protocol, getattr(server, port), security, trust="acme-ca"))
    assert again.ok


@pytest.mark.parametrize(
    ("variant", "code", "says"),
    [
        ("wronghost", "certificate_name", "elsewhere.ground.test"),
        ("expired", "certificate_expired", "The certificate is valid from"),
        ("selfsigned", "certificate_untrusted", "is signed by itself"),
    ],
)
async def test_a_bad_certificate(
    room: SmallRoom, ground: Ground, variant: str, code: str, says: str
) -> None:
    port = getattr(ground.dovecot, variant).imaps
    report = await _test(room, **_side("imap", port, "tls"))
    assert _failed(report) == ("tls", code)
    assert says in _advice(report)
    smtp = getattr(ground.postfix, f"{variant}_submission")
    report = await _test(room, incoming=None, **_side("smtp", smtp, "starttls"))
    assert _failed(report) == ("tls", code)
    assert says in _advice(report)


async def test_a_refused_password(room: SmallRoom, ground: Ground, fresh_user: User) -> None:
    side = _side("imap", ground.dovecot.imaps, "tls")
    report = await _test(room, **side)
    assert report.ok
    name = fresh_user.address.partition("@")[0]
    ground.dovecot.user("changed-at-the-server", name=name)
    await asyncio.sleep(1.1)  # Dovecot looks at most once a second whether its file changed
    report = await doctor.test_connection(room.opener, "acme")
    assert _failed(report) == ("sign-in", "sign_in_failed")
    assert report.error is not None
    assert not report.error.temporary
    assert "The server said: " in report.steps[-1].detail
    assert "The same secret worked last on 20" in _advice(report)
    assert "app password" in _advice(report)
    assert "postroom credential set login" in _advice(report)
    assert fresh_user.password not in str(report.as_json())
    # a secret that was typed anew has not worked yet
    await room.password("login", fresh_user.address, "also-wrong-password")
    report = await doctor.test_connection(room.opener, "acme")
    assert "never worked here yet" in _advice(report)
    assert "also-wrong-password" not in str(report.as_json())
    report = await _test(room, **_side("smtp", ground.postfix.smtps, "tls"))
    assert _failed(report) == ("sign-in", "sign_in_failed")
    assert "535" in report.steps[-1].detail


async def test_the_wrong_security_for_the_port(room: SmallRoom, ground: Ground) -> None:
    report = await _test(room, **_side("imap", ground.dovecot.imap, "tls"))
    assert _failed(report) == ("tls", "tls_failed")
    assert "try security starttls" in _advice(report)
    assert "postroom connection set acme --set incoming.security=starttls" in _advice(report)
    report = await _test(room, **_side("smtp", ground.postfix.submission, "tls"))
    assert "outgoing.security=starttls" in _advice(report)
    limits = Limits(reply_timeout=0.3)
    hurried = Opener(room.db, room.credentials, room.tokens, actor=ACTOR, limits=limits)
    await room.connect("late", **_side("imap", ground.dovecot.imaps, "starttls"))
    report = await doctor.test_connection(hurried, "late")
    assert _failed(report) == ("greeting", "timed_out")
    assert "incoming.security=tls" in _advice(report)


async def test_no_sign_in_without_tls(room: SmallRoom, ground: Ground) -> None:
    side = _side("imap", ground.dovecot.strict.imap, "none", host="127.0.0.2")
    report = await _test(room, **side)
    assert _failed(report)[0] == "sign-in"
    assert "use security starttls or tls" in _advice(report)


async def test_no_starttls_offered(room: SmallRoom) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 plain.example.com ESMTP\r\n")
        while line := await reader.readline():
            writer.write(b"250 plain.example.com\r\n" if line[:4] == b"EHLO" else b"221 bye\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        report = await _test(room, **_side("smtp", port, "starttls"))
    assert _failed(report) == ("tls", "tls_unavailable")
    assert "offers no STARTTLS" in _advice(report)


async def test_no_way_to_the_host(room: SmallRoom) -> None:
    report = await _test(room, **_side("imap", 993, "tls", host="nosuchhost.invalid"))
    step, code = _failed(report)
    assert (step, code) == ("resolve", "host_unknown")
    assert "spelled" in _advice(report) or "name server" in _advice(report)
    report = await _test(room, **_side("imap", 1, "tls"))
    assert _failed(report) == ("connect", "connect_refused")
    assert report.error is not None
    assert report.error.temporary
    assert "Usual ports" in _advice(report)


async def test_a_secret_that_may_not_go_there(room: SmallRoom, ground: Ground) -> None:
    await room.connect("acme", bind=False, **_side("imap", ground.dovecot.imaps, "tls"))
    report = await doctor.test_connection(room.opener, "acme")
    assert _failed(report) == ("secret", "destination_not_bound")
    assert len(report.steps) == 1, "nothing was dialled"


async def test_an_smtp_credential(room: SmallRoom, ground: Ground, fresh_user: User) -> None:
    fields = {
        "host": "127.0.0.1", "port": ground.postfix.submission, "user_name": fresh_user.address,
        "password": fresh_user.password, "tls": True,
    }  # fmt: skip
    await room.credential("mailer", "smtp", fields)
    report = await doctor.test_credential(room.opener, "mailer")
    assert _failed(report) == ("tls", "certificate_untrusted")
    assert "postroom credential trust mailer " in _advice(report)
    await room.credential("mailer", "smtp", {"trust": "ca"})
    report = await doctor.test_credential(room.opener, "mailer")
    assert report.ok
    assert [step.name for step in report.steps][-1] == "send"
    shown = report.as_json()
    assert shown["credential"] == "mailer"
    assert fresh_user.password not in str(shown)


@pytest.mark.parametrize("place", ["incoming", "outgoing"])
async def test_what_is_wrong_with_our_own_words_is_told_at_its_step(
    room: SmallRoom, ground: Ground, place: str
) -> None:
    """A user name that no sign-in can carry: the connection is there by then, and the step says so."""
    await room.db.write(lambda tx: allow_environment(tx, "WHO"))
    room.environ["WHO"] = "ann\udc80"  # a byte that is no UTF-8
    side = _side("smtp", ground.postfix.smtps, "tls", user="${env:WHO}") if place == "outgoing" else (
        _side("imap", ground.dovecot.imaps, "tls", user="${env:WHO}"))  # fmt: skip
    report = await _test(room, **side)
    assert _failed(report) == ("sign-in", "invalid_value")
