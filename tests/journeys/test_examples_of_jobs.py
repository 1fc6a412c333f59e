"""The examples of jobs with steps run as they are: a second room file leads them to real servers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postroom.cli import main
from postroom.net import tls
from tests.ground import Ground, User, arrived
from tests.ground.maildir import read
from tests.unit.house.tree import ROOT

MAILER = """\
postroom: 1
credentials:
  - {{name: ca, type: trusted_certificate, fields: {{certificate: {{from_file: "{ca}"}}}}}}
  - name: mailer
    fields: {{host: 127.0.0.1, port: {port}, email_address: "{user}", user_name: "{user}", trust: ca}}
"""
OFFICE = """\
postroom: 1
credentials:
  - name: office
    fields:
      tenant_id: null
      authority: "{authority}"
      client_id: "{client}"
      graph_url: "{graph}"
      mailbox: "{user}"
      mailboxes: ["{user}"]
"""
INVOICE = (
    b"From: Ann <%b>\r\nTo: invoices@example.com\r\nSubject: Invoice %d\r\n"
    b"Message-ID: <%d@partner.test>\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n'
    b"Please pay.\r\n--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; "
    b'filename="invoice-%d.pdf"\r\n\r\n%%PDF %d\r\n--b--\r\n'
)


class Example:
    """A room of its own, made of one example that lies in a directory of its own."""

    def __init__(self, place: Path, name: str, led: str) -> None:
        self.place = place
        shutil.copy(ROOT / "examples" / name, place)
        (place / "led.yaml").write_text(led)
        self._where = (
            "--room",
            str(place / "room"),
            "--kek",
            f"file:{place / 'keys' / 'room.key'}",
        )
        assert self("init") == 0
        assert self("apply", str(place / name), str(place / "led.yaml"), "--yes") == 0

    def __call__(self, *words: str) -> int:
        return main([*words, *self._where])


def test_the_report_goes_out_with_a_stored_credential(
    ground: Ground,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sender, reader = ground.user(), ground.user()
    monkeypatch.setenv("MAILER_PASSWORD", sender.password)
    led = MAILER.format(ca=ground.pki.ca, port=ground.postfix.submission, user=sender.address)
    example = Example(tmp_path, "nightly-report.yaml", led)
    to = ("-p", f"to={reader.address}")
    capsys.readouterr()
    assert example("job", "run", "nightly-report", *to, "--dry-run") == 0
    assert f"to {reader.address} (mailer)" in capsys.readouterr().out
    # the file is not there: nothing goes out, and the run says why
    assert example("job", "run", "nightly-report", *to) == 1
    assert "steps.0.send-email: attachments: there is no file" in capsys.readouterr().out
    (tmp_path / "report.csv").write_text("day,orders\n1,42\n")
    assert example("job", "run", "nightly-report", *to) == 0
    assert example("outbox", "drain") == 0
    [got] = arrived(reader.maildir)
    assert b"Subject: Report of 20" in got
    assert f"From: {sender.address}".encode() in got
    assert b"report.csv" in got
    assert len(read(reader.maildir)) == 1


@pytest.fixture
def system_trusts(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The system's authorities are the ground's: an msgraph record names none."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ground.pki.ca))
    tls._cached_context.cache_clear()
    yield
    tls._cached_context.cache_clear()


def invoices(ground: Ground, user: User, *senders: bytes) -> None:
    contents = [INVOICE % (sender, at, at, at, at) for at, sender in enumerate(senders)]
    ground.dovecot.fill(user, contents, "Invoices")


def test_invoices_are_saved_by_sender_and_moved(
    ground: Ground,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    system_trusts: None,
) -> None:
    """T40: a sender that looks like a path stays below the directory."""
    user, graph = ground.user(), ground.oauth_graph
    graph.mend()
    client = ground.oauth.client(mailbox=user.address)
    monkeypatch.setenv("M365_SECRET", client.secret)
    invoices(ground, user, b"ann@partner.test", b"bob@partner.test", b'"../../x"@partner.test')
    led = OFFICE.format(
        authority=ground.oauth.issuer, client=client.id, graph=graph.url, user=user.address
    )
    example = Example(tmp_path, "invoices.yaml", led)
    assert example("job", "run", "invoices") == 0
    saved = sorted(path.relative_to(tmp_path) for path in (tmp_path / "invoices").rglob("*.pdf"))
    assert len(saved) == 3
    assert Path("invoices/ann@partner.test/invoice-0.pdf") in saved
    assert {len(path.parts) for path in saved} == {3}
    assert len(read(user.maildir, "Invoices/Done")) == 3
    assert read(user.maildir, "Invoices") == []
    capsys.readouterr()
    assert example("job", "run", "invoices", "--json") == 0
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert shown["state"] == "succeeded"
    assert shown["result"]["steps"]["saved"] == {"count": 0, "failed": 0, "errors": []}
    assert len(list((tmp_path / "invoices").rglob("*.pdf"))) == 3
