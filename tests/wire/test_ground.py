"""The ground itself: real servers sign in, refuse, deliver, and leave nothing behind."""

from __future__ import annotations

import email
import email.policy
import poplib
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError, LoginError

from tests.ground import Ground, User, arrived, messages
from tests.ground.dovecot import Instance
from tests.ground.maildir import read

__all__: list[str] = []

HOST = "127.0.0.1"
BAD = {
    "wronghost": "not valid for",
    "expired": "has expired",
    "selfsigned": "self-signed",
}


def imap(ground: Ground, instance: Instance, security: str) -> IMAPClient:
    """A client of that instance, not signed in."""
    context = ground.pki.client_context()
    if security == "tls":
        return IMAPClient(instance.host, instance.imaps, ssl_context=context, timeout=10)
    client = IMAPClient(instance.host, instance.imap, ssl=False, timeout=10)
    if security == "starttls":
        client.starttls(context)
    return client


def pop3(ground: Ground, instance: Instance, security: str) -> poplib.POP3:
    """The same over POP3."""
    context = ground.pki.client_context()
    if security == "tls":
        return poplib.POP3_SSL(instance.host, instance.pop3s, context=context, timeout=10)
    client = poplib.POP3(instance.host, instance.pop3, timeout=10)
    if security == "starttls":
        client.stls(context)
    return client


def smtp(ground: Ground, port: int, security: str) -> smtplib.SMTP:
    """A client of a Postfix port, greeted and, with a security, under TLS."""
    context = ground.pki.client_context()
    client: smtplib.SMTP
    if security == "tls":
        client = smtplib.SMTP_SSL(HOST, port, context=context, timeout=10)
    else:
        client = smtplib.SMTP(HOST, port, timeout=10)
        if security == "starttls":
            client.starttls(context=context)
    client.ehlo()
    return client


def submission(ground: Ground, user: User) -> smtplib.SMTP:
    """Signed in on the submission port."""
    client = smtp(ground, ground.postfix.submission, "starttls")
    client.login(user.address, user.password)
    return client


# ------------------------------------------------------------------------------------ sign-in


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
def test_every_dovecot_port_signs_in(ground: Ground, fresh_user: User, security: str) -> None:
    ground.dovecot.fill(fresh_user, [messages.small(1)])
    with imap(ground, ground.dovecot.main, security) as client:
        client.login(fresh_user.address, fresh_user.password)
        assert client.select_folder("INBOX")[b"EXISTS"] == 1
    pop = pop3(ground, ground.dovecot.main, security)
    pop.user(fresh_user.address)
    pop.pass_(fresh_user.password)
    assert pop.stat()[0] == 1
    pop.quit()


@pytest.mark.parametrize(
    ("port", "security"), [("submission", "starttls"), ("smtps", "tls"), ("plain", "none")]
)
def test_every_submission_port_signs_in(
    ground: Ground, fresh_user: User, port: str, security: str
) -> None:
    with smtp(ground, getattr(ground.postfix, port), security) as client:
        assert client.login(fresh_user.address, fresh_user.password)[0] == 235


def test_a_password_may_hold_anything(ground: Ground) -> None:
    weird = ground.dovecot.users.weird
    with imap(ground, ground.dovecot.main, "tls") as client:
        client.plain_login(weird.address, weird.password)
    pop = pop3(ground, ground.dovecot.main, "tls")
    pop.encoding = "utf-8"
    pop.user(weird.address)
    assert pop.pass_(weird.password).startswith(b"+OK")
    pop.quit()


def test_wrong_password_and_locked_user_are_refused(ground: Ground, fresh_user: User) -> None:
    locked = ground.dovecot.users.locked
    with imap(ground, ground.dovecot.main, "tls") as client:
        with pytest.raises(LoginError, match=r"AUTHENTICATIONFAILED|failed"):
            client.login(fresh_user.address, "wrong")
        with pytest.raises(LoginError):
            client.login(locked.address, locked.password)


def test_a_user_made_after_a_refusal_is_known_at_once(ground: Ground) -> None:
    with imap(ground, ground.dovecot.main, "none") as client:
        with pytest.raises(LoginError):
            client.login("latecomer@ground.test", "open sesame")
        late = ground.user("open sesame", name="latecomer")
        client.login(late.address, late.password)


# ------------------------------------------------------------------------------- certificates


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("variant", BAD)
def test_bad_certificates_fail_in_dovecot(ground: Ground, variant: str, security: str) -> None:
    instance = getattr(ground.dovecot, variant)
    for dial in (imap, pop3):
        with pytest.raises(ssl.SSLCertVerificationError, match=BAD[variant]):
            dial(ground, instance, security)


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("variant", BAD)
def test_bad_certificates_fail_in_postfix(ground: Ground, variant: str, security: str) -> None:
    name = "smtps" if security == "tls" else "submission"
    with pytest.raises(ssl.SSLCertVerificationError, match=BAD[variant]):
        smtp(ground, getattr(ground.postfix, f"{variant}_{name}"), security)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_the_good_certificate_names_every_address(ground: Ground, name: str) -> None:
    raw = socket.create_connection((HOST, ground.dovecot.imaps), timeout=10)
    with ground.pki.client_context().wrap_socket(raw, server_hostname=name) as shaken:
        assert shaken.recv(4) == b"* OK"


