"""TLS on real sockets: what is refused, that nothing leaks before it, and what people are told."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from postroom.errors import PostroomError, TlsError, WireError
from postroom.net.certificates import CertificateFacts, certificate_facts
from postroom.net.dial import Route
from postroom.net.tls import ClientCertificate, Tls
from postroom.protocols.base import Limits, WireTarget
from postroom.protocols.pump import Pump, open_pump
from postroom.secret import Secret
from tests.ground import Ground
from tests.ground.pki import Pki
from tests.ground.scripted import (
    Answer,
    Close,
    Expect,
    ScriptedServer,
    Send,
    Silence,
    StartTls,
    Step,
)  # fmt: skip
from tests.wire.lines import Lines, resolver

LIMITS = Limits(connect_timeout=2, reply_timeout=2)
ECHO: list[Step] = [Send(b"* OK ready\r\n"), Answer({rb"(?P<said>.*)": b"{said}!\r\n"})]


def target(server: ScriptedServer, tls: Tls, security: Any = "tls", host: str = "") -> WireTarget:
    return WireTarget(Route(host or server.host, server.port), security, tls, LIMITS)


def trusting(pki: Pki, **more: Any) -> Tls:
    return Tls(trust=(pki.ca.read_text(),), **more)


async def look(route: Route, *, timeout: float = 2.0) -> list[CertificateFacts]:
    """The certificates a server shows to whoever only looks, its own first."""
    limits = Limits(connect_timeout=timeout, reply_timeout=timeout)
    with pytest.raises(TlsError) as caught:
        await open_pump(Lines(), WireTarget(route, "tls", Tls(look_only=True), limits))
    if "chain" not in caught.value.facts:
        raise caught.value
    return [certificate_facts(ssl.PEM_cert_to_DER_cert(pem)) for pem in caught.value.facts["chain"]]


async def open_and_talk(server: ScriptedServer, tls: Tls, **more: Any) -> Pump:
    """What every wire does: open, greeting, then the secret."""
    pump = await open_pump(Lines(), target(server, tls, **more), resolve=resolver("127.0.0.1"))
    assert await pump.next() == [b"* OK ready"]
    pump.write(b"the secret\r\n")
    assert await pump.next() == [b"the secret!"]
    return pump


async def test_a_good_certificate_is_believed_and_shown(pki: Pki) -> None:
    async with ScriptedServer(ECHO, tls=pki.server_context()) as server:
        pump = await open_and_talk(server, trusting(pki))
        assert pump.peer.tls_version == "TLSv1.3"
        assert pump.peer.cipher.startswith("TLS_")
        assert pump.peer.certificate is not None
        assert "127.0.0.1" in pump.peer.certificate.names
        assert [step.name for step in pump.steps] == ["resolve", "connect", "tls"]
        await pump.close()


async def test_tls_1_2_is_spoken_too(pki: Pki) -> None:
    context = pki.server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with ScriptedServer(ECHO, tls=context) as server:
        pump = await open_and_talk(server, trusting(pki), host="localhost")
        assert pump.peer.tls_version == "TLSv1.2"
        await pump.close()


@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize(
    ("variant", "code"),
    [
        ("wronghost", "certificate_name"),
        ("expired", "certificate_expired"),
        ("selfsigned", "certificate_untrusted"),
    ],
)
async def test_a_bad_certificate_is_refused_before_a_byte_is_sent(
    pki: Pki, variant: str, code: str, security: str
) -> None:
    """T60: whatever the protocol."""
    await _refused(pki, pki.server_context(variant), code, security)


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_an_authority_unknown_here_is_refused(pki: Pki, security: str) -> None:
    await _refused(pki, pki.server_context(), "certificate_untrusted", security, tls=Tls())


async def test_a_common_name_is_no_host_name(pki: Pki, tmp_path: Path) -> None:
    """T60: a certificate without a subjectAltName."""
    certificate, pair = common_name_only(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    await _refused(pki, context, "certificate_name", "tls", tls=Tls(trust=(certificate,)))


async def _refused(
    pki: Pki, context: ssl.SSLContext, code: str, security: str, tls: Tls | None = None
) -> None:
    starttls = security == "starttls"
    script = [Expect(rb"STARTTLS"), Send(b"OK\r\n"), StartTls(), *ECHO] if starttls else ECHO
    async with ScriptedServer(script, tls=context, starttls=starttls) as server:
        wanted = target(server, tls or trusting(pki), security, "localhost")
        with pytest.raises(TlsError) as caught:
            await _secured(wanted)
        error = caught.value
        assert error.code == code
        assert error.step == "tls"
        assert not error.temporary
        assert f"localhost:{server.port}" in error.sentence
        assert error.hint
        assert server.transcript.to_server == (b"STARTTLS\r\n" if starttls else b"")


async def _secured(wanted: WireTarget) -> None:
    pump = await open_pump(Lines(), wanted, resolve=resolver("127.0.0.1"))
    pump.write(b"STARTTLS\r\n")
    await pump.start_tls((await pump.next())[-1])


async def test_check_name_false_skips_the_name_and_never_the_chain(pki: Pki) -> None:
    unchecked = trusting(pki, check_name=False)
    async with ScriptedServer(ECHO, tls=pki.server_context("wronghost")) as server:
        await (await open_and_talk(server, unchecked)).close()
    for variant in ("selfsigned", "expired"):
        async with ScriptedServer(ECHO, tls=pki.server_context(variant)) as server:
            with pytest.raises(TlsError):
                await open_and_talk(server, unchecked)


async def test_a_pin_is_enough_and_its_name_and_dates_still_count(pki: Pki) -> None:
    pinned = Tls(trust=(pki.pairs["selfsigned"].cert.read_text(),))
    async with ScriptedServer(ECHO, tls=pki.server_context("selfsigned")) as server:
        await (await open_and_talk(server, pinned)).close()
    async with ScriptedServer(ECHO, tls=pki.server_context("good")) as server:
        with pytest.raises(TlsError):
            await open_and_talk(server, pinned)
    for variant, code in (("expired", "certificate_expired"), ("wronghost", "certificate_name")):
        leaf = Tls(trust=(pki.pairs[variant].cert.read_text(),))
        async with ScriptedServer(ECHO, tls=pki.server_context(variant)) as server:
            with pytest.raises(TlsError) as caught:
                await open_and_talk(server, leaf)
            assert caught.value.code == code


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_old_tls_is_refused(pki: Pki) -> None:
    """T60: TLS 1.0 and 1.1."""
    context = pki.server_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with ScriptedServer(ECHO, tls=context) as server:
        with pytest.raises(TlsError, match=r"older than 1\.2") as caught:
            await open_and_talk(server, trusting(pki))
        assert caught.value.code == "tls_failed"


async def test_plain_text_on_a_tls_port_names_the_usual_mistake(pki: Pki) -> None:
    async with ScriptedServer([Send(b"* OK plain IMAP here\r\n"), Silence()]) as server:
        with pytest.raises(TlsError, match="did not answer in TLS") as caught:
            await open_pump(Lines(), target(server, trusting(pki)))
        assert "starttls" in caught.value.hint
        assert caught.value.facts["steps"][-1]["name"] == "connect"


async def test_a_server_silent_during_the_handshake_times_out(pki: Pki) -> None:
    async with ScriptedServer([Silence()]) as server:
        wanted = WireTarget(
            Route(server.host, server.port), "tls", trusting(pki), Limits(connect_timeout=0.2)
        )
        with pytest.raises(TlsError) as caught:
            await open_pump(Lines(), wanted)
        assert caught.value.code == "timed_out"
        assert caught.value.temporary


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_a_server_that_hangs_up_during_the_handshake_is_temporary(pki: Pki, how: Any) -> None:
    async with ScriptedServer([Close(how)]) as server:
        with pytest.raises(TlsError, match="closed the connection") as caught:
            await open_pump(Lines(), target(server, trusting(pki)))
        assert caught.value.temporary


async def test_plain_text_inside_tls_is_a_lost_connection_and_not_believed(pki: Pki) -> None:
    script = [*ECHO[:1], Expect(rb"the secret"), Send(b"554 Pay here: evil.test\r\n", clear=True)]
    async with ScriptedServer([*script, Silence()], tls=pki.server_context()) as server:
        pump = await open_pump(Lines(), target(server, trusting(pki)))
        assert await pump.next() == [b"* OK ready"]
        pump.write(b"the secret\r\n")
        with pytest.raises(WireError, match="broke the TLS session off") as caught:
            await pump.next()
        assert (caught.value.code, caught.value.temporary) == ("connection_lost", True)
        assert caught.value.said == "* OK ready"
        assert "evil" not in repr(caught.value.as_json())


async def test_a_client_certificate_is_shown_to_who_wants_one(pki: Pki, tmp_path: Path) -> None:
    context = pki.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    certificate, pair = common_name_only(tmp_path)
    context.load_verify_locations(cadata=certificate)
    mine = ClientCertificate(certificate, Secret(pair.read_bytes()))
    async with ScriptedServer(ECHO, tls=context) as server:
        await (await open_and_talk(server, trusting(pki, client_certificate=mine))).close()
        with pytest.raises(PostroomError) as caught:
            await open_and_talk(server, trusting(pki))
        assert caught.value.code == "tls_failed"
        assert "client_certificate" in caught.value.hint
        assert not caught.value.temporary


async def test_real_servers_are_believed_or_refused_by_their_certificates(ground: Ground) -> None:
    dovecot = ground.dovecot
    tls = Tls(trust=(ground.pki.ca.read_text(),))
    ports = {dovecot.imaps: b"* OK", dovecot.pop3s: b"+OK", ground.postfix.smtps: b"220 "}
    for port, greeting in ports.items():
        pump = await open_pump(Lines(), WireTarget(Route("localhost", port), "tls", tls, LIMITS))
        assert (await pump.next())[0].startswith(greeting)
        await pump.close()
    for instance, code in (
        (dovecot.wronghost, "certificate_name"),
        (dovecot.expired, "certificate_expired"),
        (dovecot.selfsigned, "certificate_untrusted"),
    ):
        route = Route(instance.host, instance.imaps)
        with pytest.raises(TlsError) as caught:
            await open_pump(Lines(), WireTarget(route, "tls", tls, LIMITS))
        assert caught.value.code == code
        assert (await look(route))[0].sha256


# --------------------------------------------------------------------------- looking only


@pytest.mark.parametrize("variant", ["good", "wronghost", "expired", "selfsigned"])
async def test_a_look_shows_any_certificate_and_sends_nothing(pki: Pki, variant: str) -> None:
    async with ScriptedServer(ECHO, tls=pki.server_context(variant)) as server:
        facts = await look(Route(server.host, server.port))
        der = ssl.PEM_cert_to_DER_cert(pki.pairs[variant].cert.read_text())
        assert ssl.PEM_cert_to_DER_cert(facts[0].pem) == der
        assert facts[0].self_signed is (variant == "selfsigned")
        assert facts[0].not_after.tzinfo is dt.UTC
        assert server.transcript.to_server == b""


async def test_a_look_at_the_whole_chain(pki: Pki, tmp_path: Path) -> None:
    both = tmp_path / "chain.pem"
    both.write_text(pki.pairs["good"].cert.read_text() + pki.ca.read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both, pki.pairs["good"].key)
    async with ScriptedServer(ECHO, tls=context) as server:
        leaf, ca = await look(Route(server.host, server.port))
        assert ca.self_signed
        assert leaf.issuer == ca.subject


async def test_a_look_behind_starttls_ends_the_connection(pki: Pki) -> None:
    script = [Expect(rb"STARTTLS"), Send(b"OK\r\n"), StartTls(), *ECHO]
    context = pki.server_context("expired")
    async with ScriptedServer(script, tls=context, starttls=True) as server:
        pump = await open_pump(Lines(), target(server, Tls(look_only=True), "starttls"))
        pump.write(b"STARTTLS\r\n")
        with pytest.raises(TlsError, match="looked at") as caught:
            await pump.start_tls((await pump.next())[-1])
        assert "localhost" in caught.value.facts["certificate"]["names"]
        assert caught.value.facts["chain"] == [pki.pairs["expired"].cert.read_text()]
        pump.write(b"A1 LOGIN user secret\r\n")
        with pytest.raises(WireError):
            await pump.next()
        await asyncio.sleep(0.05)
        assert server.transcript.to_server == b"STARTTLS\r\n"


async def test_a_look_at_a_plain_port_says_so() -> None:
    async with ScriptedServer([Send(b"* OK plain\r\n"), Silence()]) as server:
        with pytest.raises(TlsError, match="did not answer in TLS"):
            await look(Route(server.host, server.port))
    async with ScriptedServer([Silence()]) as server:
        with pytest.raises(TlsError, match="did not finish"):
            await look(Route(server.host, server.port), timeout=0.2)


def common_name_only(folder: Path) -> tuple[str, Path]:
    """A certificate that says localhost in its common name alone; and a file with its key too."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(1))
        .not_valid_after(now + dt.timedelta(1))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    pem = folder / "cn.pem"
    pem.write_bytes(
        certificate
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate.decode(), pem
