"""How an app is registered at Microsoft or Google, step by step, with the values to copy: data."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from postroom.errors import InvalidValue
from postroom.oauth.scopes import SignInFlow

__all__ = ["FLOWS", "SEEN", "SOURCES", "Facts", "Step", "Value", "check_facts", "guide"]

SEEN: Final = "2026-11-29"
SOURCES: Final = (
    "https://learn.microsoft.com/entra/identity-platform/quickstart-register-app",
    "https://learn.microsoft.com/exchange/client-developer/legacy-protocols/"
    "how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth",
    "https://learn.microsoft.com/exchange/permissions-exo/application-rbac",
    "https://developers.google.com/identity/protocols/oauth2",
    "https://developers.google.com/workspace/gmail/imap/xoauth2-protocol",
)

Provider = Literal["microsoft", "google"]
FLOWS: Final[dict[Provider, tuple[SignInFlow, ...]]] = {
    "microsoft": ("oauth_client_credentials", "oauth_authorization_code", "oauth_device_flow"),
    "google": ("oauth_authorization_code",),
}
"""The flows that work, the best for a program first.  Google allows its mail scope in no other."""


class Value(NamedTuple):
    """One entry: what it is called there, and its exact text; ``typed``: to be copied, for it is typed
    there.  What is not is chosen there, or read.
    """

    name: str
    text: str
    typed: bool = True


class Step(NamedTuple):
    """One thing to do: who, where to click, what, the values to copy, and why or what else."""

    title: str
    where: str
    do: str
    values: tuple[Value, ...] = ()
    note: str = ""
    who: str = "whoever may register apps"


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """What the steps are filled in with.

    ``wires``: imap, pop3, smtp, graph.  ``mailboxes``: which ones the app is for.  ``page``: the
    callback of the room's page, empty for the command line.  ``shared``: account and mailbox differ.
    """

    app_name: str = "Postroom"
    wires: tuple[str, ...] = ("graph",)
    mailboxes: tuple[str, ...] = ()
    page: str = ""
    certificate: bool = False
    shared: bool = False

    def permissions(self, flow: SignInFlow) -> tuple[tuple[str, str], ...]:
        """Service and permission, for this flow and these wires."""
        client = flow == "oauth_client_credentials"
        if "graph" in self.wires:
            names = ("Mail.Read", "Mail.ReadWrite", "Mail.Send") if client else _person(self.shared)
            return tuple(("Microsoft Graph", name) for name in names)
        kind = _APP_WIRES if client else _PERSON_WIRES
        service = "Office 365 Exchange Online" if client else "Microsoft Graph"
        found = [(service, kind[wire]) for wire in ("imap", "pop3", "smtp") if wire in self.wires]
        return tuple(found if client else [*found, ("Microsoft Graph", "offline_access")])


_APP_WIRES = {"imap": "IMAP.AccessAsApp", "pop3": "POP.AccessAsApp", "smtp": "SMTP.SendAsApp"}
_PERSON_WIRES = {
    "imap": "IMAP.AccessAsUser.All",
    "pop3": "POP.AccessAsUser.All",
    "smtp": "SMTP.Send",
}
_ADDRESS = re.compile(r"[^\s@\"`$\\\u2018-\u201f]+@[^\s@'\"`$\\\u2018-\u201f]+")
_ADMIN = "an administrator of the tenant (Privileged Role Administrator for Graph)"
_EXCHANGE = "an Exchange administrator"


def _person(shared: bool) -> tuple[str, ...]:
    more = ("Mail.ReadWrite.Shared", "Mail.Send.Shared") if shared else ()
    return ("Mail.ReadWrite", "Mail.Send", *more, "offline_access")


def guide(provider: Provider, flow: SignInFlow, facts: Facts) -> tuple[Step, ...]:
    """The steps, filled in.  Raises InvalidValue for a flow that does not work at this provider."""
    if flow not in FLOWS[provider]:
        raise InvalidValue("flow", f"{provider} has mail by {', '.join(FLOWS[provider])} only")
    check_facts(facts)
    return tuple(_microsoft(flow, facts) if provider == "microsoft" else _google(facts))


def check_facts(facts: Facts) -> None:
    """Raise InvalidValue for a name or an address that cannot stand in a script."""
    if not facts.app_name or not facts.app_name.isprintable() or len(facts.app_name) > 64:
        raise InvalidValue("name", "give the app a name of 1 to 64 characters on one line")
    if not facts.wires or not {*facts.wires} <= {*_PERSON_WIRES, "graph"}:
        raise InvalidValue("wires", f"write some of {', '.join(_PERSON_WIRES)}, or graph")
    for address in facts.mailboxes:
        if not _ADDRESS.fullmatch(address) or not address.isprintable():
            raise InvalidValue("mailboxes", "write addresses like orders@example.com")
    if facts.page and not (facts.page.isprintable() and facts.page.startswith("https://")):
        raise InvalidValue("redirect_uri", "write the https:// address of the page's callback")


def _microsoft(flow: SignInFlow, facts: Facts) -> Iterable[Step]:
    yield _registration(flow, facts)
    if flow == "oauth_device_flow":
        yield Step(
            "Permit the device flow",
            "Authentication, Advanced settings",
            "Set Allow public client flows to Yes and save.",
            (Value("Allow public client flows", "Yes", typed=False),),
            "A Conditional Access policy may forbid the flow for the whole tenant; then use "
            "authorization code.",
        )
    yield from _permissions(flow, facts)
    if flow == "oauth_client_credentials" or facts.page:
        yield _proof(facts)
    if flow == "oauth_client_credentials":
        yield from _fence(facts)
    yield Step(
        "Copy the ids",
        "Overview",
        "Copy these two into the credential.",
        (
            Value("Application (client) ID", "client_id", typed=False),
            Value("Directory (tenant) ID", "tenant_id", typed=False),
        ),
        "The Object ID beside them is something else.",
    )


def _registration(flow: SignInFlow, facts: Facts) -> Step:
    redirect: tuple[Value, ...] = (Value("Redirect URI", "none", typed=False),)
    if flow == "oauth_authorization_code":
        kind = "Web" if facts.page else "Mobile and desktop applications"
        uri = facts.page or "http://localhost"
        redirect = (Value("Platform", kind, typed=False), Value("Redirect URI", uri))
    return Step(
        "Register the app",
        "https://entra.microsoft.com: Microsoft Entra ID, App registrations, New registration",
        "Fill in these and select Register.",
        (
            Value("Name", facts.app_name),
            Value(
                "Supported account types",
                "Accounts in this organizational directory only",
                typed=False,
            ),
            *redirect,
        ),
        who="an Application Developer or administrator (anybody, if the tenant permits it)",
    )


def _permissions(flow: SignInFlow, facts: Facts) -> Iterable[Step]:
    client = flow == "oauth_client_credentials"
    kind = "Application permissions" if client else "Delegated permissions"
    if client and "graph" in facts.wires and facts.mailboxes:
        return  # fenced by Exchange: what Entra granted would hold for the whole tenant beside it
    wanted = facts.permissions(flow)
    places = {
        "Microsoft Graph": "Microsoft APIs, Microsoft Graph",
        "Office 365 Exchange Online": "APIs my organization uses, Office 365 Exchange Online",
    }
    service = wanted[0][0]
    yield Step(
        "Add the permissions",
        f"API permissions, Add a permission, {places[service]}, {kind}",
        "Select these and Add permissions.",
        tuple(Value(kind, name) for _, name in wanted),
    )
    yield Step(
        "Consent",
        "API permissions",
        "Select Grant admin consent; every row must turn green."
        if client
        else "Select Grant admin consent, or let each person consent when they sign in.",
        (Value("Button", "Grant admin consent", typed=False),),
        who=_ADMIN,
    )


def _proof(facts: Facts) -> Step:
    if facts.certificate:
        return Step(
            "Upload the certificate",
            "Certificates & secrets, Certificates, Upload certificate",
            "Make the pair with postroom credential generate and upload the .cer it writes; the "
            "private key never leaves the vault.",
            (Value("File", "the .cer of the credential", typed=False),),
        )
    return Step(
        "Make a client secret",
        "Certificates & secrets, Client secrets, New client secret",
        "Copy the Value, not the Secret ID, and give it to the credential with its date.",
        (
            Value("Expires", "24 months at most", typed=False),
            Value("Copy", "Value", typed=False),
        ),
        "The Value is shown once.",
    )


def _fence(facts: Facts) -> Iterable[Step]:
    named = tuple(Value("Mailbox", address) for address in facts.mailboxes)
    if "graph" in facts.wires:
        if facts.mailboxes:
            yield Step(
                "Give the app these mailboxes, and no others",
                "Exchange Online PowerShell",
                "Register the app there (New-ServicePrincipal, with the Object ID of the enterprise "
                "application), make a management scope of the mailboxes, and assign the roles in it.",
                (
                    *named,
                    Value("Role", "Application Mail.ReadWrite"),
                    Value("Role", "Application Mail.Send"),
                ),
                "No Mail permission is granted in Entra: one there would hold for every mailbox. The "
                "token shows no Mail role then, and works; it can take an hour.",
                _EXCHANGE,
            )
        return
    yield Step(
        "Register the app in Exchange",
        "Exchange Online PowerShell",
        "New-ServicePrincipal with the ids of the enterprise application, then give it each mailbox.",
        (
            Value("-AppId", "the Application (client) ID", typed=False),
            Value(
                "-ObjectId",
                "the Object ID under Enterprise applications, not App registrations",
                typed=False,
            ),
            Value("Add-MailboxPermission -AccessRights", "FullAccess"),
            *named,
        ),
        "It can take an hour until it works.",
        _EXCHANGE,
    )


def _google(facts: Facts) -> Iterable[Step]:
    desktop = not facts.page
    yield Step(
        "Make a project",
        "https://console.cloud.google.com: Select a project, New project",
        "Give it a name, then enable the Gmail API under APIs & Services, Library.",
        (Value("Project name", facts.app_name), Value("API", "Gmail API", typed=False)),
    )
    yield Step(
        "Describe the app",
        "Google Auth Platform, Branding and Audience",
        "Choose Internal in a Workspace; otherwise External, and publish the app.",
        (Value("App name", facts.app_name), Value("User type", "Internal", typed=False)),
        "In testing, sign-ins end after seven days. An external app with the mail scope has to be "
        "verified by Google, unless only its owner uses it.",
        "the owner of the project",
    )
    yield Step(
        "Add the scope",
        "Google Auth Platform, Data access, Add or remove scopes",
        "Add this scope.",
        (Value("Scope", "https://mail.google.com/"),),
        "IMAP, POP3 and SMTP all want this one.",
    )
    yield Step(
        "Make the client",
        "Google Auth Platform, Clients, Create client",
        "Create it, then copy client id and client secret into the credential.",
        (
            Value("Application type", "Desktop app" if desktop else "Web application", typed=False),
            *(() if desktop else (Value("Authorized redirect URIs", facts.page),)),
            Value("Name", facts.app_name),
        ),
        "Google wants the secret of a desktop app too. The device flow does not take the mail scope.",
    )
    yield Step(
        "Trust the app",
        "https://admin.google.com: Security, Access and data control, API controls",
        "Add the client id as trusted, where the Workspace restricts apps.",
        (Value("Access", "Trusted", typed=False),),
        who="a Workspace administrator",
    )