# ----------------------------------------------------------------------------- odd instances


def test_strict_hides_sign_in_until_tls(ground: Ground, fresh_user: User) -> None:
    with imap(ground, ground.dovecot.strict, "none") as client:
        assert b"LOGINDISABLED" in client.capabilities()
        with pytest.raises(LoginError, match="PRIVACYREQUIRED"):
            client.login(fresh_user.address, fresh_user.password)
    with imap(ground, ground.dovecot.strict, "starttls") as client:
        client.login(fresh_user.address, fresh_user.password)


def test_bare_announces_no_extension(ground: Ground, fresh_user: User) -> None:
    with imap(ground, ground.dovecot.bare, "tls") as client:
        client.login(fresh_user.address, fresh_user.password)
        assert not {b"IDLE", b"UIDPLUS", b"MOVE", b"CONDSTORE"} & set(client.capabilities())
    with imap(ground, ground.dovecot.main, "tls") as client:
        client.login(fresh_user.address, fresh_user.password)
        assert {b"IDLE", b"UIDPLUS", b"MOVE", b"CONDSTORE"} <= set(client.capabilities())


def test_quota_refuses_what_does_not_fit(ground: Ground) -> None:
    user = ground.dovecot.user(quota_kib=20)
    with imap(ground, ground.dovecot.main, "tls") as client:
        client.login(user.address, user.password)
        with pytest.raises(IMAPClientError, match="OVERQUOTA"):
            client.append("INBOX", b"Subject: big\r\n\r\n" + b"x" * 50_000)


# ----------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("recipient", "code", "status"),
    [
        ("retry", 450, b"4.2.0"),
        ("full", 452, b"4.2.2"),
        ("refused", 550, b"5.1.1"),
        ("unknown", 550, b"5.1.1"),
        ("policy", 554, b"5.7.1"),
        ("alice", 250, b"2.1.5"),
    ],
)
def test_recipients_answer_by_name(
    ground: Ground, fresh_user: User, recipient: str, code: int, status: bytes
) -> None:
    with submission(ground, fresh_user) as client:
        client.mail(fresh_user.address)
        reply, text = client.rcpt(f"{recipient}@ground.test")
        assert (reply, text.split()[0]) == (code, status)


def test_too_large_a_message_is_refused_with_552(ground: Ground, fresh_user: User) -> None:
    body = b"Subject: large\r\n\r\n" + b"0123456789abcde\r\n" * 70_000
    with submission(ground, fresh_user) as client:
        assert client.mail(fresh_user.address, [f"size={len(body)}"])[0] == 552
        client.rset()
        client.mail(fresh_user.address)
        client.rcpt(fresh_user.address)
        assert client.data(body)[0] == 552
    with smtp(ground, ground.postfix.big, "none") as client:
        client.sendmail(fresh_user.address, [fresh_user.address], body)
    assert len(arrived(fresh_user.maildir)[0]) > 1_000_000


def test_the_content_is_refused_after_data(ground: Ground, fresh_user: User) -> None:
    with submission(ground, fresh_user) as client:
        client.mail(fresh_user.address)
        client.rcpt(fresh_user.address)
        assert client.data(b"X-Ground: refuse\r\n\r\nno\r\n")[0] == 550


def test_submission_wants_tls_then_sign_in_then_the_own_address(
    ground: Ground, fresh_user: User
) -> None:
    with smtp(ground, ground.postfix.submission, "none") as client:
        assert not client.has_extn("auth")
        assert client.mail(fresh_user.address)[0] == 530
    with smtp(ground, ground.postfix.submission, "starttls") as client:
        client.mail(fresh_user.address)
        assert client.rcpt(fresh_user.address)[0] == 554
    with submission(ground, fresh_user) as client:
        client.mail("alice@ground.test")
        assert client.rcpt(fresh_user.address)[0] == 553


def test_the_relay_takes_mail_for_its_own_domain_only(ground: Ground, fresh_user: User) -> None:
    with smtp(ground, ground.postfix.relay, "starttls") as client:
        client.mail("somebody@partner.example")
        assert client.rcpt(fresh_user.address)[0] == 250
        assert client.rcpt("else@partner.example")[0] == 554


# ----------------------------------------------------------------------------------- delivery


