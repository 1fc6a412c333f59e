"""``postroom explain "<any error>"``: meaning, cause and fix of what any program said."""

from __future__ import annotations

import contextlib
import io
import json

import pytest

import postroom
from postroom.cli import main
from postroom.errors import NotThere
from postroom.oauth.refusals import CAUSES
from postroom.operations.explaining import explain, refusals

PASTED = [
    ("534-5.7.9 Application-specific password required. For more information, go to ...",
     "534 5.7.9", "apppasswords"),
    ("smtplib.SMTPAuthenticationError: (535, b'5.7.8 Username and Password not accepted')",
     "535 5.7.8", "apppasswords"),
    ("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
     "535 5.7.139 (tenant)", "Set-CASMailbox"),
    ("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.",
     "535 5.7.139 (mailbox)", "Set-CASMailbox"),
    ("535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.",
     "535 5.7.139 (password)", "OAuth"),
    ("550 5.7.30 Basic authentication is not supported for Client Submission.",
     "550 5.7.30", "OAuth"),
    ("NO [ALERT] Application-specific password required (Failure)", "534 5.7.9", "OAuth"),
    ("AADSTS7000215: Invalid client secret provided. Trace ID: 1 Correlation ID: 2",
     "AADSTS7000215", "Value"),
    ("invalid_grant: Token has been expired or revoked.",
     "invalid_grant: Token has been expired or revoked.", "Sign in again"),
    ("admin_policy_enforced", "admin_policy_enforced", "administrator"),
    ("host said: 550 5.1.1 <ann@example.com>: Recipient address rejected", "550 5.1.1", "address"),
    ("Diagnostic-Code: smtp; 5.7.26 This mail is unauthenticated", "5.7.26", "SPF"),
    ("451 4.7.1 Greylisting in action, please come back later", "451 4.7.1", "sender"),
    ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate",
     "certificate_untrusted", "fingerprint"),
    ("socket.gaierror: [Errno -2] Name or service not known", "host_unknown", "host"),
    ("Error: connect ECONNREFUSED 127.0.0.1:25", "connect_refused", "port"),
    ('* NO [AUTHENTICATIONFAILED] Authentication failed.', "sign_in_failed", "store them anew"),
    ("A01 NO AUTHENTICATE failed.", "sign_in_failed", "store them anew"),
    ("-ERR Authentication failure", "sign_in_failed", "store them anew"),
    ("AADSTS28000: Provided value for the input parameter scope is not valid because it contains more "
     "than one resource.", "AADSTS28000", "two connections"),
    ("AADSTS28003", "AADSTS28003", "scopes"),
    ('{"error": {"code": "ErrorAccessDenied", "message": "Access is denied. Check credentials."}}',
     "ErrorAccessDenied", "Mail.ReadWrite"),
    ("ApplicationThrottled", "ApplicationThrottled", "tried again by itself"),
    ("MailboxNotEnabledForRESTAPI", "MailboxNotEnabledForRESTAPI", "IMAP and SMTP"),
    ('{"v": 1, "code": "queue_full", "error": "The queue is full."}', "queue_full", "outbox"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "key", "fix"), PASTED)
def test_a_pasted_error_gets_its_meaning_and_what_to_do(
    text: str, key: str, fix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", text]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{key}: ")
    assert fix in told.partition("What to do")[2].partition("It also says")[0]
    assert "`" not in told
    assert main(["explain", text, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)["items"][0]
    assert (first["key"], first["again"] in ("yes", "no", "sometimes")) == (key, True)
    assert postroom.explain(text)[0].key == key


def test_several_meanings_come_best_first(capsys: pytest.CaptureFixture[str]) -> None:
    text = "invalid_client: AADSTS7000222: The provided client secret keys are expired."
    assert main(["explain", text]) == 0
    told = capsys.readouterr().out
    assert (
        told.index("AADSTS7000222: ") < told.index("It also says:") < told.index("invalid_client: ")
    )


def test_what_may_pass_says_so() -> None:
    assert explain("421 4.7.0 Try again later, closing connection")[0].again == "yes"
    assert explain("454 4.7.0 Too many login attempts, please try again later")[0].again == "yes"
    assert explain("550 5.7.1 Relaying denied")[0].again == "no"


@pytest.mark.parametrize("text", ["it broke somehow", "AADSTS99999999", "HTTP 200, 12.4.5.6 fine"])
def test_an_unknown_text_says_what_to_look_for(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", text]) == 2
    told = capsys.readouterr().err
    assert "Nobody here knows this error." in told
    assert "Paste the server's own line" in told


def test_an_error_comes_by_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "sys.stdin", io.StringIO("-ERR [AUTH] Application-specific password required\n")
    )
    assert main(["explain", "-"]) == 0
    assert capsys.readouterr().out.startswith("534 5.7.9: ")


def test_every_cause_belongs_to_a_meaning() -> None:
    keys = {each.key for table in refusals() for each in table.rows}
    assert CAUSES.keys() - keys == set()
    assert all(text[0].isupper() and text.endswith((".", ")")) for text in CAUSES.values())


def test_no_text_ends_in_anything_but_an_answer_or_not_there() -> None:
    for text in ("", " ", "5.7", "4" * 30_000, "\x00\x1b[31m", "[[[", "535 " * 5000):
        with contextlib.suppress(NotThere):
            assert explain(text)
