"""The demo's servers, met by clients that others wrote: imapclient and smtplib."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import LoginError

from postroom.cli.demo.mailbox import fill
from postroom.cli.demo.servers import DemoServers, check_extra, demo_servers
from postroom.errors import Refused, RoomError

SRC = Path(__file__).parents[3] / "src"
USER = "orders@demo.example"
PASSWORD = "correct horse 2525"


def trust(servers: DemoServers) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=servers.ca_pem)


@contextlib.contextmanager
def imap(servers: DemoServers, password: str = PASSWORD) -> Iterator[IMAPClient]:
    client = IMAPClient(servers.address, servers.imap_port, ssl_context=trust(servers), timeout=20)
    with client:
        client.login(USER, password)
        yield client


@contextlib.contextmanager
def smtp(servers: DemoServers, password: str | None = PASSWORD) -> Iterator[smtplib.SMTP_SSL]:
    with smtplib.SMTP_SSL(
        servers.address, servers.smtp_port, context=trust(servers), timeout=20
    ) as client:
        if password is not None:
            client.login(USER, password)
        yield client


def send(client: smtplib.SMTP, subject: str, to: str = USER) -> None:
    client.sendmail(USER, [to], f"Subject: {subject}\r\n\r\n.\r\n..two dots\r\n")


def gone(pid: int, within: float = 3.0) -> bool:
    until = time.monotonic() + within
    while time.monotonic() < until:
        state = Path(f"/proc/{pid}/stat")
        try:
            if sys.platform == "linux" and state.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[DemoServers]:
    fill(tmp_path / "mailbox", 12)
    async with demo_servers(tmp_path, USER, PASSWORD) as running:
        yield running


async def run(work: Callable[[], None]) -> None:
    await asyncio.to_thread(work)


async def test_all_200_are_seen_by_date_and_byte_for_byte(tmp_path: Path) -> None:
    facts = fill(tmp_path / "mailbox")
    async with demo_servers(tmp_path, USER, PASSWORD) as running:

        def look() -> None:
            with imap(running) as client:
                client.normalise_times = False
                assert client.select_folder("INBOX")[b"EXISTS"] == facts.count
                uids = client.search()
                assert uids == list(range(1, 201))
                got = client.fetch(uids, ["BODY.PEEK[]", "RFC822.SIZE", "INTERNALDATE", "FLAGS"])
            paths = {path.name.split(":")[0]: path for path in tmp_path.glob("mailbox/[cn]*/*")}
            files = [paths[name].read_bytes() for name in sorted(paths)]
            assert [got[uid][b"BODY[]"] for uid in uids] == files
            assert [got[uid][b"RFC822.SIZE"] for uid in uids] == [len(data) for data in files]
            dates = [got[uid][b"INTERNALDATE"] for uid in uids]
            assert [date.timestamp() for date in dates] == [
                paths[name].stat().st_mtime for name in sorted(paths)
            ]
            unseen = [uid for uid in uids if b"\\Seen" not in got[uid][b"FLAGS"]]
            assert len(unseen) == facts.unseen

        await run(look)


async def test_a_wrong_password_is_refused_by_both(servers: DemoServers) -> None:
    def knock() -> None:
        with pytest.raises(LoginError, match="AUTHENTICATIONFAILED"), imap(servers, "wrong"):
            pass
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused, smtp(servers, "wrong"):
            pass
        assert refused.value.smtp_code == 535

    await run(knock)


async def test_a_message_sent_is_in_the_mailbox_at_once(servers: DemoServers) -> None:
    def work() -> None:
        with imap(servers) as reader, smtp(servers) as sender:
            before = reader.select_folder("INBOX")[b"EXISTS"]
            send(sender, "round trip", to="anyone@demo.example")
            _, untagged = reader.noop()
            assert (before + 1, b"EXISTS") in untagged
            (uid,) = reader.search(["SUBJECT", "round trip"])
            data = reader.fetch([uid], ["BODY.PEEK[]"])[uid][b"BODY[]"]
            assert data.startswith(b"Return-Path: <orders@demo.example>\r\nReceived: ")
            assert data.endswith(b"Subject: round trip\r\n\r\n.\r\n..two dots\r\n")

    await run(work)


async def test_a_client_in_idle_hears_of_a_message(servers: DemoServers) -> None:
    def work() -> None:
        with imap(servers) as reader, smtp(servers) as sender:
            reader.select_folder("INBOX")
            reader.idle()
            send(sender, "wake up")
            # line by line: pymap writes a response in pieces, which idle_check() takes for lines
            lines = reader.socket().makefile("rb")
            assert lines.readline() == b"* 13 EXISTS\r\n"
            assert lines.readline() == b"* 13 FETCH (FLAGS ())\r\n"
            reader.idle_done()

    await run(work)


async def test_smtp_wants_a_sign_in_and_its_own_domain(servers: DemoServers) -> None:
    def work() -> None:
        with smtp(servers, None) as stranger, pytest.raises(smtplib.SMTPSenderRefused) as refused:
            send(stranger, "no sign-in")
        assert refused.value.smtp_code == 530
        with smtp(servers) as sender, pytest.raises(smtplib.SMTPRecipientsRefused) as relay:
            send(sender, "relay", to="someone@example.com")
        assert relay.value.recipients["someone@example.com"][0] == 550

    await run(work)


async def test_the_certificate_is_good_for_those_who_trust_its_authority(
    servers: DemoServers,
) -> None:
    def work() -> None:
        for port in (servers.imap_port, servers.smtp_port):
            for host in ("127.0.0.1", "localhost"):
                with (
                    socket.create_connection((servers.address, port), 10) as plain,
                    trust(servers).wrap_socket(plain, server_hostname=host) as encrypted,
                ):
                    assert encrypted.version() == "TLSv1.3"
            with (
                socket.create_connection((servers.address, port), 10) as plain,
                pytest.raises(ssl.SSLCertVerificationError, match=r"self-signed|unable to get"),
            ):
                ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")

    await run(work)


async def test_the_password_lies_nowhere(servers: DemoServers) -> None:
    def work() -> None:
        with imap(servers), smtp(servers) as sender:
            send(sender, "so that there is something to log")

    await run(work)
    places = [path for path in servers.directory.rglob("*") if path.is_file()]
    if sys.platform == "linux":
        places += [Path(f"/proc/{servers.pid}/{name}") for name in ("cmdline", "environ")]
    assert [path for path in places if PASSWORD.encode() in path.read_bytes()] == []
    key = servers.directory / "tls" / "server.key"
    assert key.stat().st_mode & 0o077 == 0


async def test_nothing_is_left_when_the_block_ends(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="mine"):
        async with demo_servers(tmp_path, USER, PASSWORD) as running:
            raise RuntimeError("mine")
    assert gone(running.pid)
    for port in (running.imap_port, running.smtp_port):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((running.address, port), 5)
    assert list(tmp_path.rglob("*.lock")) == [tmp_path / "servers.lock"]


async def test_a_client_in_idle_does_not_hold_the_end_back(tmp_path: Path) -> None:
    async with demo_servers(tmp_path, USER, PASSWORD) as running:

        def idle() -> None:
            client = IMAPClient(running.address, running.imap_port, ssl_context=trust(running))
            client.login(USER, PASSWORD)
            client.select_folder("INBOX")
            client.idle()

        await run(idle)
    assert gone(running.pid, 0.5)


PARENT = """
import asyncio, pathlib, sys
from postroom.cli.demo.servers import demo_servers
async def main():
    async with demo_servers(pathlib.Path(sys.argv[1]), "a@demo.example", "x") as running:
        print(running.pid, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_is_left_when_the_parent_is_ended(tmp_path: Path, how: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(SRC)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        try:
            pid = int(parent.stdout.readline())
            os.kill(pid, 0)
            # as a terminal does it: to the whole foreground group
            os.killpg(parent.pid, how)
            parent.wait(10)
        finally:
            parent.kill()
    assert gone(pid)


async def test_nothing_reaches_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    async with demo_servers(tmp_path, USER, PASSWORD) as running:

        def break_off() -> None:
            plain = socket.create_connection((running.address, running.imap_port), 5)
            plain.sendall(b"no TLS at all\r\n")
            plain.close()
            with smtp(running) as sender:
                send(sender, "logged")

        await run(break_off)
        assert "accepted" in running.log.read_text()
    assert capfd.readouterr() == ("", "")


async def test_a_second_run_finds_all_as_it_was(tmp_path: Path) -> None:
    fill(tmp_path / "mailbox", 12)

    def use(running: DemoServers, expected: int) -> int:
        with imap(running) as client, smtp(running) as sender:
            told = client.select_folder("INBOX")
            assert told[b"EXISTS"] == expected
            send(sender, "once more")
            return int(told[b"UIDVALIDITY"])

    async with demo_servers(tmp_path, USER, PASSWORD) as first:
        validity = await asyncio.to_thread(use, first, 12)
    async with demo_servers(tmp_path, USER, PASSWORD) as second:
        assert await asyncio.to_thread(use, second, 13) == validity
    assert (second.imap_port, second.smtp_port) == (first.imap_port, first.smtp_port)
    assert second.ca_pem == first.ca_pem
    fill(tmp_path / "mailbox", 12)
    async with demo_servers(tmp_path, USER, "another password") as third:
        with pytest.raises(LoginError):
            await asyncio.to_thread(use, third, 12)


async def test_a_port_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    async with demo_servers(tmp_path, USER, PASSWORD) as first:
        pass
    with socket.create_server((first.address, first.imap_port)):
        async with demo_servers(tmp_path, USER, PASSWORD) as second:
            assert second.imap_port != first.imap_port
            assert second.smtp_port == first.smtp_port


async def test_two_demos_do_not_share_a_directory(tmp_path: Path) -> None:
    async with demo_servers(tmp_path, USER, PASSWORD) as first:
        with pytest.raises(Refused, match="Another demo is running"):
            async with demo_servers(tmp_path, USER, PASSWORD):
                pass
        os.kill(first.pid, 0)


async def test_locks_of_killed_servers_do_not_stop_the_next(tmp_path: Path) -> None:
    fill(tmp_path / "mailbox", 12)
    for place in ("mailbox/dovecot-uidlist.lock", "pymap-etc-passwd.lock"):
        (tmp_path / place).touch()
    async with demo_servers(tmp_path, USER, PASSWORD) as running:

        def look() -> None:
            with imap(running) as client:
                assert client.select_folder("INBOX")[b"EXISTS"] == 12

        started = time.monotonic()
        await run(look)
        # pymap waits ten seconds for a lock before it gives up
        assert time.monotonic() - started < 5


async def test_servers_that_do_not_start_are_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "mailbox").write_text("a file where the Maildir should be")
    with pytest.raises(RoomError, match=r"did not start.*servers\.log") as failed:
        async with demo_servers(tmp_path, USER, PASSWORD):
            pass
    assert failed.value.exit_status == 78
    assert "NotADirectoryError" in (tmp_path / "servers.log").read_text()


def test_without_the_extra_the_command_to_type_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    check_extra()
    monkeypatch.setitem(sys.modules, "pymap", None)
    with pytest.raises(Refused) as refused:
        check_extra()
    assert refused.value.hint == "In the clone: make demo, or pip install '.[demo]'"