@pytest.mark.parametrize(
    ("port", "security"), [("submission", "starttls"), ("smtps", "tls"), ("plain", "none")]
)
def test_a_submitted_message_arrives(
    ground: Ground, fresh_user: User, port: str, security: str
) -> None:
    to = ground.user()
    with smtp(ground, getattr(ground.postfix, port), security) as client:
        client.login(fresh_user.address, fresh_user.password)
        raw = messages.sample("attachments").raw
        client.sendmail(fresh_user.address, [to.address], raw)
    (stored,) = arrived(to.maildir)
    assert raw.split(b"\r\n\r\n", 1)[1].replace(b"\r\n", b"\n").strip() in stored
    with imap(ground, ground.dovecot.main, "tls") as client:
        client.login(to.address, to.password)
        assert client.select_folder("INBOX")[b"EXISTS"] == 1


def test_a_failed_delivery_comes_back_as_a_dsn(ground: Ground, fresh_user: User) -> None:
    with submission(ground, fresh_user) as client:
        client.sendmail(fresh_user.address, ["nobody@bounce.test"], "Subject: x\r\n\r\ny\r\n")
    (stored,) = arrived(fresh_user.maildir)
    assert b"report-type=delivery-status" in stored


def test_filled_folders_are_what_imap_and_pop3_show(ground: Ground, fresh_user: User) -> None:
    raw = [messages.small(n) for n in range(300)]
    ground.dovecot.fill(fresh_user, raw[:200])
    ground.dovecot.fill(fresh_user, raw[200:])
    ground.dovecot.fill(fresh_user, raw[:3], "Archive/März & Co", flags="S")
    with imap(ground, ground.dovecot.main, "tls") as client:
        client.login(fresh_user.address, fresh_user.password)
        assert client.select_folder("Archive/März & Co")[b"EXISTS"] == 3
        assert client.search("SEEN") == [1, 2, 3]
        assert client.select_folder("INBOX")[b"EXISTS"] == 300
        found = client.fetch(client.search(), ["BODY.PEEK[]", "RFC822.SIZE"])
        assert [found[uid][b"BODY[]"] for uid in sorted(found)] == raw
        assert [found[uid][b"RFC822.SIZE"] for uid in sorted(found)] == [len(m) for m in raw]
    pop = pop3(ground, ground.dovecot.main, "tls")
    pop.user(fresh_user.address)
    pop.pass_(fresh_user.password)
    assert b"\r\n".join(pop.retr(300)[1]) + b"\r\n" == raw[299]
    pop.quit()
    assert read(fresh_user.maildir) == raw


# ----------------------------------------------------------------------------------- messages


@pytest.mark.parametrize("kind", messages.KINDS)
def test_a_sample_says_the_truth_about_itself(kind: str) -> None:
    sample = messages.sample(kind, 7)
    assert sample == messages.sample(kind, 7)
    assert sample.raw != messages.sample(kind, 8).raw
    parsed = email.message_from_bytes(sample.raw, policy=email.policy.default)
    if kind != "malformed":
        assert parsed["subject"] == sample.subject
    body = parsed.get_body(("plain",))
    if sample.text is not None and kind != "no-charset":
        assert body is not None
        assert body.get_content().replace("\r\n", "\n").removesuffix("\n") == sample.text
    files = [p for p in parsed.iter_attachments() if p.get_content_type() != "message/rfc822"]
    found = tuple((p.get_filename(), p.get_payload(decode=True)) for p in files)
    if kind != "alternative":
        assert found == sample.files


def test_small_and_large_have_the_promised_sizes() -> None:
    assert all(2400 <= len(messages.small(n)) <= 2600 for n in range(200))
    large = messages.large(1_000_000)
    assert abs(len(large.raw) - 1_000_000) < 5_000
    assert list(messages.mixed(50, seed=3)) == list(messages.mixed(50, seed=3))


# -------------------------------------------------------------------------------------- ending

_CHILD = """
from tests.ground import Ground
ground = Ground()
print(ground.folder, ground.dovecot.imap, ground.postfix.relay, flush=True)
input()
ground.stop()
"""


def _gone(folder: Path, ports: list[int]) -> bool:
    def refused(port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, port)) != 0

    return not folder.exists() and all(refused(port) for port in ports)


@pytest.mark.parametrize(
    "end",
    [
        lambda child: child.communicate(b"\n"),
        lambda child: child.send_signal(signal.SIGINT),
        lambda child: child.kill(),
    ],
    ids=["stop", "ctrl-c", "kill -9"],
)
def test_nothing_outlives_the_tests(
    ground: Ground, end: Callable[[subprocess.Popen[bytes]], object]
) -> None:
    assert ground.postfix  # skips where a child could not start it either
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with child:
        assert child.stdout is not None
        folder, *ports = child.stdout.readline().split()
        numbers = [int(port) for port in ports]
        assert not _gone(Path(folder.decode()), numbers)
        end(child)
        child.wait(10)
    deadline = time.monotonic() + 5
    while not _gone(Path(folder.decode()), numbers) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert _gone(Path(folder.decode()), numbers)
