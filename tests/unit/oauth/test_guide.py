"""The guide: which steps and values each flow has, and scripts that a shell reads as they are meant."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
from typing import Any

import pytest

from postroom.errors import InvalidValue
from postroom.oauth import guide as data
from postroom.oauth.guide import FLOWS, Facts, guide
from postroom.oauth.guide_scripts import script
from postroom.oauth.scopes import SignInFlow

__all__: list[str] = []

CLIENT: SignInFlow = "oauth_client_credentials"
DEVICE: SignInFlow = "oauth_device_flow"
CODE: SignInFlow = "oauth_authorization_code"
PAGE = "https://mail.example.com/oauth/callback"
WIRES = ("imap", "pop3", "smtp")


def copied(flow: SignInFlow, **facts: Any) -> list[tuple[str, str]]:
    steps = guide("microsoft", flow, Facts(**facts))
    return [(value.name, value.text) for step in steps for value in step.values]


@pytest.mark.parametrize(
    ("provider", "flow"), [(name, flow) for name, flows in FLOWS.items() for flow in flows]
)
@pytest.mark.parametrize("more", [{}, {"page": PAGE}, {"wires": WIRES, "mailboxes": ("a@x.org",)}])
def test_every_step_says_who_where_and_what(provider: Any, flow: Any, more: dict[str, Any]) -> None:
    steps = guide(provider, flow, Facts(**more))
    assert len(steps) >= 3
    for step in steps:
        assert step.title
        assert step.where
        assert step.who
        assert re.fullmatch(r"[A-Z].*\.", step.do)
        assert all(value.name and value.text for value in step.values)
    assert len({step.title for step in steps}) == len(steps)


def test_the_guide_has_its_date_and_its_sources() -> None:
    assert dt.date.fromisoformat(data.SEEN) <= dt.date(2026, 11, 29)
    assert all(source.startswith("https://") for source in data.SOURCES)


@pytest.mark.parametrize(
    ("flow", "facts", "wanted", "unwanted"),
    [
        (CLIENT, {}, [("Redirect URI", "none"), ("Application permissions", "Mail.Send"),
                      ("Button", "Grant admin consent"), ("Expires", "24 months at most"),
                      ("Copy", "Value")], ["Allow public client flows"]),
        (CLIENT, {"certificate": True}, [("File", "the .cer of the credential")], ["Expires"]),
        (CLIENT, {"mailboxes": ("a@x.org",)},
         [("Mailbox", "a@x.org"), ("Role", "Application Mail.Send")], ["Application permissions"]),
        (CLIENT, {"wires": WIRES, "mailboxes": ("a@x.org",)},
         [("Application permissions", "IMAP.AccessAsApp"),
          ("Application permissions", "POP.AccessAsApp"),
          ("Application permissions", "SMTP.SendAsApp"),
          ("Add-MailboxPermission -AccessRights", "FullAccess")], ["Role"]),
        (DEVICE, {}, [("Allow public client flows", "Yes"), ("Redirect URI", "none"),
                      ("Delegated permissions", "Mail.ReadWrite"),
                      ("Delegated permissions", "offline_access")], ["Expires", "Role"]),
        (CODE, {"shared": True},
         [("Platform", "Mobile and desktop applications"), ("Redirect URI", "http://localhost"),
          ("Delegated permissions", "Mail.ReadWrite.Shared"),
          ("Delegated permissions", "Mail.Send.Shared")], ["Expires"]),
        (CODE, {"page": PAGE}, [("Platform", "Web"), ("Redirect URI", PAGE), ("Copy", "Value")], []),
    ],
)  # fmt: skip
def test_the_values_to_copy(
    flow: SignInFlow, facts: dict[str, Any], wanted: list[tuple[str, str]], unwanted: list[str]
) -> None:
    values = copied(flow, **facts)
    assert not [each for each in wanted if each not in values]
    assert not {name for name, _ in values} & {*unwanted}
    assert ("Supported account types", "Accounts in this organizational directory only") in values
    assert ("Application (client) ID", "client_id") in values
    assert ("Directory (tenant) ID", "tenant_id") in values


def test_google_has_mail_by_authorization_code_only() -> None:
    with pytest.raises(InvalidValue, match="oauth_authorization_code only"):
        guide("google", DEVICE, Facts())
    values = [value for step in guide("google", CODE, Facts()) for value in step.values]
    assert ("Scope", "https://mail.google.com/", True) in values
    assert ("Application type", "Desktop app", False) in values  # chosen there, not typed


@pytest.mark.parametrize("wires", [(), ("",), ("imap", "fax")])
def test_wires_that_nobody_has_are_refused(wires: tuple[str, ...]) -> None:
    with pytest.raises(InvalidValue, match="wires"):
        guide("microsoft", CLIENT, Facts(wires=wires))


NASTY = [
    "it's",
    '"; rm -rf / #',
    "$(touch pwned)",
    "`touch pwned`",
    "a'; touch pwned; '",
    "\\",
    "’; Remove-Item x; ’",
    "%name%",
]


@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize(("flow", "page"), [(CLIENT, ""), (DEVICE, ""), (CODE, ""), (CODE, PAGE)])
def test_a_shell_gives_az_the_name_as_it_was_typed(
    name: str, flow: SignInFlow, page: str, tmp_path: Any
) -> None:
    """A name is a name, whatever it holds.  The shell is real; ``az`` prints the words it is given."""
    text = script("az", flow, Facts(app_name=name, page=page))
    told = (
        "az() { for word; do printf '[%s]' \"$word\" >&2; done; echo >&2; echo some-id; }\n"
        "sleep() { :; }\n"
    )
    done = subprocess.run(
        ["/bin/sh"],
        input=told + text,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    first = done.stderr.splitlines()[0]
    assert first.startswith(f"[ad][app][create][--display-name][{name}][--sign-in-audience]")
    assert not list(tmp_path.iterdir())
    assert "client_id: some-id" in done.stdout
    if page:
        assert f"[--web-redirect-uris][{PAGE}]" in first


def test_the_az_script_asks_for_exactly_the_permissions() -> None:
    text = script("az", CLIENT, Facts())
    assert "for permission in Mail.Read Mail.ReadWrite Mail.Send; do" in text
    assert "appRoles" in text
    assert "$id=Role" in text
    person = script("az", DEVICE, Facts(wires=("imap", "smtp")))
    assert "for permission in IMAP.AccessAsUser.All SMTP.Send offline_access; do" in person
    assert "oauth2PermissionScopes" in person
    assert "--is-fallback-public-client true" in person
    assert "credential reset" not in person


def test_what_az_cannot_do_is_said() -> None:
    for facts in (Facts(mailboxes=("a@x.org",)), Facts(wires=("imap",))):
        with pytest.raises(InvalidValue, match="use powershell"):
            script("az", CLIENT, facts)


def literals(text: str) -> list[str]:
    """The single-quoted literals of a PowerShell script, as it reads them."""
    found = re.findall(r"'((?:[^'‘’‚‛]|''|‘‘|’’|‚‚|‛‛)*)'", text)
    return [re.sub("([\u2018\u2019\u201a\u201b'])\\1", "\\1", each) for each in found]


@pytest.mark.parametrize("name", NASTY)
def test_powershell_is_given_the_name_as_a_literal(name: str) -> None:
    text = script("powershell", CLIENT, Facts(app_name=name))
    line = next(each for each in text.splitlines() if each.startswith("$name = "))
    assert literals(line) == [name]


def test_powershell_fences_the_app_to_the_mailboxes() -> None:
    text = script("powershell", CLIENT, Facts(mailboxes=("a@x.org", "o'neil@x.org")))
    assert "PrimarySmtpAddress -eq 'a@x.org' -or PrimarySmtpAddress -eq 'o''neil@x.org'" in text
    assert "'Application Mail.ReadWrite', 'Application Mail.Send'" in text
    assert "AppRoleAssignment -Service" not in text, "a grant in Entra would hold everywhere"
    assert "foreach ($mailbox in 'a@x.org', 'o''neil@x.org') {" in text
    wires = script("powershell", CLIENT, Facts(wires=WIRES, mailboxes=("a@x.org",)))
    assert "'IMAP.AccessAsApp', 'POP.AccessAsApp', 'SMTP.SendAsApp'" in wires
    assert "Add-MailboxPermission -Identity $mailbox" in wires
    assert "-AccessRights SendAs" in wires


@pytest.mark.parametrize(
    "facts",
    [
        {"app_name": ""},
        {"app_name": "a\nb"},
        {"app_name": "x" * 65},
        {"mailboxes": ("a@x.org' -or 1 -eq '1",)},
        {"mailboxes": ('a"b@x.org',)},
        {"mailboxes": ("$(x)@x.org",)},
        {"mailboxes": ("a’b@x.org",)},
        {"mailboxes": ("a",)},
        {"page": "http://mail.example.com/"},
        {"page": "https://mail.example.com/\nx"},
    ],
)
@pytest.mark.parametrize("shell", ["az", "powershell"])
def test_values_that_could_not_stand_in_a_script_are_refused(
    facts: dict[str, Any], shell: Any
) -> None:
    with pytest.raises(InvalidValue):
        script(shell, CODE, Facts(**facts))
    with pytest.raises(InvalidValue):
        guide("microsoft", CODE, Facts(**facts))
